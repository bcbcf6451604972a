//! What comes of an attempt: one transaction, and the answer.

use shared::kernel::ids::UserId;
use shared::kernel::keyring::Keyring;
use shared::signin::access_token::{self, Acr, Proof};
use shared::signin::challenge::{self, Asks, Challenge};
use shared::signin::opening;
use shared::signin::rejection::{Rejection, lockout};
use shared::signin::sign_in::{Answer, Authenticated, Next, Offer, next};
use shared::signin::sso;
use shared::signin::user::known::HashedIp;
use shared::signin::user::refused::RefusedPasswords;
use shared::signin::user::subject::Subject;
use shared::signin::user::{User, sso_subject};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{Failure, RetryPolicy, Update, Write};
use shared::web::http::{Call, Problem, Slug};

use crate::attempt::{Password, PrimaryFactor, PrimaryFactorAttempt, PrimaryFactorVerdict};

/// Why a token that is good lets nobody in.
const UNKNOWN_SUBJECT: &str = "unknown-subject";

/// What a right first factor has led to.
struct Opened {
    /// Of the user's item.
    update: Update,
    /// The writes of other items.
    others: Vec<Write>,
    event: Event,
    answer: Result<Answer, Problem>,
}

impl PrimaryFactorAttempt {
    /// Concludes the attempt, given what the proof told. What lost a race is decided anew, from the
    /// read on.
    pub async fn conclude(
        mut self,
        app: &App,
        call: &Call,
        mut verdict: PrimaryFactorVerdict,
    ) -> Result<Answer, Problem> {
        let mut retries = RetryPolicy::default();
        loop {
            let user = match self.judged(verdict) {
                Ok(user) => user,
                Err(reason) => return Err(self.reject(app, reason).await?),
            };
            let (writes, answer) = self.acceptance(app, call, user).await?;
            if writes.is_empty() {
                return answer;
            }
            let failure = match app.table.transact(writes).await {
                Ok(()) => return answer,
                Err(failure @ Failure::Unavailable(_)) => return Err(failure.into()),
                Err(failure) => failure,
            };
            if self.is_used_up(&failure) {
                verdict = PrimaryFactorVerdict::Wrong(sso::IdTokenRefusal::Used.reason());
            }
            retries.wait(&app.entropy).await?;
            self.subject = self.subject.again(self.account, &app.table).await?;
        }
    }

