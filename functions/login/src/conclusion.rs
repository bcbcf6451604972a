//! What comes of a try: one transaction, and the answer.

use shared::access_token::{self, Acr, Proof};
use shared::app::App;
use shared::audit::{Action, Actor, Event};
use shared::challenge::Challenge;
use shared::clock::Span;
use shared::config::source_key;
use shared::dynamo::{Failure, Patience, Write, keys};
use shared::http::{Call, Problem, Slug, refusals};
use shared::ids::UserId;
use shared::opening;
use shared::sign_in::{Answer, Authenticated, Next, Offer, Owed, next};
use shared::throttle::Window;
use shared::user::subject::Subject;
use shared::user::{User, password};

use crate::attempt::Attempt;

/// The place of the source address's write in a rejection.
const SOURCE: usize = 0;

impl Attempt {
    /// Concludes the try, given whether the password was right. What lost a race is decided anew, from the read on.
    pub async fn conclude(mut self, app: &App, call: &Call, right: bool) -> Result<Answer, Problem> {
        let mut patience = Patience::default();
        let mut trim = None;
        loop {
            let (writes, answer) = match self.accepted(right) {
                Some(user) => self.acceptance(app, call, user).await?,
                None => (self.rejection(right, trim.as_deref())?, Err(Problem::new(Slug::InvalidCredentials))),
            };
            let failure = match app.table.transact(writes).await {
                Ok(()) => return answer,
                Err(failure @ Failure::Unavailable(_)) => return Err(failure.into()),
                Err(failure) => failure,
            };
            if let Some(stood) = failure.stood_at(SOURCE).filter(|_| self.accepted(right).is_none()) {
                let moments = Window::moments(stood);
                if let Some((until, limit)) = password::PER_SOURCE.full_until(&moments, self.now) {
                    return Err(refusals::source_blocked(until, limit.quota, limit.span, self.now));
                }
                trim = Some(moments);
            }
            patience.wait(&app.entropy).await?;
            self.read_again(app).await?;
        }
    }

    /// The user, if the try is a success.
    fn accepted(&self, right: bool) -> Option<&User> {
        match &self.subject {
            Subject::User(user) if right && !user.disabled && user.account == self.account => Some(user),
            Subject::User(_) | Subject::Nobody { .. } => None,
        }
    }

    /// The writes and the answer of a right password. A right password ends the wrong ones in a row, whatever comes next.
    async fn acceptance(&self, app: &App, call: &Call, user: &User) -> Result<(Vec<Write>, Result<Answer, Problem>), Problem> {
        let (update, event, answer) = match next(user, self.waived(), self.settings.second_factor.methods, self.now) {
            Next::Done(acr) => {
                (user.touch(), self.event(user.id).with("acr", acr_name(acr)), self.token(app, call, user, acr).await)
            }
            Next::NoUsableFactor => {
                let event = self.event(user.id).failed().with("reason", "no-usable-factor");
                (user.touch(), event, Err(Problem::new(Slug::NoUsableFactor)))
            }
            Next::SecondFactor(offers) => {
                let (update, owed) = self.open(app, user, Challenge::open(self.now), offers).await?;
                (update, self.event(user.id).with("next", "second-factor"), Ok(Answer::SecondFactorRequired(owed)))
            }
            Next::Enrolment(offers) => {
                let (update, owed) = self.open(app, user, Challenge::enrolling(self.now), offers).await?;
                (update, self.event(user.id).with("next", "enrolment"), Ok(Answer::EnrolmentRequired(owed)))
            }
        };
        // `disabled` is a condition: a user disabled since the read is not let in.
        let update = update.when("#disabled = :no").value("no", false);
        let mut writes = user.change(update, [event], self.now)?;
        writes.push(Write::delete(password::failures_key(self.account, &self.username)));
        Ok((writes, answer))
    }

    async fn open(&self, app: &App, user: &User, challenge: Challenge, offers: Vec<Offer>) -> Result<(Write, Owed), Problem> {
        let keyring = app.keyrings.current(self.now).await;
        opening::open(user, &challenge, offers, &keyring, &app.entropy, self.now)
    }

    async fn token(&self, app: &App, call: &Call, user: &User, acr: Acr) -> Result<Answer, Problem> {
        let keyring = app.keyrings.current(self.now).await;
        let subject = access_token::Subject { user: user.id, account: user.account, kind: user.kind };
        let proof = Proof::password(acr, self.now);
        let issuer = call.base_url(app.config.base_url.as_deref());
        let token = access_token::sign(&subject, &proof, &issuer, &keyring, &app.entropy, self.now)?;
        Ok(Answer::Authenticated(Authenticated::new(token, &proof)))
    }

    /// The writes of a try that failed: the same three, whoever it was.
    fn rejection(&self, right: bool, trim: Option<&[shared::clock::Timestamp]>) -> Result<Vec<Write>, Failure> {
        let source = keys::source_failures(&source_key(self.source));
        let mut writes = vec![password::PER_SOURCE.enter(source, self.now, trim)];
        let reason = match &self.subject {
            Subject::User(_) if right => "disabled",
            Subject::User(_) => "wrong-password",
            Subject::Nobody { .. } => "unknown-user",
        };
        writes.extend(self.subject.tell(self.account, self.failures(self.subject.id(), reason), self.now)?);
        Ok(writes)
    }

    /// The entry of a try that failed, and that of the delay it brought on.
    fn failures(&self, id: UserId, reason: &'static str) -> impl Iterator<Item = Event> {
        let failed = self.event(id).failed().with("reason", reason);
        let delay = password::BACKOFF.delay(self.failures);
        let delayed = Event::new(Action::PasswordDelayed, Actor::System).from(self.source);
        let delayed = delayed.with("failures", self.failures).with("delay", delay.as_secs());
        std::iter::once(failed).chain((delay > Span::default()).then_some(delayed))
    }

    /// Reads the subject again after a write that lost a race.
    async fn read_again(&mut self, app: &App) -> Result<(), Failure> {
        let (id, known) = match &self.subject {
            Subject::User(user) => (user.id, true),
            Subject::Nobody { id, .. } => (*id, false),
        };
        let stands = Subject::read(id, known, app.table.get(Subject::key(id, known)).await?)?;
        self.subject = stands.unwrap_or_else(|| Subject::new_nobody(self.account, &self.username));
        Ok(())
    }

    fn event(&self, user: UserId) -> Event {
        Event::new(Action::SignIn, Actor::User(user)).from(self.source).with("method", "password")
    }
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
