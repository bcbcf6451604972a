//! `PATCH /v1/me`: a user's own password and language. A phone or a mail address is proved first:
//! see [`crate::contact`].

use std::sync::Arc;

use serde::Deserialize;
use shared::account::Locale;
use shared::kernel::keyring::Keyring;
use shared::kernel::secret::Secret;
use shared::signin::me::Response;
use shared::signin::notice::{self, Notices};
use shared::signin::signed_in::{SignedIn, signed_in};
use shared::signin::user::change::{self, Change};
use shared::signin::user::new_password::NewPassword;
use shared::signin::user::{User, fields};
use shared::store::audit::Actor;
use shared::store::dynamo::{Failure, RetryPolicy, Write};
use shared::web::http::patch::{Member, given};
use shared::web::http::refusals::contended;
use shared::web::http::{Body, Call, FieldErrors, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::State;
use crate::current_password::{self, Proved};

/// A JSON Merge Patch of the signed-in user. `null` takes a field away, where there may be none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchMe)]
pub struct Request {
    /// 8 to 256 characters in NFKC, in the place of the one before, and only with it; at least 15
    /// where it may let an internal user in by itself. Not one of those that are used most, nor the
    /// username or the organisation's name. Ends the sign-ins that are under way. Who was given no
    /// password sets none: 403.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, example = "correct horse battery", min_length = 8, max_length = 256, nullable = false)]
    pub password: Option<Secret<String>>,
    /// The password before, with a new one alone: a wrong one counts as at sign-in.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, format = "password", nullable = false)]
    pub current_password: Option<Secret<String>>,
    /// The language of messages; null for the account's.
    #[serde(default)]
    #[schema(value_type = Option<Locale>)]
    pub locale: Member<Locale>,
}

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let (change, passwords) = read(Body::read(call.merge_patch()?)?)?;
    let (new, current) = passwords
        .map(|passwords| (passwords.new, passwords.current))
        .unzip();
    let keyring = state.app.keyrings.current(call.arrived_at).await;
    let asked = Asked {
        state,
        call,
        keyring,
        if_match: call.if_match()?,
        new,
    };
    let who = asked.who().await?;
    let Some(current) = current else {
        return asked.make(change, who, None).await;
    };
    let (who, proved) = asked.prove(who, &current).await?;
    let outcome = asked.make(change, who, Some(&proved)).await;
    if let Err(problem) = &outcome {
        proved.refused(&state.app, call, problem).await?;
    }
    outcome
}

/// A request, as far as it is the same whatever the user is by the time that it is written.
struct Asked<'a> {
    state: &'a State,
    call: &'a Call,
    keyring: Arc<Keyring>,
    if_match: Option<u64>,
    /// The new password.
    new: Option<Secret<String>>,
}

