//! What comes of a try: one transaction, and the answer.

use shared::access_token::{self, Acr, Proof};
use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::challenge::{self, Challenge};
use shared::clock::Span;
use shared::config::source_key;
use shared::dynamo::{Failure, Patience, Write, keys};
use shared::http::{Call, Problem, Slug, refusals};
use shared::ids::UserId;
use shared::opening;
use shared::sign_in::{Answer, Authenticated, Next, Offer, Owed, next};
use shared::sso::{self, Identity, Refused};
use shared::throttle::Window;
use shared::user::known::Source;
use shared::user::subject::Subject;
use shared::user::{User, password};

use crate::attempt::{Attempt, First, Verdict};

/// The place of the source address's write in a rejection.
const SOURCE: usize = 0;
/// Why a token that is good lets nobody in.
const UNKNOWN_SUBJECT: &str = "unknown-subject";
/// The place of the write that uses a token up, in an acceptance.
const USED: usize = 0;

impl Attempt {
    /// Concludes the try, given what the proof told. What lost a race is decided anew, from the read on.
    pub async fn conclude(mut self, app: &App, call: &Call, mut verdict: Verdict) -> Result<Answer, Problem> {
        let mut patience = Patience::default();
        let mut trim = None;
        loop {
            let judged = self.judged(verdict);
            let (writes, answer) = match judged {
                Ok(user) => self.acceptance(app, call, user).await?,
                Err(reason) => (self.rejection(reason, trim.as_deref())?, Err(Problem::new(Slug::InvalidCredentials))),
            };
            let accepted = judged.is_ok();
            if writes.is_empty() {
                return answer;
            }
            let failure = match app.table.transact(writes).await {
                Ok(()) => return answer,
                Err(failure @ Failure::Unavailable(_)) => return Err(failure.into()),
                Err(failure) => failure,
            };
            if let Some(stood) = failure.stood_at(SOURCE).filter(|_| !accepted) {
                let moments = Window::moments(stood);
                if let Some((until, limit)) = password::PER_SOURCE.full_until(&moments, self.now) {
                    return Err(refusals::source_blocked(until, limit.quota, limit.span, self.now));
                }
                trim = Some(moments);
            }
            if accepted && self.is_used_up(&failure) {
                verdict = Verdict::Wrong(Refused::Used.reason());
            }
            patience.wait(&app.entropy).await?;
            self.read_again(app).await?;
        }
    }

