//! A link of an agreement's recipient: proves the mailbox and nothing more. What else is asked
//! depends on the recipient's method.
//!
//! Two waits: the agreement, the recipient, the account and the link in one request; one
//! transaction tells of the opening, and opens the challenge or answers for the proof. What all
//! have signed is viewed without a word of it for a day after it was told.

use shared::account::Account;
use shared::agreement::{
    Agreement, AgreementRefusal, Authentication, Link, OPENINGS, Recipient, Standing, Status,
    Ticket, ViewingEntry,
};
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::kernel::secret::Secret;
use shared::signin::access_token::{self, Proof, RecipientSubject};
use shared::signin::challenge::{Challenge, Place};
use shared::signin::sign_in::{Answer, Authenticated, IdentityCheck, Offer, SecondFactor};
use shared::signin::user::Method;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, Update, Write};
use shared::web::http::problem::Policy;
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use shared::web::settle::{Decision, Unsettled, settle};

/// A link, and what it leads to as that stands now.
struct RecipientLinkCase<'a> {
    app: &'a App,
    call: &'a Call,
    keyring: &'a Keyring,
    standing: Standing,
    now: Timestamp,
}

/// Whether `token` says of itself that it is a recipient's link.
pub fn has_prefix(token: &Secret<String>) -> bool {
    Link::has_prefix(token.expose())
}

/// Lets the recipient in, or opens a challenge for what is still to be proved.
pub async fn redeem(app: &App, call: &Call, token: &Secret<String>) -> Outcome {
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let link = Link::read(token.expose()).ok_or_else(unknown)?;
    let decide = || async {
        let case = RecipientLinkCase::read(app, call, &keyring, &link).await?;
        case.check()?;
        let (writes, answer) = case.open()?;
        Ok(Decision::Write(writes, answer))
    };
    let settled = settle(app, decide).await;
    let answer = settled.map_err(Unsettled::of_a_sign_in)?;
    Ok(Reply::json(&answer))
}

fn unknown() -> Problem {
    Problem::new(Slug::LinkUnknown)
}

impl<'a> RecipientLinkCase<'a> {
    /// Reads, in one request, what the link leads to, and whether it was mailed.
    async fn read(
        app: &'a App,
        call: &'a Call,
        keyring: &'a Keyring,
        link: &Link,
    ) -> Result<Self, Problem> {
        let standing = Standing::wanted(link.agreement, link.recipient);
        let account = Account::concerned(call, link.account);
        let wanted = (standing, account, link.key());
        let (standing, _, kept) = app.table.find(wanted).await?;
        let standing = standing.ok_or_else(unknown)?;
        let mailed = link.is_kept(kept)? || standing.recipient().holds(link);
        if standing.agreement().account != link.account || !mailed {
            return Err(unknown());
        }
        Ok(Self {
            app,
            call,
            keyring,
            standing,
            now: call.arrived_at,
        })
    }
}

