//! `PATCH /v1/users/{id}`

use serde::Deserialize;
use shared::account::api_key::Caller;
use shared::account::{Locale, Settings};
use shared::kernel::secret::Secret;
use shared::signin::notice::{self, Notices};
use shared::signin::user::change::{self, Change};
use shared::signin::user::credential::{self, Credential};
use shared::signin::user::fields;
use shared::signin::user::new_password::NewPassword;
use shared::signin::user::{Kind, User, sso_subject};
use shared::store::app::App;
use shared::store::dynamo::{Failure, RetryPolicy, keys, read};
use shared::web::http::patch::{Member, given};
use shared::web::http::refusals::contended;
use shared::web::http::{Body, Call, Faults, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::State;
use crate::user::{self, Response};

/// A JSON Merge Patch of a user. `null` takes a field away, where there may be none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PatchUser)]
pub struct Request {
    /// What the user signs in with: 1 to 128 ASCII letters, digits and `. _ @ + -`. Case makes no
    /// difference.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        example = "ann@example.com",
        min_length = 1,
        max_length = 128,
        nullable = false
    )]
    pub username: Option<String>,
    /// What the person is called: 1 to 100 characters. Shown to people.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Ann Alder", min_length = 1, max_length = 100)]
    pub name: Member<String>,
    /// Staff or counterparty.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub kind: Option<Kind>,
    /// 8 to 256 characters in NFKC; at least 15 where it may let an internal user in by itself. Not
    /// one of those that are used most, nor the username or the organisation's name. Null for
    /// signing in by other means alone. Ends the sign-ins that are under way.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "correct horse battery", min_length = 8, max_length = 256)]
    pub password: Member<Secret<String>>,
    /// A mail address in ASCII. Another one counts at once, is not verified, and ends the sign-ins
    /// that are under way.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ann@example.com", max_length = 254)]
    pub email: Member<String>,
    /// A mobile number, E.164. Another one counts at once, is not verified, and ends the sign-ins
    /// that are under way.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "+12025550100")]
    pub phone: Member<String>,
    /// The group: it exists once named.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "escrow", pattern = "^[a-z0-9][a-z0-9-]{0,63}$")]
    pub group: Member<String>,
    /// The language of messages; null for the account's.
    #[serde(default)]
    #[schema(value_type = Option<Locale>)]
    pub locale: Member<Locale>,
    /// `sub` of the ID tokens that the user signs in with: 1 to 255 printable characters.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "00u1a2b3c4", min_length = 1, max_length = 255)]
    pub sso_subject: Member<String>,
    /// Whether sign-in is refused. `true` ends the sign-ins that are under way.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
}

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    let app = &state.app;
    call.only_query(&["account"])?;
    let request: Request = Body::read(call.merge_patch()?)?;
    let (mut change, password) = read_change(&request)?;
    let if_match = call.if_match()?;
    let mut user = user::find(app, call, caller.account.id).await?;
    fresh(&user, if_match)?;
    let settings = caller.account.settings()?;
    // Before the hash, which costs, and of each user that it is written to.
    let new = password.clone();
    may_have(&change, &user, caller, &settings, &new)?;
    change.hash(password, &app.entropy).await?;
    let issuer = settings.sso.as_ref().map(|sso| sso.issuer.clone());
    let now = call.arrived_at;
    let mut retries = RetryPolicy::default();
    let mut notices = Notices::default();
    loop {
        let patched = change.over(&user, issuer.as_deref(), now);
        let changed = change.names(&user, &patched)?;
        if changed.is_empty() {
            return Ok(Reply::ok(&Response::of(&user, now)).etag(user.version));
        }
        let moved = moved(app, &user, &patched).await?;
        let event = change::event(&changed, &patched, caller.actor).from(call.client_ip);
        let told = change::told(&changed, &patched);
        let locale = user::locale(app, &caller.account, &patched).await?;
        let notice = notice::Change {
            before: &user,
            after: &patched,
            account: &caller.account,
            locale,
            changed: &told,
            sms_countries: &app.config.sms_countries,
        };
        let telling = notices.writes(&notice, now)?;
        let writes = change.writes(&user, &patched, moved, telling, event, now)?;
        let written = app.table.transact(writes).await;
        notices.learn(&written);
        let is_claimed = |failure: &Failure| sso_subject::is_claimed(&user, &patched, failure);
        if written.as_ref().is_err_and(is_claimed) {
            return Err(sso_subject::taken());
        }
        if written
            .as_ref()
            .is_err_and(|failure| credential::is_taken(failure, &patched))
        {
            return Err(Problem::new(Slug::UsernameTaken).field("/username", "is taken"));
        }
        if retries
            .settled(written, &app.entropy)
            .await
            .map_err(contended)?
        {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::ok(&Response::of(&patched, now)).etag(patched.version));
        }
        user = user::find(app, call, caller.account.id).await?;
        fresh(&user, if_match)?;
        may_have(&change, &user, caller, &settings, &new)?;
    }
}

/// Whether the user, as changed, may have the password.
fn may_have(
    change: &Change,
    user: &User,
    caller: &Caller,
    settings: &Settings,
    password: &Member<Secret<String>>,
) -> Result<(), Problem> {
    let Member::Set(password) = password else {
        return Ok(());
    };
    let (username, kind) = (
        change.username.as_ref().unwrap_or(&user.username),
        change.kind.unwrap_or(user.kind),
    );
    let rules = NewPassword::of(username, kind, &caller.account, settings);
    rules
        .check(password)
        .map_err(|why| Problem::invalid_field("/password", why))
}

/// Holds every field against its rule. The password is yet to be hashed.
fn read_change(request: &Request) -> Result<(Change, Member<Secret<String>>), Problem> {
    let mut faults = Faults::default();
    let username = request
        .username
        .as_deref()
        .and_then(|text| faults.hold("/username", text, fields::username));
    let name = request
        .name
        .clone()
        .filter_map(|text| faults.hold("/name", text.as_str(), fields::name));
    let password = request
        .password
        .clone()
        .filter_map(|password| faults.hold("/password", &password, fields::password));
    let email = request
        .email
        .clone()
        .filter_map(|text| faults.hold("/email", text.as_str(), fields::email));
    let phone = request
        .phone
        .clone()
        .filter_map(|text| faults.hold("/phone", text.as_str(), fields::phone));
    let group = request
        .group
        .clone()
        .filter_map(|text| faults.hold("/group", text.as_str(), fields::group));
    let sso_subject = request
        .sso_subject
        .clone()
        .filter_map(|text| faults.hold("/sso_subject", text.as_str(), fields::sso_subject));
    faults.finish()?;
    let (kind, locale, disabled) = (request.kind, request.locale.clone(), request.disabled);
    let password_hash = Member::Untouched;
    Ok((
        Change {
            username,
            name,
            kind,
            password_hash,
            email,
            phone,
            group,
            locale,
            sso_subject,
            disabled,
        },
        password,
    ))
}

fn fresh(user: &User, if_match: Option<u64>) -> Result<(), Problem> {
    let stale = if_match.is_some_and(|version| version != user.version);
    if stale {
        Err(Problem::new(Slug::PreconditionFailed))
    } else {
        Ok(())
    }
}

/// What is to move to another name. Nothing, where the name stays.
async fn moved(app: &App, user: &User, patched: &User) -> Result<Option<Credential>, Failure> {
    if user.username == patched.username {
        return Ok(None);
    }
    let item = app
        .table
        .get(keys::name(user.account, &user.username))
        .await?;
    item.map(read).transpose()
}
