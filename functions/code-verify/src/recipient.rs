//! A recipient's code by SMS: counted before it is compared, on the recipient's item, as a user's
//! is on the user's.

use std::sync::Arc;

use shared::account::Account;
use shared::agreement::{self, Agreement, Authentication, Recipient, Standing, Ticket};
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::Keyring;
use shared::kernel::secret;
use shared::messaging::send_budget::Budget;
use shared::messaging::send_budget::credit::Credit;
use shared::signin::access_token::{self, Proof, RecipientSubject};
use shared::signin::challenge::{
    ATTEMPTS_MAX, Attempt, Challenge, ChallengeRefusal, Place, Proven, Stage,
};
use shared::signin::code::{self, LiveCode, SentCodeVerdict};
use shared::signin::sign_in::{Answer, Authenticated};
use shared::signin::user::Method;
use shared::signin::user::known::Origin;
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Update, Write, keys};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};

use crate::take_back;

const METHOD: Method = Method::Sms;

/// An attempt that was counted, and what it was counted on.
struct Counted<'a> {
    app: &'a App,
    call: &'a Call,
    ticket: Ticket,
    id: String,
    /// The agreement, and the recipient before the attempt was counted.
    before: Standing,
    keyring: Arc<Keyring>,
    now: Timestamp,
}

/// Verifies the code of a recipient's challenge.
pub async fn verify(
    app: &App,
    call: &Call,
    (method, code): (Method, &str),
    ticket: Ticket,
    keyring: Arc<Keyring>,
    now: Timestamp,
) -> Outcome {
    if method != METHOD {
        return Err(Problem::new(Slug::MethodNotEnabled));
    }
    let id = secret::encode(app.entropy.bytes::<9>());
    let attempt = attempt(&ticket, &id, now);
    let (counted, agreement) = tokio::join!(
        app.table.update_with_retries(attempt.count(), &app.entropy),
        beside(app, call, &ticket, now),
    );
    let before = match attempt.counted_on(counted) {
        Ok(before) => before,
        Err(problem) => return Err(agreement.err().unwrap_or(problem)),
    };
    let agreement = match agreement {
        Ok(agreement) => agreement,
        Err(problem) => {
            take_back(app, attempt.take_back(&before), METHOD).await;
            return Err(problem);
        }
    };
    let before = Standing::of(agreement, before);
    let counted = Counted {
        app,
        call,
        ticket,
        id,
        before,
        keyring,
        now,
    };
    counted
        .conclude(code)
        .await
        .map(|answer| Reply::json(&answer))
}

/// The agreement, read beside the count, with the account whose pages may read the answer.
async fn beside(
    app: &App,
    call: &Call,
    ticket: &Ticket,
    now: Timestamp,
) -> Result<Agreement, Problem> {
    let wanted = (
        keys::agreement(ticket.agreement).holding::<Agreement>(),
        Account::concerned(call, ticket.account),
    );
    let (agreement, _) = app.table.find(wanted).await?;
    let agreement = agreement.ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
    Ok(agreement)
}

/// The attempt called `id`: a recipient is known at no address.
const fn attempt<'a>(ticket: &'a Ticket, id: &'a str, now: Timestamp) -> Attempt<'a, Ticket> {
    Attempt {
        place: ticket,
        method: METHOD,
        origin: Origin::Stranger,
        id,
        now,
    }
}

