//! Who asks, and what lets them: an access token, or the challenge of a first sign-in.

use std::sync::Arc;

use shared::account::{Account, Settings};
use shared::kernel::clock::Timestamp;
use shared::kernel::keyring::{Keyring, KeyringError};
use shared::kernel::secret::Secret;
use shared::signin::access_token::Claims;
use shared::signin::challenge::{Asks, Challenge, ChallengeRefusal, Place, Ticket};
use shared::signin::completion::Completion;
use shared::signin::notice::{self, Changed, Notices};
use shared::signin::refusals::too_many_changes;
use shared::signin::sign_in::Answer;
use shared::signin::signed_in::{claims, signed_in_beside, unauthorized};
use shared::signin::user::known::{HashedIp, Origin};
use shared::signin::user::{Method, User};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Update, Wanted, Write, keys, read};
use shared::web::http::{Call, Problem, Slug};

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
        Self::by_either(app, call, None).await
    }

    /// Whoever shows a challenge, or an access token where there is none.
    pub async fn by_either(
        app: &App,
        call: &Call,
        challenge: Option<&Secret<String>>,
    ) -> Result<Self, Problem> {
        Ok(Self::beside(app, call, challenge, |_| Ok(())).await?.0)
    }

    /// The same, and what was read in the same request: `more` is told by what name the caller
    /// goes.
    pub async fn beside<W: Wanted>(
        app: &App,
        call: &Call,
        challenge: Option<&Secret<String>>,
        more: impl FnOnce(&str) -> Result<W, Problem>,
    ) -> Result<(Self, W::Found), Problem> {
        let keyring = app.keyrings.current(call.arrived_at).await;
        match challenge {
            Some(challenge) => Self::by_challenge(app, call, keyring, challenge, more).await,
            None => Self::by_claims(app, call, keyring, more).await,
        }
    }

    async fn by_claims<W: Wanted>(
        app: &App,
        call: &Call,
        keyring: Arc<Keyring>,
        more: impl FnOnce(&str) -> Result<W, Problem>,
    ) -> Result<(Self, W::Found), Problem> {
        let now = call.arrived_at;
        let claims = claims(app, call, &keyring, now)?;
        let more = more(&claims.sub)?;
        let (signed_in, beside) = signed_in_beside(app, call, claims, more).await?;
        let who = Self {
            user: signed_in.user,
            account: signed_in.account,
            settings: signed_in.settings,
            keyring,
            now,
            shown: Shown::Token(signed_in.claims),
        };
        Ok((who, beside))
    }

    async fn by_challenge<W: Wanted>(
        app: &App,
        call: &Call,
        keyring: Arc<Keyring>,
        challenge: &Secret<String>,
        more: impl FnOnce(&str) -> Result<W, Problem>,
    ) -> Result<(Self, W::Found), Problem> {
        let now = call.arrived_at;
        let ticket =
            Ticket::read(challenge.expose(), &keyring).map_err(|refusal| refusal.problem(now))?;
        let more = more(&ticket.name)?;
        let user = keys::user(ticket.user).holding::<User>();
        let wanted = (user, ticket.settings_wanted(call), more);
        let (user, (account, group), beside) = app.table.find(wanted).await?;
        let known = user.zip(account);
        let (user, account) = known.ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
        let settings = account
            .settings_in(user.group.as_deref(), group, &app.table)
            .await?;
        let who = Self {
            user,
            account,
            settings,
            keyring,
            now,
            shown: Shown::Challenge(ticket, challenge.clone()),
        };
        Ok((who, beside))
    }

    /// Whether a factor may be changed.
    pub fn may_change(&self) -> Result<(), Problem> {
        self.was_fresh_at(self.now)
    }

    /// Whether a second factor was proved lately enough before `moment`: of a confirmation, when
    /// its enrolment began.
    fn was_fresh_at(&self, moment: Timestamp) -> Result<(), Problem> {
        match &self.shown {
            Shown::Token(claims) if claims.is_fresh(moment) => Ok(()),
            Shown::Token(_) | Shown::Challenge(..) => {
                Err(Problem::new(Slug::FreshSecondFactorRequired))
            }
        }
    }

    /// Whether a factor may be set up, or confirmed that was begun at `begun_at`. Who has none, and
    /// never had one, may with the first alone, where the account has it on. A contact is of use
    /// also where it is not, for what is told by it.
    pub fn may_enrol(&self, method: Method, begun_at: Timestamp) -> Result<(), Problem> {
        let methods = self.settings.second_factor.methods;
        let first = match &self.shown {
            Shown::Token(_) => self.user.may_enrol(method, methods, false, self.now),
            // How it was opened decided whether a reset lets it in: a reset ends those that were
            // open.
            Shown::Challenge(..) => {
                let open = self.challenge()?.is_some_and(|open| {
                    open.asks == Asks::Enrolment && open.primary.admits_enrolment()
                });
                open && self.user.may_enrol(method, methods, true, self.now)
            }
        };
        let wanted_as_factor = method == Method::Totp || matches!(self.shown, Shown::Challenge(..));
        if wanted_as_factor && !method.is_on(methods) {
            return Err(Problem::new(Slug::MethodNotEnabled));
        }
        if first {
            Ok(())
        } else {
            self.was_fresh_at(begun_at)
        }
    }

    /// Whether the factor can go: an external user is not left without one that can be used.
    pub fn may_remove(&self, method: Method) -> Result<(), Problem> {
        self.may_change()?;
        let last = self
            .user
            .is_last(method, self.settings.second_factor.methods);
        if last {
            Err(Problem::new(Slug::LastFactor))
        } else {
            Ok(())
        }
    }

    /// Whether the user changes the own contact of `method` once more today.
    pub fn may_change_contact(&self, method: Method) -> Result<(), Problem> {
        match self.user.changes_until(method, self.now) {
            Some((until, limit)) => Err(too_many_changes(until, limit, self.now)),
            None => Ok(()),
        }
    }

    /// The challenge, if that is what was shown and it can be gone on with.
    pub fn challenge(&self) -> Result<Option<&Challenge>, Problem> {
        let Shown::Challenge(ticket, _) = &self.shown else {
            return Ok(None);
        };
        let challenge = ticket
            .challenge(&self.user, self.now)
            .map_err(|refusal| refusal.problem(self.now))?;
        if !challenge.primary.leads_on(&self.settings) {
            return Err(ChallengeRefusal::Expired.problem(self.now));
        }
        if challenge.attempts_left() == 0 {
            return Err(ChallengeRefusal::AttemptsSpent(challenge.expires_at).problem(self.now));
        }
        Ok(Some(challenge))
    }

    /// Adds to an update the condition that whoever asks may still.
    pub fn guard(&self, update: Update) -> Update {
        match &self.shown {
            Shown::Token(claims) => User::guard_token(update, claims),
            Shown::Challenge(ticket, _) => ticket.guard(update, self.now),
        }
    }

    /// Adds to an update what it ends where a factor is taken away or replaced by who shows an
    /// access token: every other token, and the sign-ins under way. A challenge sets up a first
    /// factor: nothing was proved with another before.
    pub fn end_others(&self, update: Update) -> Update {
        match &self.shown {
            Shown::Token(claims) => self.user.end_others(update, claims),
            Shown::Challenge(..) => update,
        }
    }

    /// Where the request comes from, by the user's own list.
    pub fn origin(&self, call: &Call) -> Result<Origin, KeyringError> {
        Ok(self.user.known.origin(&HashedIp::of(
            self.user.id,
            call.client_ip,
            &self.keyring,
            self.now,
        )?))
    }

    /// The end of the challenge by the factor that was set up, and its token, where one was shown.
    pub async fn completion(
        &self,
        method: Method,
        app: &App,
        call: &Call,
    ) -> Result<Option<(Completion, Secret<String>)>, Problem> {
        let (Shown::Challenge(ticket, token), Some(challenge)) = (&self.shown, self.challenge()?)
        else {
            return Ok(None);
        };
        let hashed_ip = HashedIp::of(self.user.id, call.client_ip, &self.keyring, self.now)?;
        let completion = Completion::of(
            ticket,
            challenge,
            method,
            &hashed_ip,
            &app.entropy,
            self.now,
        );
        Ok(Some((
            completion.telling(&self.user, &app.table).await?,
            token.clone(),
        )))
    }

    /// The end of the sign-in, as it is answered, where the factor that was set up was a first one.
    pub fn authenticated(
        &self,
        app: &App,
        call: &Call,
        completion: Option<&(Completion, Secret<String>)>,
    ) -> Result<Option<Answer>, Problem> {
        let Some((end, token)) = completion else {
            return Ok(None);
        };
        let answer = end.answer(app, call, &self.keyring, &self.user, token)?;
        Ok(Some(answer))
    }

    /// The writes of the notices of a change that makes `after` of this user.
    pub fn notices(
        &self,
        app: &App,
        notices: &mut Notices,
        after: &User,
        changed: Changed,
    ) -> Result<Vec<Write>, Failure> {
        let change = notice::Change {
            before: &self.user,
            after,
            account: &self.account,
            locale: self.settings.locale,
            changed: &[changed],
            sms_countries: &app.config.sms_countries,
        };
        notices.writes(&change, self.now)
    }

    /// An entry of what this user does.
    pub fn event(&self, action: Action, call: &Call) -> Event {
        Event::new(action, Actor::User(self.user.id)).from(call.client_ip)
    }

    /// Makes a change that is decided from the user as it was read: `false` where something else
    /// was faster, and it is to be decided anew from the user as it stands. `learn` is told what
    /// became of the transaction.
    pub async fn settle(
        &mut self,
        app: &App,
        writes: Vec<Write>,
        retries: &mut RetryPolicy,
        mut learn: impl FnMut(&Result<(), Failure>),
    ) -> Result<bool, Problem> {
        // A link that is spent stays so: what it opened is over, whatever else stands.
        let written = app.table.transact(writes).await;
        learn(&written);
        if written.as_ref().is_err_and(is_spent) {
            return Err(ChallengeRefusal::Used.problem(self.now));
        }
        if retries.settled(written, &app.entropy).await? {
            return Ok(true);
        }
        let user = keys::user(self.user.id).holding::<User>();
        let stands = app.table.find(user).await?;
        self.stands(stands.ok_or(Failure::Conflict)?)?;
        Ok(false)
    }

    /// Counts an attempt on the user's item, before anything is compared, and goes on with the user
    /// as it stood before: `Some` where it could not be counted on that one.
    pub async fn count(&mut self, app: &App, update: Update) -> Result<Option<Failure>, Problem> {
        let (before, failure) = match app
            .table
            .update_with_retries(self.guard(update), &app.entropy)
            .await
        {
            Ok(before) => (before, None),
            Err(failure) => (failure.stood().cloned().unwrap_or_default(), Some(failure)),
        };
        match failure {
            Some(failure) if before.is_empty() => Err(failure.into()),
            failure => self.stands(read(before)?).map(|()| failure),
        }
    }

    /// The writes of a factor that is proved: `update` makes it one, and `end` is that of the
    /// sign-in, where it is a first one.
    pub fn proved(
        &self,
        update: Update,
        event: Event,
        end: Option<&Completion>,
    ) -> Result<Vec<Write>, Problem> {
        let Some(end) = end else {
            let update = self.guard(User::keep_had_factor(update));
            return Ok(self.user.change(update, [event], self.now)?);
        };
        let acr = serde_json::to_value(end.proof.acr).unwrap_or_default();
        let event = event.with("acr", acr);
        let event = end
            .link()
            .into_iter()
            .fold(event, |event, link| event.with("link", link));
        let (update, told, others) = end.consume(&self.user, update)?;
        let events = told.into_iter().chain([event]);
        let mut writes = self.user.change(self.guard(update), events, self.now)?;
        writes.extend(others);
        Ok(writes)
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

/// Whether a link that the transaction was to spend stood in its way.
fn is_spent(failure: &Failure) -> bool {
    matches!(failure, Failure::Condition(stood) if stood.each().any(|(key, _)| key.noun() == "LINK"))
}