    /// The user, if the try is a success; otherwise why it is none, for the audit alone.
    ///
    /// What was proved is held against the user as it stands now: a password that was right when its hash was read may have been
    /// replaced while it was compared, and a subject may have been taken away. Whatever replaces them moves the head of the user's
    /// chain, which is a condition of the acceptance.
    fn judged(&self, verdict: Verdict) -> Result<&User, &'static str> {
        let user = match (&self.subject, verdict) {
            (Subject::User(user), Verdict::Right) => user,
            (Subject::User(_), Verdict::Wrong(reason)) => return Err(reason),
            (Subject::Nobody { .. }, _) => return Err(self.unknown(verdict)),
        };
        if user.disabled || user.account != self.account {
            return Err("disabled");
        }
        match &self.first {
            First::Password { username, version, .. } => {
                let theirs = user.password_version == *version && user.username == *username;
                if theirs { Ok(user) } else { Err("wrong-password") }
            }
            First::IdToken { identity, .. } => {
                let theirs = identity.as_ref().is_some_and(|identity| is_named(user, identity));
                if theirs { Ok(user) } else { Err(UNKNOWN_SUBJECT) }
            }
        }
    }

    /// The writes and the answer of a right password or token. A right password ends the wrong ones in a row, whatever comes next; a
    /// token is used up.
    async fn acceptance(&self, app: &App, call: &Call, user: &User) -> Result<(Vec<Write>, Result<Answer, Problem>), Problem> {
        let mut copy = None;
        let keyring = app.keyrings.current(self.now).await;
        let source = Source::of(user.id, self.source, &keyring, self.now)?;
        let origin = user.known.origin(&source);
        let (update, event, answer) = match next(user, self.waived(), self.settings.second_factor.methods, origin, self.now) {
            Next::Done(acr) => {
                let (update, copied) = user.remember(user.touch(), &source)?;
                copy = copied;
                (update, self.event(user.id).with("acr", acr_name(acr)), self.token(app, call, user, acr).await)
            }
            Next::NoUsableFactor => {
                let event = self.event(user.id).failed().with("reason", "no-usable-factor");
                (user.touch(), event, Err(Problem::new(Slug::NoUsableFactor)))
            }
            Next::SecondFactor(offers) => match self.open(app, user, self.challenge(), offers).await {
                Ok((update, owed)) => {
                    (update, self.event(user.id).with("next", "second-factor"), Ok(Answer::SecondFactorRequired(owed)))
                }
                Err(full) => return Ok((self.cleared(), Err(full))),
            },
            Next::Enrolment(offers) => match self.open(app, user, self.challenge().to_enrol(), offers).await {
                Ok((update, owed)) => {
                    (update, self.event(user.id).with("next", "enrolment"), Ok(Answer::EnrolmentRequired(owed)))
                }
                Err(full) => return Ok((self.cleared(), Err(full))),
            },
        };
        // `disabled` is a condition: a user disabled since the read is not let in.
        let update = self.bind(user, update.when("#disabled = :no").value("no", false));
        let mut writes = user.change(update, [event], self.now)?;
        writes.extend(copy);
        match &self.first {
            First::Password { username, .. } => writes.push(Write::delete(password::failures_key(self.account, username))),
            First::IdToken { identity, .. } => {
                let Some(identity) = identity else { return Err(Problem::new(Slug::InvalidCredentials)) };
                writes.insert(USED, sso::use_up(self.account, identity, user.id)?);
                writes.extend(bound(user, self.binds(user), &identity.subject)?);
            }
        }
        Ok((writes, answer))
    }

    /// The write of what was right and opens nothing: it was no wrong password either. A token is not used up by it.
    fn cleared(&self) -> Vec<Write> {
        match &self.first {
            First::Password { username, .. } => vec![Write::delete(password::failures_key(self.account, username))],
            First::IdToken { .. } => Vec::new(),
        }
    }

    /// Whether the token was used before. A second use is not let in, whatever else stood in its way.
    fn is_used_up(&self, failure: &Failure) -> bool {
        matches!(self.first, First::IdToken { .. }) && failure.stood_at(USED).is_some()
    }

    fn challenge(&self) -> Challenge {
        let first = match &self.first {
            First::IdToken { identity: Some(identity), .. } => challenge::First::IdToken { issuer: identity.issuer.clone() },
            First::Password { .. } | First::IdToken { .. } => challenge::First::Password,
        };
        Challenge::after(first, self.now)
    }

    /// Adds that the user's subject is one of this issuer from now on, where it was given before the account had one.
    fn bind(&self, user: &User, update: Write) -> Write {
        match self.binds(user) {
            Some(issuer) => update.and(", #sso_issuer = :issuer").value("issuer", issuer),
            None => update,
        }
    }

    /// The issuer that the user's subject is to be bound to, if it is not: another sign-in may have been faster.
    fn binds(&self, user: &User) -> Option<&str> {
        match &self.first {
            First::IdToken { identity: Some(identity), unbound: true } if user.sso_issuer.is_none() => Some(&identity.issuer),
            First::IdToken { .. } | First::Password { .. } => None,
        }
    }

    async fn open(&self, app: &App, user: &User, challenge: Challenge, offers: Vec<Offer>) -> Result<(Write, Owed), Problem> {
        let keyring = app.keyrings.current(self.now).await;
        let source = Source::of(user.id, self.source, &keyring, self.now)?;
        opening::open(user, challenge, offers, &source, (&keyring, &app.entropy, self.now))
    }

    async fn token(&self, app: &App, call: &Call, user: &User, acr: Acr) -> Result<Answer, Problem> {
        let keyring = app.keyrings.current(self.now).await;
        let subject = access_token::Subject::of(user);
        let proof = match &self.first {
            First::IdToken { identity: Some(identity), .. } => Proof::id_token(acr, identity.auth_time),
            First::IdToken { .. } | First::Password { .. } => Proof::password(acr, self.now),
        };
        let issuer = call.base_url(app.config.base_url.as_deref());
        let token = access_token::sign(&subject, &proof, &issuer, &keyring, &app.entropy, self.now)?;
        Ok(Answer::Authenticated(Authenticated::new(token, &proof)))
    }

    /// The writes of a try that failed: the same three, whoever it was.
    fn rejection(&self, reason: &'static str, trim: Option<&[shared::clock::Timestamp]>) -> Result<Vec<Write>, Failure> {
        let source = keys::source_failures(&source_key(self.source));
        let mut writes = vec![password::PER_SOURCE.enter(source, self.now, trim)];
        writes.extend(self.subject.tell(self.account, self.failures(self.subject.id(), reason), self.now)?);
        Ok(writes)
    }

    /// Why nobody is let in. A token's own fault is told before that it names nobody.
    const fn unknown(&self, verdict: Verdict) -> &'static str {
        match (&self.first, verdict) {
            (First::IdToken { .. }, Verdict::Wrong(reason)) => reason,
            (First::IdToken { .. }, Verdict::Right) => UNKNOWN_SUBJECT,
            (First::Password { .. }, _) => "unknown-user",
        }
    }

    /// The entry of a try that failed, and that of the delay it brought on.
    fn failures(&self, id: UserId, reason: &'static str) -> impl Iterator<Item = Event> {
        let failed = self.event(id).failed().with("reason", reason);
        let failures = match self.first {
            First::Password { failures, .. } => failures,
            First::IdToken { .. } => 0,
        };
        let delay = password::BACKOFF.delay(failures);
        let delayed = Event::new(Action::PasswordDelayed, Actor::System).from(self.source);
        let delayed = delayed.with("failures", failures).with("delay", delay.as_secs());
        std::iter::once(failed).chain((delay > Span::default()).then_some(delayed))
    }

    /// Reads the subject again after a write that lost a race.
    async fn read_again(&mut self, app: &App) -> Result<(), Failure> {
        let (id, known) = match &self.subject {
            Subject::User(user) => (user.id, true),
            Subject::Nobody { id, .. } => (*id, false),
        };
        let stands = Subject::read(id, known, app.table.get(Subject::key(id, known)).await?)?;
        self.subject = stands.unwrap_or_else(|| Subject::new_nobody(self.account, &id.to_string()));
        Ok(())
    }

    fn event(&self, user: UserId) -> Event {
        let method = match self.first {
            First::Password { .. } => "password",
            First::IdToken { .. } => "sso",
        };
        Event::new(Action::SignIn, Actor::User(user)).from(self.source).with("method", method)
    }
}

/// Whether this user is who a token names: the subject is still theirs, and of no other issuer.
fn is_named(user: &User, identity: &Identity) -> bool {
    let issuer = user.sso_issuer.as_ref().is_none_or(|issuer| *issuer == identity.issuer);
    issuer && user.sso_subject.as_ref() == Some(&identity.subject)
}

/// The writes that bind a subject to its issuer, where it is not.
fn bound(user: &User, issuer: Option<&str>, subject: &str) -> Result<Vec<Write>, Failure> {
    let Some(issuer) = issuer else { return Ok(Vec::new()) };
    let stored = sso::Subject { user: user.id, group: user.group.clone() };
    let unbound =
        Write::delete(sso::Subject::key(user.account, None, subject)).when("#user = :user").value("user", user.id.to_string());
    Ok(vec![stored.claim(user.account, Some(issuer), subject)?, unbound])
}

fn acr_name(acr: Acr) -> &'static str {
    match acr {
        Acr::SingleFactor => "single-factor",
        Acr::AllowlistedNetwork => "allowlisted-network",
        Acr::TwoFactorEmail => "two-factor-email",
        Acr::TwoFactor => "two-factor",
        Acr::Kba => "kba",
    }
}