impl Asked<'_> {
    /// The user as it stands now, who may be changed so. The rules of a password come before its
    /// hash, which costs, and are of each user that it is written to.
    async fn who(&self) -> Result<SignedIn, Problem> {
        let who = signed_in(
            &self.state.app,
            self.call,
            &self.keyring,
            self.call.arrived_at,
        )
        .await?;
        may(&who, self.if_match, self.call.arrived_at)?;
        may_have(&who, self.new.as_ref()).map(|()| who)
    }

    /// Holds the password that is shown against the user's.
    async fn prove(
        &self,
        mut who: SignedIn,
        current: &Secret<String>,
    ) -> Result<(SignedIn, Proved), Problem> {
        let (app, mut retries) = (&self.state.app, RetryPolicy::default());
        loop {
            if let Some(proved) =
                current_password::prove(app, self.call, &who.user, &self.keyring, current).await?
            {
                return Ok((who, proved));
            }
            retries.wait(&app.entropy).await.map_err(contended)?;
            who = self.who().await?;
        }
    }

    /// Makes the change, of the user as it stands.
    async fn make(
        &self,
        mut change: Change,
        mut who: SignedIn,
        proved: Option<&Proved>,
    ) -> Outcome {
        let app = &self.state.app;
        if let Some(new) = &self.new {
            change.hash(Member::Set(new.clone()), &app.entropy).await?;
        }
        let (mut notices, mut retries) = (Notices::default(), RetryPolicy::default());
        loop {
            let patched = self.patched(&change, &who);
            let changed = change.names(&who.user, &patched)?;
            if changed.is_empty() {
                return Ok(told(who));
            }
            let writes = self.writes(&change, &who, (&patched, &changed), &mut notices)?;
            let written = app.table.transact(writes).await;
            notices.learn(&written);
            let settled = retries.settled(written, &app.entropy).await;
            if settled.map_err(contended)? {
                notices.deliver(app, &self.state.courier).await;
                who.user = patched;
                return Ok(told(who));
            }
            who = self.who().await?;
            // What was shown was another of the user's passwords by now.
            if proved.is_some_and(|proved| !proved.is_password_of(&who.user)) {
                return Err(Problem::new(Slug::Conflict).header("retry-after", "1".into()));
            }
        }
    }

    fn patched(&self, change: &Change, who: &SignedIn) -> User {
        let mut patched = change.over(&who.user, None, self.call.arrived_at);
        if patched.token_epoch != who.user.token_epoch {
            // The token that is shown stays good; every other ends, of whatever time: who changes a
            // password means to be alone.
            patched.spared = Some(who.claims.jti.clone());
        }
        patched
    }

    fn writes(
        &self,
        change: &Change,
        who: &SignedIn,
        (patched, changed): (&User, &[&'static str]),
        notices: &mut Notices,
    ) -> Result<Vec<Write>, Failure> {
        let now = self.call.arrived_at;
        let notice = notice::Change {
            before: &who.user,
            after: patched,
            account: &who.account,
            locale: who.settings.locale,
            changed: &change::told(changed, patched),
            sms_countries: &self.state.app.config.sms_countries,
        };
        let event =
            change::event(changed, patched, Actor::User(patched.id)).from(self.call.client_ip);
        let telling = notices.writes(&notice, now)?;
        change.writes(&who.user, patched, None, telling, event, now)
    }
}

fn told(who: SignedIn) -> Reply {
    let version = who.user.version;
    Reply::json(&Response::of(who)).etag(version)
}

/// Whether the user, as it was read, may have the password.
fn may_have(who: &SignedIn, password: Option<&Secret<String>>) -> Result<(), Problem> {
    let Some(password) = password else {
        return Ok(());
    };
    let rules = NewPassword::of(
        &who.user.username,
        who.user.kind,
        &who.account,
        &who.settings,
    );
    rules
        .check(password)
        .map_err(|why| Problem::invalid_field("/password", why))
}

/// A new password, and the one before.
struct Passwords {
    new: Secret<String>,
    current: Secret<String>,
}

/// Holds every field against its rule.
fn read(request: Request) -> Result<(Change, Option<Passwords>), Problem> {
    let mut errors = FieldErrors::default();
    let (new, current) = (request.password, request.current_password);
    for (pointer, is_missing) in [
        ("/current_password", new.is_some() && current.is_none()),
        ("/password", new.is_none() && current.is_some()),
    ] {
        if is_missing {
            errors.add(pointer, "is required: a new password needs the current one");
        }
    }
    let new = new.and_then(|password| errors.check("/password", &password, fields::password));
    errors.finish()?;
    let change = Change {
        locale: request.locale,
        ..Change::default()
    };
    Ok((
        change,
        new.zip(current)
            .map(|(new, current)| Passwords { new, current }),
    ))
}

/// Whether the user may be changed by the token, and is the one that was meant.
fn may(
    who: &SignedIn,
    if_match: Option<u64>,
    now: shared::kernel::clock::Timestamp,
) -> Result<(), Problem> {
    if !who.claims.is_fresh(now) {
        return Err(Problem::new(Slug::FreshSecondFactorRequired));
    }
    let stale = if_match.is_some_and(|version| version != who.user.version);
    if stale {
        Err(Problem::new(Slug::PreconditionFailed))
    } else {
        Ok(())
    }
}
