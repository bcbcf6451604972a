//! What the second factor of a challenge brings about, whichever factor it was: the challenge is
//! used, the link that opened it is spent, the address is one that the user is known at, and the
//! browser is answered with the token, with a one-time code for the portal, or with leave to set a
//! new password.
//!
//! The factor's own part (its counts, its codes) is the caller's, in the same transaction.

use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::kernel::secret::Secret;
use crate::signin::access_token::{self, Proof, Subject};
use crate::signin::challenge::{self, Challenge, Place, PrimaryFactor, Stage, Ticket};
use crate::signin::exchange::{self, Exchange};
use crate::signin::link::{self, Purpose};
use crate::signin::sign_in::{Answer, Authenticated, NewPassword, Redirect};
use crate::signin::user::known::HashedIp;
use crate::signin::user::refused::RefusedPasswords;
use crate::signin::user::{Method, User};
use crate::store::app::App;
use crate::store::audit::Event;
use crate::store::dynamo::{Failure, Table, Update, Write};
use crate::web::http::Call;

/// The end of a challenge, about to be written.
#[derive(Debug)]
pub struct Completion {
    /// What was proved.
    pub proof: Proof,
    ticket: Ticket,
    primary: PrimaryFactor,
    method: Method,
    handover: Handover,
    hashed_ip: HashedIp,
    refused: RefusedPasswords,
    now: Timestamp,
}

/// What the browser is handed.
#[derive(Debug)]
enum Handover {
    /// The token.
    Token,
    /// A code that the portal exchanges for it, and where to bring it.
    Code(Secret<String>, String),
    /// Leave to set a new password.
    NewPassword,
}

impl Completion {
    /// The end of `challenge`, by `method`, from `hashed_ip`.
    pub fn of(
        ticket: &Ticket,
        challenge: &Challenge,
        method: Method,
        hashed_ip: &HashedIp,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Self {
        let primary = challenge.primary.clone();
        let handover = match primary.link() {
            Some(link) if link.purpose == Purpose::Password => Handover::NewPassword,
            Some(link) => link.redirect_uri.clone().map_or(Handover::Token, |uri| {
                Handover::Code(exchange::draw(entropy), uri)
            }),
            None => Handover::Token,
        };
        let (proof, ticket, hashed_ip) = (
            challenge.proof(method, now),
            ticket.clone(),
            hashed_ip.clone(),
        );
        Self {
            proof,
            ticket,
            primary,
            method,
            handover,
            hashed_ip,
            refused: RefusedPasswords::default(),
            now,
        }
    }

    /// The same, with how many of the user's passwords were refused without a comparison: a sign-in
    /// tells of them.
    pub async fn telling(self, user: &User, table: &Table) -> Result<Self, Failure> {
        let refused = if self.is_sign_in() {
            RefusedPasswords::unreported(user, table, self.now).await?
        } else {
            RefusedPasswords::default()
        };
        Ok(Self { refused, ..self })
    }

    /// Leave to set a new password is none.
    const fn is_sign_in(&self) -> bool {
        !matches!(self.handover, Handover::NewPassword)
    }

    /// Adds to an update of the user's item that the challenge is used, and the user has proved a
    /// factor; beside it stand the writes of other items, and the entry of what else it tells.
    /// Where a link opened the challenge, the first of these writes spends it.
    ///
    /// The condition that the challenge can be gone on with is [`Place::guard`]'s. What a link
    /// opened stays on the item for longer than any other challenge of that link: they are told
    /// from it that the link is spent.
    pub fn consume(
        &self,
        user: &User,
        update: Update,
    ) -> Result<(Update, Option<Event>, Vec<Write>), Failure> {
        let update = self.used(update)?;
        let mut others = self.spending(user)?;
        if !self.is_sign_in() {
            return Ok((update, None, others));
        }
        let (update, told) = user.report_refused(update, &self.refused, self.now)?;
        let (update, copy) = user.remember(update, &self.hashed_ip)?;
        others.extend(copy.map(Write::from));
        // A password has ended its counts when it opened the challenge.
        if self.primary != PrimaryFactor::Password {
            others.extend(user.signed_in_from(&self.hashed_ip).map(Write::from));
        }
        Ok((update, told, others))
    }

    fn used(&self, update: Update) -> Result<Update, Failure> {
        let (at, until) = (self.now, self.now.plus(challenge::LIFETIME));
        let stage = match self.handover {
            Handover::NewPassword => Stage::SetsPassword { at, until },
            Handover::Token | Handover::Code(..) => Stage::Completed { at },
        };
        let update = User::keep_had_factor(self.ticket.complete(update, stage)?);
        Ok(match self.primary.link() {
            Some(_) => self.ticket.keep_until(update, until),
            None => update,
        })
    }

    /// The write that spends the link, where one opened the challenge, and that of the portal's
    /// code.
    fn spending(&self, user: &User) -> Result<Vec<Write>, Failure> {
        let Some(link) = self.primary.link() else {
            return Ok(Vec::new());
        };
        let mut writes: Vec<Write> = vec![link.spend(self.now).into()];
        if let Handover::Code(code, _) = &self.handover {
            let exchange = Exchange::new(user, link, self.method, self.now);
            writes.push(exchange.create(code)?.into());
        }
        Ok(writes)
    }

    /// Whether a transaction failed because the link is spent.
    pub fn came_too_late(&self, failure: &Failure) -> bool {
        let spent = |link: &link::OpenedLink| failure.stood_at(&link.key()).is_some();
        self.primary.link().is_some_and(spent)
    }

    /// The link that was spent, as the audit names it.
    pub fn link(&self) -> Option<String> {
        self.primary.link().map(|link| link.id.to_string())
    }

    /// The answer, once it is written. `challenge` is the token that the request carried.
    pub fn answer(
        &self,
        app: &App,
        call: &Call,
        keyring: &Keyring,
        user: &User,
        challenge: &Secret<String>,
    ) -> Result<Answer, KeyringError> {
        Ok(match &self.handover {
            Handover::Token => {
                let issuer = call.base_url(app.config.base_url.as_deref());
                let token = access_token::sign(
                    &Subject::of(user),
                    &self.proof,
                    &issuer,
                    keyring,
                    &app.entropy,
                    self.now,
                )?;
                Answer::Authenticated(Authenticated::new(token, &self.proof))
            }
            Handover::Code(code, uri) => {
                Answer::Redirect(Redirect::new(exchange::address(uri, code), code.clone()))
            }
            Handover::NewPassword => {
                Answer::NewPasswordRequired(NewPassword::new(challenge.clone()))
            }
        })
    }
}