    /// The user, if the attempt is a success; otherwise why it is none, for the audit alone.
    ///
    /// What was proved is held against the user as it stands now: a password that was right when
    /// its hash was read may have been replaced while it was compared, and a subject may have been
    /// taken away. Whatever replaces them moves the head of the user's chain, which is a condition
    /// of the acceptance.
    fn judged(&self, verdict: PrimaryFactorVerdict) -> Result<&User, &'static str> {
        let user = match (&self.subject, verdict) {
            (Subject::User(user), PrimaryFactorVerdict::Right) => user,
            (Subject::User(_), PrimaryFactorVerdict::Wrong(reason)) => return Err(reason),
            (Subject::Decoy { .. }, _) => return Err(self.unknown(verdict)),
        };
        if user.disabled || user.account != self.account {
            return Err("disabled");
        }
        let (theirs, otherwise) = match &self.primary {
            PrimaryFactor::Password(Password {
                counter, version, ..
            }) => (
                user.password_version == *version && user.username == counter.username,
                "wrong-password",
            ),
            PrimaryFactor::IdToken { identity, .. } => (
                identity
                    .as_ref()
                    .is_some_and(|it| sso_subject::is_named(user, it)),
                UNKNOWN_SUBJECT,
            ),
        };
        if theirs { Ok(user) } else { Err(otherwise) }
    }

    /// The writes and the answer of a right password or token. Both tell how many passwords were
    /// refused without a comparison. A right password ends the wrong ones in a row, whatever comes
    /// next; a token is used up.
    async fn acceptance(
        &self,
        app: &App,
        call: &Call,
        user: &User,
    ) -> Result<(Vec<Write>, Result<Answer, Problem>), Problem> {
        let keyring = app.keyrings.current(self.now).await;
        let hashed_ip = HashedIp::of(user.id, self.client_ip, &keyring, self.now)?;
        let (origin, methods) = (
            user.known.origin(&hashed_ip),
            self.settings.second_factor.methods,
        );
        let next = next(user, self.waived(), methods, origin, self.now);
        let opened = match self.opened(app, call, (user, &hashed_ip, &keyring), next)? {
            Ok(opened) => opened,
            Err(full) => return Ok((self.unopened(user)?, Err(full))),
        };
        let refused = self.refused(app, user).await?;
        // `disabled` is a condition: a user disabled since the read is not let in.
        let update = self.bind(user, opened.update.when(User::is_enabled()));
        let (update, told) = user.report_refused(update, &refused, self.now)?;
        let events = told.into_iter().chain([opened.event]);
        let mut writes = user.change(update, events, self.now)?;
        writes.extend(opened.others);
        writes.extend(self.ended(user)?);
        Ok((writes, opened.answer))
    }

    /// The passwords that were refused without a comparison.
    async fn refused(&self, app: &App, user: &User) -> Result<RefusedPasswords, Failure> {
        match &self.primary {
            PrimaryFactor::Password(Password { refused, .. }) => Ok(*refused),
            PrimaryFactor::IdToken { .. } => {
                RefusedPasswords::unreported(user, &app.table, self.now).await
            }
        }
    }

    /// The writes of what a right first factor ends, beside the user's: the wrong passwords in a
    /// row, or the token, whose subject may become one of its issuer.
    fn ended(&self, user: &User) -> Result<Vec<Write>, Problem> {
        let PrimaryFactor::IdToken { identity, .. } = &self.primary else {
            return Ok(self.cleared());
        };
        let Some(identity) = identity else {
            return Err(Problem::new(Slug::InvalidCredentials));
        };
        let mut writes = vec![sso::use_up(self.account, identity, user.id)?.into()];
        if let Some(issuer) = self.binds(user) {
            writes.extend(sso_subject::bound(user, issuer, &identity.subject)?);
        }
        Ok(writes)
    }

    /// What a right first factor leads to: `Err` where so many challenges are open that no other
    /// is.
    fn opened(
        &self,
        app: &App,
        call: &Call,
        whom: (&User, &HashedIp, &Keyring),
        next: Next,
    ) -> Result<Result<Opened, Problem>, Problem> {
        match next {
            Next::Done(acr) => Ok(Ok(self.done(app, call, whom, acr)?)),
            Next::NoUsableFactor => Ok(Ok(self.no_usable_factor(whom.0))),
            Next::SecondFactor(offers) => Ok(self.asked(app, whom, self.challenge(), offers)),
            Next::Enrolment(offers) => {
                Ok(self.asked(app, whom, self.challenge().to_enrol(), offers))
            }
        }
    }

    /// The end of a sign-in that takes no second factor.
    fn done(
        &self,
        app: &App,
        call: &Call,
        (user, hashed_ip, keyring): (&User, &HashedIp, &Keyring),
        acr: Acr,
    ) -> Result<Opened, Failure> {
        let (update, others) = self.remember(user, hashed_ip)?;
        Ok(Opened {
            update,
            others,
            event: self.event(user.id).with("acr", acr_name(acr)),
            answer: self.token(app, call, (user, keyring), acr),
        })
    }

    /// The end of a sign-in of whoever has no second factor that can be used.
    fn no_usable_factor(&self, user: &User) -> Opened {
        let event = self.event(user.id).failed();
        Opened {
            update: user.touch(),
            others: Vec::new(),
            event: event.with("reason", "no-usable-factor"),
            answer: Err(Problem::new(Slug::NoUsableFactor)),
        }
    }

    /// A challenge that asks for what is offered, where there is room for it.
    fn asked(
        &self,
        app: &App,
        (user, hashed_ip, keyring): (&User, &HashedIp, &Keyring),
        challenge: Challenge,
        offers: Vec<Offer>,
    ) -> Result<Opened, Problem> {
        let asks = challenge.asks;
        let drawn_from = (keyring, &app.entropy, self.now);
        let (update, asked) = opening::open(user, challenge, offers, hashed_ip, drawn_from)?;
        let (next, answer) = match asks {
            Asks::Enrolment => ("enrolment", Answer::EnrolmentRequired(asked)),
            Asks::SecondFactor => ("second-factor", Answer::SecondFactorRequired(asked)),
        };
        Ok(Opened {
            update,
            others: Vec::new(),
            event: self.event(user.id).with("next", next),
            answer: Ok(answer),
        })
    }

    /// The address of a sign-in that a first factor completes is one that the user is known at.
    fn remember(&self, user: &User, hashed_ip: &HashedIp) -> Result<(Update, Vec<Write>), Failure> {
        let (update, copy) = user.remember(user.touch(), hashed_ip)?;
        let mut others: Vec<Write> = copy.into_iter().map(Write::from).collect();
        // A password ends the counts by itself.
        if let PrimaryFactor::IdToken { .. } = self.primary {
            others.extend(user.signed_in_from(hashed_ip).map(Write::from));
        }
        Ok((update, others))
    }

    /// The writes of what was right and opens nothing. Of a token there are none: it is not used
    /// up. A password is none of the wrong ones, if it is still the user's: the head of the chain
    /// says so, as in every acceptance. That it ended others is told; where there were none nothing
    /// is, so that nobody who knows the password fills the chain.
    fn unopened(&self, user: &User) -> Result<Vec<Write>, Failure> {
        let PrimaryFactor::Password(Password {
            failures, refused, ..
        }) = &self.primary
        else {
            return Ok(Vec::new());
        };
        let event = self
            .event(user.id)
            .failed()
            .with("reason", "too-many-challenges");
        let event = (*failures > 1).then_some(event);
        let (update, told) = user.report_refused(user.touch(), refused, self.now)?;
        let mut writes = user.change(update, told.into_iter().chain(event), self.now)?;
        writes.extend(self.cleared());
        Ok(writes)
    }

    /// The writes of what was right, whatever it opens: it was no wrong password. Of a token there
    /// are none: it is not used up.
    fn cleared(&self) -> Vec<Write> {
        match &self.primary {
            PrimaryFactor::Password(Password {
                counter,
                of_strangers,
                ..
            }) => counter
                .end(*of_strangers)
                .into_iter()
                .map(Write::from)
                .collect(),
            PrimaryFactor::IdToken { .. } => Vec::new(),
        }
    }

    /// Whether the token was used before. A second use is not let in, whatever else stood in its
    /// way.
    fn is_used_up(&self, failure: &Failure) -> bool {
        let PrimaryFactor::IdToken {
            identity: Some(identity),
            ..
        } = &self.primary
        else {
            return false;
        };
        failure
            .stood_at(&sso::used_key(self.account, identity))
            .is_some()
    }

    fn challenge(&self) -> Challenge {
        let primary = match &self.primary {
            PrimaryFactor::IdToken {
                identity: Some(identity),
                ..
            } => challenge::PrimaryFactor::IdToken {
                issuer: identity.issuer.clone(),
            },
            PrimaryFactor::Password(_) | PrimaryFactor::IdToken { .. } => {
                challenge::PrimaryFactor::Password
            }
        };
        Challenge::after(primary, self.now)
    }

    /// Adds that the user's subject is one of this issuer from now on, where it was given before
    /// the account had one.
    fn bind(&self, user: &User, update: Update) -> Update {
        match self.binds(user) {
            Some(issuer) => sso_subject::bind(update, issuer),
            None => update,
        }
    }

    /// The issuer that the user's subject is to be bound to, if it is not: another sign-in may have
    /// been faster.
    fn binds(&self, user: &User) -> Option<&str> {
        match &self.primary {
            PrimaryFactor::IdToken {
                identity: Some(identity),
                unbound: true,
            } if user.sso_issuer.is_none() => Some(&identity.issuer),
            PrimaryFactor::IdToken { .. } | PrimaryFactor::Password(_) => None,
        }
    }

    fn token(
        &self,
        app: &App,
        call: &Call,
        (user, keyring): (&User, &Keyring),
        acr: Acr,
    ) -> Result<Answer, Problem> {
        let subject = access_token::Subject::of(user);
        let proof = match &self.primary {
            PrimaryFactor::IdToken {
                identity: Some(identity),
                ..
            } => Proof::id_token(acr, identity.auth_time),
            PrimaryFactor::IdToken { .. } | PrimaryFactor::Password(_) => {
                Proof::password(acr, self.now)
            }
        };
        let issuer = call.base_url(app.config.base_url.as_deref());
        let token = access_token::sign(&subject, &proof, &issuer, keyring, &app.entropy, self.now)?;
        Ok(Answer::Authenticated(Authenticated::new(token, &proof)))
    }

    /// Writes down an attempt that lets nobody in: the same writes, whoever it was.
    async fn reject(self, app: &App, reason: &'static str) -> Result<Problem, Failure> {
        let failed = self
            .event(self.subject.id())
            .failed()
            .with("reason", reason);
        let lockout = match &self.primary {
            PrimaryFactor::Password(Password {
                counter, failures, ..
            }) => lockout(*failures, counter.origin, self.client_ip),
            PrimaryFactor::IdToken { .. } => None,
        };
        let events = std::iter::once(failed).chain(lockout).collect();
        let rejection = Rejection {
            account: self.account,
            subject: self.subject,
            client_ip: self.client_ip,
            now: self.now,
        };
        rejection
            .judged(app, events, Problem::new(Slug::InvalidCredentials))
            .await
    }

    /// Why nobody is let in. A token's own fault is told before that it names nobody.
    const fn unknown(&self, verdict: PrimaryFactorVerdict) -> &'static str {
        match (&self.primary, verdict) {
            (PrimaryFactor::IdToken { .. }, PrimaryFactorVerdict::Wrong(reason)) => reason,
            (PrimaryFactor::IdToken { .. }, PrimaryFactorVerdict::Right) => UNKNOWN_SUBJECT,
            (PrimaryFactor::Password(_), _) => "unknown-user",
        }
    }

    fn event(&self, user: UserId) -> Event {
        let method = match self.primary {
            PrimaryFactor::Password(_) => "password",
            PrimaryFactor::IdToken { .. } => "sso",
        };
        Event::new(Action::SignIn, Actor::User(user))
            .from(self.client_ip)
            .with("method", method)
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
