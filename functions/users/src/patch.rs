//! `PATCH /v1/users/{id}`

use serde::Deserialize;
use shared::account::api_key::Caller;
use shared::account::{Locale, Settings};
use shared::kernel::clock::Timestamp;
use shared::kernel::secret::Secret;
use shared::signin::notice::{self, Notices};
use shared::signin::user::change::{self, Change};
use shared::signin::user::credential::{self, Credential};
use shared::signin::user::fields;
use shared::signin::user::new_password::NewPassword;
use shared::signin::user::{User, UserKind, sso_subject};
use shared::store::app::App;
use shared::store::dynamo::{Failure, RetryPolicy, Stored, Write, keys};
use shared::web::http::patch::{Member, given};
use shared::web::http::refusals::contended;
use shared::web::http::{Body, Call, FieldErrors, Outcome, Problem, Reply, Slug};
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
    pub kind: Option<UserKind>,
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

/// A change that is asked for.
struct Asked<'a> {
    state: &'a State,
    call: &'a Call,
    caller: &'a Caller,
    settings: Settings,
    if_match: Option<u64>,
    change: Change,
    /// The new password.
    password: Member<Secret<String>>,
}

pub(crate) async fn handle(state: &State, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let request: Request = Body::read(call.merge_patch()?)?;
    let (change, password) = read_change(&request)?;
    let mut asked = Asked {
        state,
        call,
        caller,
        settings: caller.account.settings()?,
        if_match: call.if_match()?,
        change,
        password,
    };
    let user = asked.user().await?;
    let password = asked.password.clone();
    asked.change.hash(password, &state.app.entropy).await?;
    asked.make(user).await
}

impl Asked<'_> {
    /// The user as it stands now, who may be changed so. The rules of a password come before its
    /// hash, which costs, and are of each user that it is written to.
    async fn user(&self) -> Result<User, Problem> {
        let user = user::find(&self.state.app, self.call, self.caller.account.id).await?;
        fresh(&user, self.if_match)?;
        may_have(
            &self.change,
            &user,
            self.caller,
            &self.settings,
            &self.password,
        )?;
        Ok(user)
    }

    /// Makes the change, of the user as it stands.
    async fn make(&self, mut user: User) -> Outcome {
        let (app, now) = (&self.state.app, self.call.arrived_at);
        let issuer = self.settings.sso.as_ref().map(|sso| sso.issuer.as_str());
        let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
        loop {
            let patched = self.change.over(&user, issuer, now);
            let changed = self.change.names(&user, &patched)?;
            if changed.is_empty() {
                return Ok(told(&user, now));
            }
            let over = (&user, &patched);
            let writes = self.writes(over, &changed, &mut notices).await?;
            let next = user.after(&writes)?;
            let written = app.table.transact(writes).await;
            notices.learn(&written);
            if let Err(failure) = &written {
                is_free(failure, over)?;
            }
            let settled = retries.settled(written, &app.entropy).await;
            if settled.map_err(contended)? {
                notices.deliver(app, &self.state.courier).await;
                return Ok(told(&next, now));
            }
            user = self.user().await?;
        }
    }

    /// The writes that make `patched` of `user`, and tell of it.
    async fn writes(
        &self,
        (user, patched): (&User, &User),
        changed: &[&'static str],
        notices: &mut Notices,
    ) -> Result<Vec<Write>, Problem> {
        let (app, account, now) = (&self.state.app, &self.caller.account, self.call.arrived_at);
        let moved = moved(app, user, patched).await?;
        let event = change::event(changed, patched, self.caller.actor).from(self.call.client_ip);
        let notice = notice::Change {
            before: user,
            after: patched,
            account,
            locale: user::locale(app, account, patched).await?,
            changed: &change::told(changed, patched),
            sms_countries: &app.config.sms_countries,
        };
        let telling = notices.writes(&notice, now)?;
        Ok(self
            .change
            .writes(user, patched, moved, telling, event, now)?)
    }
}

fn told(user: &User, now: Timestamp) -> Reply {
    Reply::json(&Response::of(user, now)).etag(user.version)
}

/// Refuses a subject or a username that stood in the way, being somebody's.
fn is_free(failure: &Failure, (user, patched): (&User, &User)) -> Result<(), Problem> {
    if sso_subject::is_claimed(user, patched, failure) {
        return Err(sso_subject::taken());
    }
    if credential::is_taken(failure, patched) {
        return Err(Problem::new(Slug::UsernameTaken).field("/username", "is taken"));
    }
    Ok(())
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
    let mut errors = FieldErrors::default();
    let username = request.username.as_deref();
    let username = errors.check_text("/username", username, fields::username);
    let name = errors.check_member("/name", &request.name, fields::name);
    let password = request.password.clone();
    let password =
        password.filter_map(|password| errors.check("/password", &password, fields::password));
    let email = errors.check_member("/email", &request.email, fields::email);
    let phone = errors.check_member("/phone", &request.phone, fields::phone);
    let group = errors.check_member("/group", &request.group, fields::group);
    let subject = &request.sso_subject;
    let sso_subject = errors.check_member("/sso_subject", subject, fields::sso_subject);
    errors.finish()?;
    let change = Change {
        username,
        name,
        kind: request.kind,
        password_hash: Member::Untouched,
        email,
        phone,
        group,
        locale: request.locale.clone(),
        sso_subject,
        disabled: request.disabled,
    };
    Ok((change, password))
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
    let name = keys::name(user.account, &user.username);
    app.table.find(name.holding()).await
}