impl Counted<'_> {
    const fn recipient(&self) -> &Recipient {
        self.before.recipient()
    }

    async fn conclude(self, code: &str) -> Result<Answer, Problem> {
        if let Err(problem) = self.good(&self.before) {
            self.take_back().await;
            return Err(problem);
        }
        let challenge = self
            .recipient()
            .challenges
            .get(&self.ticket.name)
            .ok_or_else(|| ChallengeRefusal::Expired.problem(self.now))?;
        let (ticket, keyring) = (&self.ticket, &self.keyring);
        match code::judge(ticket, challenge, METHOD, code, keyring, self.now) {
            SentCodeVerdict::Right => self.accept().await,
            SentCodeVerdict::Wrong => {
                self.record("wrong-code", false).await?;
                Err(self.refused(Slug::CodeInvalid))
            }
            SentCodeVerdict::Superseded => {
                self.record("superseded", true).await?;
                Err(self.refused(Slug::CodeSuperseded))
            }
            SentCodeVerdict::Expired => {
                self.take_back().await;
                Err(Problem::new(Slug::CodeExpired))
            }
        }
    }

    /// Whether a code by SMS is still what lets this recipient in.
    fn good(&self, standing: &Standing) -> Result<(), Problem> {
        standing
            .accessible(self.now)
            .map_err(agreement::AgreementRefusal::problem_of_recipient)?;
        let asked = standing.recipient().asked(standing.agreement()) == Authentication::Sms;
        if asked {
            Ok(())
        } else {
            Err(Problem::new(Slug::MethodNotEnabled))
        }
    }

    /// Consumes the code and the challenge, and signs the token: whoever writes first has it.
    async fn accept(&self) -> Result<Answer, Problem> {
        let proof = Proof::recipients_code(self.now);
        let mut standing = self.before.clone();
        let mut retries = RetryPolicy::default();
        let mut credit = Credit::new(self.credit());
        loop {
            let verified = self
                .event(Action::RecipientVerified)
                .with("acr", "two-factor");
            let mut writes = standing.step(self.spent(&standing)?, [verified], self.now)?;
            writes.extend(credit.within().map(Write::from));
            let written = self.app.table.transact(writes).await;
            credit.learn(&written);
            if retries.settled(written, &self.app.entropy).await? {
                credit.give(self.app).await;
                return Ok(Answer::Authenticated(Authenticated::new(
                    self.token(&proof)?,
                    &proof,
                )));
            }
            standing = self.stands().await?;
            if let Err(problem) = self.still_good(&standing) {
                self.record(problem.slug().name(), true).await?;
                return Err(problem);
            }
        }
    }

    /// What a code that was typed gives back to the SMS budget.
    fn credit(&self) -> Option<Update> {
        let country = self.recipient().phone_country.as_deref()?;
        let sms = &self.recipient().challenges.get(&self.ticket.name)?.sms;
        Some(
            Budget {
                account: self.ticket.account,
                country,
            }
            .verified(sms, self.now),
        )
    }

    /// The update that spends the code and completes the challenge: the recipient is verified.
    fn spent(&self, standing: &Standing) -> Result<Update, Failure> {
        let digest = self.live().map(|code| code.mac.digest.as_str());
        let proven = Proven {
            place: &self.ticket,
            method: METHOD,
            origin: Origin::Stranger,
            now: self.now,
        };
        let update = standing.recipient().prove(standing.update());
        let update = proven.spend_code(update, digest.unwrap_or_default());
        self.ticket
            .complete(update, Stage::Completed { at: self.now })
    }

    /// Whether a right code is still right on what stands now.
    fn still_good(&self, standing: &Standing) -> Result<(), Problem> {
        self.good(standing)?;
        let challenge = self
            .ticket
            .challenge(standing.recipient(), self.now)
            .map_err(|refusal| refusal.problem(self.now))?;
        let live = challenge.codes.get(METHOD.name()).map(|code| &code.mac);
        if live == self.live().map(|code| &code.mac) {
            Ok(())
        } else {
            Err(self.refused(Slug::CodeSuperseded))
        }
    }

    fn live(&self) -> Option<&LiveCode> {
        self.recipient()
            .challenges
            .get(&self.ticket.name)?
            .codes
            .get(METHOD.name())
    }

    /// Writes down an attempt that failed. Where it was no guess, its count on the factor is taken
    /// back in the same transaction.
    async fn record(&self, reason: &'static str, taken_back: bool) -> Result<(), Problem> {
        let mut standing = self.before.clone();
        let mut retries = RetryPolicy::default();
        loop {
            let failed = self
                .event(Action::CodeVerified)
                .failed()
                .with("reason", reason);
            let events = std::iter::once(failed).chain(self.lockout().filter(|_| !taken_back));
            let mut writes = standing.tell(events, self.now)?;
            // A success that has cleared the count meanwhile has left nothing to take back.
            if taken_back
                && standing.recipient().factor(METHOD).epoch
                    == self.recipient().factor(METHOD).epoch
            {
                writes.push(self.attempt().uncounting(self.recipient()).into());
            }
            if retries
                .settled(self.app.table.transact(writes).await, &self.app.entropy)
                .await?
            {
                return Ok(());
            }
            standing = self.stands().await?;
        }
    }

    /// The entry of the delay or the end that this failure brought on.
    fn lockout(&self) -> Option<Event> {
        let event = self.attempt().lockout(self.recipient())?;
        let event = event.from(self.call.client_ip);
        Some(event.with("recipient", self.ticket.recipient.to_string()))
    }

    fn attempt(&self) -> Attempt<'_, Ticket> {
        attempt(&self.ticket, &self.id, self.now)
    }

    async fn take_back(&self) {
        let update = self.attempt().take_back(self.recipient());
        take_back(self.app, update, METHOD).await;
    }

    /// The agreement and the recipient as they stand after a write that lost a race.
    async fn stands(&self) -> Result<Standing, Problem> {
        let wanted = Standing::wanted(self.ticket.agreement, self.ticket.recipient);
        let found = self.app.table.find(wanted).await?;
        found.ok_or_else(|| ChallengeRefusal::Unknown.problem(self.now))
    }

    fn refused(&self, slug: Slug) -> Problem {
        let before = self
            .recipient()
            .challenges
            .get(&self.ticket.name)
            .map_or(ATTEMPTS_MAX, Challenge::attempts_left);
        Problem::new(slug).with("attempts_left", before.saturating_sub(1))
    }

    fn event(&self, action: Action) -> Event {
        Event::new(action, Actor::Recipient(self.ticket.recipient))
            .from(self.call.client_ip)
            .with("method", METHOD.name())
    }

    fn token(&self, proof: &Proof) -> Result<secret::Secret<String>, Problem> {
        let Ticket {
            account,
            agreement,
            recipient,
            ..
        } = self.ticket;
        let subject = RecipientSubject {
            account,
            agreement,
            recipient,
        };
        let issuer = self.call.base_url(self.app.config.base_url.as_deref());
        Ok(access_token::sign_for_recipient(
            &subject,
            proof,
            &issuer,
            &self.keyring,
            &self.app.entropy,
            self.now,
        )?)
    }
}
