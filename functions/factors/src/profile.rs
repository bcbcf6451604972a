//! `PATCH /v1/me`: a user's own phone, mail address, password and language.

use serde::Deserialize;
use shared::account::Locale;
use shared::app::App;
use shared::audit::Actor;
use shared::dynamo::{self, Patience, keys};
use shared::http::patch::{Member, given};
use shared::http::refusals::contended;
use shared::http::{Body, Call, Faults, Outcome, Problem, Reply, Slug};
use shared::me::Response;
use shared::notice;
use shared::secret::Secret;
use shared::signed_in::{SignedIn, signed_in};
use shared::user::User;
use shared::user::change::{self, Change};
use shared::user::credential::Credential;
use shared::user::fields;
use utoipa::ToSchema;

use crate::State;

/// A JSON Merge Patch of the signed-in user. `null` takes a field away, where there may be none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchMe)]
pub struct Request {
    /// A mail address in ASCII. Another one ends the sign-ins that are under way.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ann@example.com", max_length = 254)]
    pub email: Member<String>,
    /// A phone number that is given out, E.164. Another one ends the sign-ins that are under way.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "+12025550100")]
    pub phone: Member<String>,
    /// 8 to 256 characters, in the place of the one before. Ends the sign-ins that are under way. Who was given no password sets none: 403.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, example = "correct horse battery", min_length = 8, max_length = 256, nullable = false)]
    pub password: Option<Secret<String>>,
    /// The language of messages; null for the account's.
    #[serde(default)]
    #[schema(value_type = Option<Locale>)]
    pub locale: Member<Locale>,
}

pub(crate) async fn handle(state: &State, call: &Call) -> Outcome {
    call.only_query(&[])?;
    let (mut change, password) = read(Body::read(call.merge_patch()?)?)?;
    let if_match = call.if_match()?;
    let app = &state.app;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let mut who = signed_in(app, call, &keyring, now).await?;
    may(&who, if_match, now)?;
    let wants_password = password != Member::Untouched;
    if wants_password {
        has_password(app, &who.user).await?;
    }
    change.hash(password, &app.entropy).await?;
    let mut patience = Patience::default();
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
        let mut notices = notice::owe(&who.user, &patched, &who.account, who.settings.locale, &told, now)?;
        let event = change::event(&changed, &patched, Actor::User(patched.id)).from(call.source);
        let writes = change.writes(&who.user, &patched, None, notices.take_writes(), event, now)?.writes;
        let written = app.table.transact(writes).await;
        if patience.settled(written, &app.entropy).await.map_err(contended)? {
            notices.deliver(app, &state.courier).await;
            let version = patched.version;
            return Ok(Reply::ok(&Response::of(SignedIn { user: patched, ..who })).etag(version));
        }
        who = signed_in(app, call, &keyring, now).await?;
        may(&who, if_match, now)?;
        if wants_password {
            has_password(app, &who.user).await?;
        }
    }
}

/// Whether there is a password that another may take the place of. Who was given none signs in by other means alone: that the
/// organisation's own issuer is the only way in is its choice, and a password would be a way round it.
///
/// The credential is read after the user: whatever changes it meanwhile moves the head of the user's chain, and the write fails.
async fn has_password(app: &App, user: &User) -> Result<(), Problem> {
    let credential = app.table.get(keys::name(user.account, &user.username)).await?;
    let credential: Option<Credential> = credential.map(dynamo::read).transpose()?;
    if credential.is_some_and(|credential| credential.user == user.id && credential.password_hash.is_some()) {
        return Ok(());
    }
    Err(Problem::new(Slug::Forbidden)
        .detail("This user signs in without a password. Only the organisation can give a first one."))
}

/// Holds every field against its rule.
fn read(request: Request) -> Result<(Change, Member<Secret<String>>), Problem> {
    let mut faults = Faults::default();
    let password = request.password.and_then(|password| faults.hold("/password", password, fields::password));
    let email = request.email.filter_map(|text| faults.hold("/email", text.as_str(), fields::email));
    let phone = request.phone.filter_map(|text| faults.hold("/phone", text.as_str(), fields::phone));
    faults.finish()?;
    let change = Change { email, phone, locale: request.locale, ..Change::default() };
    Ok((change, password.map_or(Member::Untouched, Member::Set)))
}

/// Whether the user may be changed by the token, and is the one that was meant.
fn may(who: &SignedIn, if_match: Option<u64>, now: shared::clock::Timestamp) -> Result<(), Problem> {
    if !who.claims.is_fresh(now) {
        return Err(Problem::new(Slug::FreshSecondFactorRequired));
    }
    let stale = if_match.is_some_and(|version| version != who.user.version);
    if stale { Err(Problem::new(Slug::PreconditionFailed)) } else { Ok(()) }
}
