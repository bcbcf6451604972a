//! Who asks, and what lets them: an access token, or the challenge of a first sign-in.

use std::sync::Arc;

use shared::access_token::Claims;
use shared::account::{Account, Settings};
use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::challenge::{Challenge, Refusal, Ticket};
use shared::clock::Timestamp;
use shared::completion::Completion;
use shared::dynamo::{Failure, Patience, Write, keys, read};
use shared::http::{Call, Problem, Slug};
use shared::keyring::Keyring;
use shared::notice::{self, Changed, Notices};
use shared::secret::Secret;
use shared::signed_in::{SignedIn, signed_in, unauthorized};
use shared::user::known::Source;
use shared::user::{Method, User};

/// Somebody who asks to change a factor, as far as is known now.
#[derive(Debug)]
pub struct Who {
    pub user: User,
    pub account: Account,
    pub settings: Settings,
    pub keyring: Arc<Keyring>,
    pub now: Timestamp,
    shown: Shown,
}

/// What was shown.
#[derive(Debug)]
enum Shown {
    Token(Claims),
    Challenge(Ticket, Secret<String>),
}

impl Who {
    /// Whoever shows an access token.
    pub async fn by_token(app: &App, call: &Call) -> Result<Self, Problem> {
        let now = call.arrived_at;
        let keyring = app.keyrings.current(now).await;
        let SignedIn { claims, user, account, settings } = signed_in(app, call, &keyring, now).await?;
        Ok(Self { user, account, settings, keyring, now, shown: Shown::Token(claims) })
    }

    /// Whoever shows a challenge, or an access token where there is none.
    pub async fn by_either(app: &App, call: &Call, challenge: Option<&Secret<String>>) -> Result<Self, Problem> {
        let Some(challenge) = challenge else { return Self::by_token(app, call).await };
        let now = call.arrived_at;
        let keyring = app.keyrings.current(now).await;
        let ticket = Ticket::read(challenge.expose(), &keyring).map_err(|refusal| refusal.problem(now))?;
        let wanted = std::iter::once(keys::user(ticket.user)).chain(ticket.settings_keys()).collect();
        let mut items = app.table.get_all(wanted).await?.into_iter();
        let (Some(user), Some(account)) = (items.next().flatten(), items.next().flatten()) else {
            return Err(Refusal::Unknown.problem(now));
        };
        let (user, account): (User, Account) = (read(user)?, read(account)?);
        call.allow_origins(&account.settings()?.origins);
        let group = ticket.foreseen(items.next().flatten());
        let settings = account.settings_in(user.group.as_deref(), group, &app.table).await?;
        Ok(Self { user, account, settings, keyring, now, shown: Shown::Challenge(ticket, challenge.clone()) })
    }

    /// Whether a factor may be changed.
    pub fn may_change(&self) -> Result<(), Problem> {
        match &self.shown {
            Shown::Token(claims) if claims.is_fresh(self.now) => Ok(()),
            Shown::Token(_) | Shown::Challenge(..) => Err(Problem::new(Slug::FreshSecondFactorRequired)),
        }
    }

    /// Whether an app may be set up. Who has no factor, and never had one, may with the first alone.
    pub fn may_enrol(&self) -> Result<(), Problem> {
        let methods = self.settings.second_factor.methods;
        let first = match &self.shown {
            Shown::Token(_) => self.user.may_enrol(methods, false, self.now),
            // How it was opened decided whether a reset lets it in: a reset ends those that were open.
            Shown::Challenge(..) => {
                let open = self.challenge()?.is_some_and(|open| open.enrols && open.first.admits_enrolment());
                open && self.user.may_enrol(methods, true, self.now)
            }
        };
        if !Method::Totp.is_on(methods) {
            return Err(Problem::new(Slug::MethodNotEnabled));
        }
        if first { Ok(()) } else { self.may_change() }
    }

    /// The challenge, if that is what was shown and it can be gone on with.
    pub fn challenge(&self) -> Result<Option<&Challenge>, Problem> {
        let Shown::Challenge(ticket, _) = &self.shown else { return Ok(None) };
        let challenge = ticket.challenge(&self.user, self.now).map_err(|refusal| refusal.problem(self.now))?;
        if !challenge.first.leads_on(&self.settings) {
            return Err(Refusal::Expired.problem(self.now));
        }
        if challenge.tries_left() == 0 {
            return Err(Refusal::TriesSpent(challenge.expires_at).problem(self.now));
        }
        Ok(Some(challenge))
    }

    /// Adds to an update the condition that whoever asks may still.
    pub fn guard(&self, update: Write) -> Write {
        match &self.shown {
            Shown::Token(claims) => User::guard_token(update, claims),
            Shown::Challenge(ticket, _) => ticket.guard(update, self.now),
        }
    }

    /// Adds to an update what it ends where a factor is taken away or replaced by who shows an access token: every other token, and the
    /// sign-ins under way. A challenge sets up a first factor: nothing was proved with another before.
    pub fn end_others(&self, update: Write) -> Result<Write, Failure> {
        match &self.shown {
            Shown::Token(claims) => self.user.end_others(update, claims),
            Shown::Challenge(..) => Ok(update),
        }
    }

    /// The end of the challenge by an app, and its token, where one was shown.
    pub fn completion(&self, app: &App, call: &Call) -> Result<Option<(Completion, Secret<String>)>, Problem> {
        let (Shown::Challenge(ticket, token), Some(challenge)) = (&self.shown, self.challenge()?) else { return Ok(None) };
        let source = Source::of(self.user.id, call.source, &self.keyring, self.now)?;
        Ok(Some((Completion::of(ticket, challenge, Method::Totp, &source, &app.entropy, self.now), token.clone())))
    }

    /// The mails that tell this user of a change.
    pub fn notices(&self, changed: Changed) -> Result<Notices, Problem> {
        Ok(notice::owe(&self.user, &self.user, &self.account, self.settings.locale, &[changed], self.now)?)
    }

    /// An entry of what this user does.
    pub fn event(&self, action: Action, call: &Call) -> Event {
        Event::new(action, Actor::User(self.user.id)).from(call.source)
    }

    /// Makes a change that is decided from the user as it was read: `false` where something else was faster, and it is to be decided
    /// anew from the user as it stands.
    pub async fn settle(&mut self, app: &App, writes: Vec<Write>, patience: &mut Patience) -> Result<bool, Problem> {
        // A link that is spent stays so: what it opened is over, whatever else stands.
        let spends = writes.iter().position(|write| write.key().pk.starts_with("LINK#"));
        let written = app.table.transact(writes).await;
        if spends.is_some_and(|place| written.as_ref().is_err_and(|failure| failure.stood_at(place).is_some())) {
            return Err(Refusal::Used.problem(self.now));
        }
        if patience.settled(written, &app.entropy).await? {
            return Ok(true);
        }
        let stands = app.table.get(keys::user(self.user.id)).await?;
        self.stands(read(stands.ok_or(Failure::Conflict)?)?)?;
        Ok(false)
    }

    /// Goes on with the user as it stands now.
    pub fn stands(&mut self, user: User) -> Result<(), Problem> {
        self.user = user;
        match &self.shown {
            Shown::Token(claims) if !self.user.takes(claims) => Err(unauthorized()),
            Shown::Token(_) | Shown::Challenge(..) => Ok(()),
        }
    }
}