impl RecipientLinkCase<'_> {
    const fn agreement(&self) -> &Agreement {
        self.standing.agreement()
    }

    const fn recipient(&self) -> &Recipient {
        self.standing.recipient()
    }

    /// Whether the link opens anything now.
    fn check(&self) -> Result<(), Problem> {
        self.standing
            .accessible(self.now)
            .map_err(AgreementRefusal::problem_of_recipient)?;
        let Some((until, limit)) = OPENINGS.full_until(&self.recipient().openings, self.now) else {
            return Ok(());
        };
        let policy = Policy {
            name: "openings",
            quota: u32::try_from(limit.quota).unwrap_or(u32::MAX),
            window: limit.span,
        };
        let problem =
            Problem::new(Slug::TooManyAttempts).detail("This link was opened too often recently.");
        Err(problem.retry_after(until.until(self.now), &policy))
    }

    /// The writes of the opening, and its answer. Every opening asks anew.
    fn open(&self) -> Result<(Vec<Write>, Answer), Problem> {
        let asked = self.recipient().asked(self.agreement());
        let (update, events) = self.opened(asked)?;
        match asked {
            Authentication::None | Authentication::Email => self.let_in(update, events, asked),
            Authentication::Sms => {
                let (update, challenge) = self.challenge(update)?;
                let offer = Offer {
                    method: Method::Sms,
                    destination: self.recipient().masked_phone(),
                };
                let required = SecondFactor::new(challenge, vec![offer]);
                let answer = Answer::SecondFactorRequired(required);
                Ok((self.writes(update, events)?, answer))
            }
            Authentication::Kba => {
                let (update, challenge) = self.challenge(update)?;
                let required = IdentityCheck::new(challenge);
                let answer = Answer::IdentityVerificationRequired(required);
                Ok((self.writes(update, events)?, answer))
            }
        }
    }

    /// The writes and the answer where the mailbox is all that is to be proved.
    fn let_in(
        &self,
        update: Update,
        mut events: Vec<Event>,
        asked: Authentication,
    ) -> Result<(Vec<Write>, Answer), Problem> {
        let proof = Proof::recipients_link(self.now);
        let update = self.recipient().prove(update);
        if !self.recipient().views() {
            let verified = self.event(Action::RecipientVerified, asked);
            events.push(verified.with("acr", "single-factor"));
        }
        let token = self.token(&proof)?;
        let answer = Answer::Authenticated(Authenticated::new(token, &proof));
        Ok((self.writes(update, events)?, answer))
    }

    fn event(&self, action: Action, method: Authentication) -> Event {
        let event =
            Event::new(action, Actor::Recipient(self.recipient().id)).from(self.call.client_ip);
        event.with("method", method.name())
    }

    /// The update that notes the opening, and the entry that tells of it, where it has one.
    fn opened(&self, asked: Authentication) -> Result<(Update, Vec<Event>), Failure> {
        let recipient = self.recipient();
        let update = recipient.note_opening(self.standing.update(), self.now);
        let purpose = if recipient.views() { "view" } else { "sign" };
        let event = self.event(Action::LinkOpened, asked);
        let event = event.with("purpose", purpose);
        if self.agreement().status != Status::Completed {
            return Ok((update, vec![event]));
        }
        let (update, telling) = recipient.note_viewing(update, self.now)?;
        let events = match telling {
            ViewingEntry::Told { untold: 0 } => vec![event],
            ViewingEntry::Told { untold } => vec![event.with("viewings_since", untold)],
            ViewingEntry::Counted => Vec::new(),
        };
        Ok((update, events))
    }

    /// The update with a new challenge.
    fn challenge(&self, update: Update) -> Result<(Update, Secret<String>), Problem> {
        let Agreement { account, id, .. } = *self.agreement();
        let (ticket, token) = Ticket::issue(
            account,
            id,
            self.recipient().id,
            self.keyring,
            &self.app.entropy,
            self.now,
        )?;
        let challenge = Challenge::open(self.now);
        let update = ticket.open(update, self.recipient(), &challenge, self.now)?;
        Ok((update, token))
    }

    /// Of what has no entry the agreement is not written: it is completed, and stays so.
    fn writes(&self, update: Update, events: Vec<Event>) -> Result<Vec<Write>, Failure> {
        if events.is_empty() {
            return Ok(vec![update.into()]);
        }
        self.standing.step(update, events, self.now)
    }

    fn token(&self, proof: &Proof) -> Result<Secret<String>, Problem> {
        let Agreement { account, id, .. } = *self.agreement();
        let subject = RecipientSubject {
            account,
            agreement: id,
            recipient: self.recipient().id,
        };
        let issuer = self.call.base_url(self.app.config.base_url.as_deref());
        Ok(access_token::sign_for_recipient(
            &subject,
            proof,
            &issuer,
            self.keyring,
            &self.app.entropy,
            self.now,
        )?)
    }
}
