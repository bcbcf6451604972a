//! `PATCH /v1/me`: a user's own password and language. A phone or a mail address is proved first: see [`crate::contact`].

use serde::Deserialize;
use shared::account::Locale;
use shared::audit::Actor;
use shared::dynamo::Patience;
use shared::http::patch::{Member, given};
use shared::http::refusals::contended;
use shared::http::{Body, Call, Faults, Outcome, Problem, Reply, Slug};
use shared::me::Response;
use shared::notice::{self, Notices};
use shared::secret::Secret;
use shared::signed_in::{SignedIn, signed_in};
use shared::user::change::{self, Change};
use shared::user::fields;
use shared::user::new_password::NewPassword;
use utoipa::ToSchema;

use crate::{State, current_password};

/// A JSON Merge Patch of the signed-in user. `null` takes a field away, where there may be none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchMe)]
pub struct Request {
    /// 8 to 256 characters in NFKC, in the place of the one before, and only with it; at least 15 where it may let an internal user in by
    /// itself. Not one of those that are used most, nor the username or the organisation's name. Ends the sign-ins that are under way.
    /// Who was given no password sets none: 403.
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
    let (mut change, passwords) = read(Body::read(call.merge_patch()?)?)?;
    let if_match = call.if_match()?;
    let app = &state.app;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let asked = passwords.as_ref().map(|passwords| passwords.new.clone());
    // The rules of a password come before its hash, which costs, and are of each user that it is written to.
    let read_user = async || {
        let who = signed_in(app, call, &keyring, now).await?;
        may(&who, if_match, now)?;
        may_have(&who, asked.as_ref()).map(|()| who)
    };
    let (mut who, mut patience, mut proved) = (read_user().await?, Patience::default(), None);
    if let Some(Passwords { new, current }) = passwords {
        loop {
            proved = current_password::prove(app, call, &who.user, &keyring, &current).await?;
            if proved.is_some() {
                break;
            }
            patience.wait(&app.entropy).await.map_err(contended)?;
            who = read_user().await?;
        }
        change.hash(Member::Set(new), &app.entropy).await?;
    }
    let mut notices = Notices::default();
    loop {
        let mut patched = change.over(&who.user, None, now);
        if patched.proof_generation != who.user.proof_generation {
            // The token that is shown stays good; every other ends, of whatever time: who changes a password means to be alone.
            patched.spared = Some(who.claims.jti.clone());
        }
        let changed = change.names(&who.user, &patched)?;
        if changed.is_empty() {
            let version = who.user.version;
            return Ok(Reply::ok(&Response::of(who)).etag(version));
        }
        let told = change::told(&changed, &patched);
        let notice = notice::Change {
            before: &who.user,
            after: &patched,
            account: &who.account,
            locale: who.settings.locale,
            changed: &told,
            sms_countries: &app.config.sms_countries,
        };
        let event = change::event(&changed, &patched, Actor::User(patched.id)).from(call.source);
        let writes = change.writes(&who.user, &patched, None, notices.owe(&notice, now)?, event, now)?.writes;
        let written = app.table.transact(writes).await;
        notices.learn(&written);
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            notices.deliver(app, &state.courier).await;
            let version = patched.version;
            return Ok(Reply::ok(&Response::of(SignedIn { user: patched, ..who })).etag(version));
        }
        who = read_user().await?;
        // What was shown was another of the user's passwords by now.
        if proved.is_some_and(|version| version != who.user.password_version) {
            return Err(Problem::new(Slug::Conflict).header("retry-after", "1".into()));
        }
    }
}

/// Whether the user, as it was read, may have the password.
fn may_have(who: &SignedIn, password: Option<&Secret<String>>) -> Result<(), Problem> {
    let Some(password) = password else { return Ok(()) };
    let rules = NewPassword::of(&who.user.username, who.user.kind, &who.account, &who.settings);
    rules.check(password).map_err(|why| Problem::invalid_field("/password", why))
}

/// A new password, and the one before.
struct Passwords {
    new: Secret<String>,
    current: Secret<String>,
}

/// Holds every field against its rule.
fn read(request: Request) -> Result<(Change, Option<Passwords>), Problem> {
    let mut faults = Faults::default();
    let (new, current) = (request.password, request.current_password);
    for (pointer, is_missing) in
        [("/current_password", new.is_some() && current.is_none()), ("/password", new.is_none() && current.is_some())]
    {
        if is_missing {
            faults.add(pointer, "is required: a new password is set with the one before");
        }
    }
    let new = new.and_then(|password| faults.hold("/password", &password, fields::password));
    faults.finish()?;
    let change = Change { locale: request.locale, ..Change::default() };
    Ok((change, new.zip(current).map(|(new, current)| Passwords { new, current })))
}

/// Whether the user may be changed by the token, and is the one that was meant.
fn may(who: &SignedIn, if_match: Option<u64>, now: shared::clock::Timestamp) -> Result<(), Problem> {
    if !who.claims.is_fresh(now) {
        return Err(Problem::new(Slug::FreshSecondFactorRequired));
    }
    let stale = if_match.is_some_and(|version| version != who.user.version);
    if stale { Err(Problem::new(Slug::PreconditionFailed)) } else { Ok(()) }
}
