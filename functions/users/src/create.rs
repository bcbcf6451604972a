//! `POST /v1/users`

use serde::Deserialize;
use shared::account::api_key::Caller;
use shared::account::{Account, Locale};
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::UserId;
use shared::kernel::secret::Secret;
use shared::signin::user::fields;
use shared::signin::user::new_password::NewPassword;
use shared::signin::user::{User, UserKind, password, sso_subject};
use shared::store::app::App;
use shared::store::audit::{Action, Event};
use shared::store::dynamo::{Failure, Key, keys};
use shared::web::http::{Call, FieldErrors, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::user::Response;

/// A user to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateUser)]
pub struct Request {
    /// What the user signs in with: 1 to 128 ASCII letters, digits and `. _ @ + -`. Case makes no
    /// difference; it is kept in lower case.
    #[schema(example = "ann@example.com", min_length = 1, max_length = 128)]
    pub username: String,
    /// Staff or counterparty.
    pub kind: UserKind,
    /// What the person is called: 1 to 100 characters. Shown to people.
    #[schema(example = "Ann Alder", min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// 8 to 256 characters in NFKC; at least 15 where it may let an internal user in by itself. Not
    /// one of those that are used most, nor the username or the organisation's name. Without one
    /// the user signs in by other means alone.
    #[schema(value_type = Option<String>, example = "correct horse battery", min_length = 8, max_length = 256)]
    pub password: Option<Secret<String>>,
    /// A mail address in ASCII.
    #[schema(example = "ann@example.com", max_length = 254)]
    pub email: Option<String>,
    /// A phone number that is given out, E.164.
    #[schema(example = "+12025550100")]
    pub phone: Option<String>,
    /// The group: it exists once named.
    #[schema(example = "escrow", pattern = "^[a-z0-9][a-z0-9-]{0,63}$")]
    pub group: Option<String>,
    /// The language of messages; the account's where there is none.
    pub locale: Option<Locale>,
    /// `sub` of the ID tokens that the user signs in with: 1 to 255 printable characters.
    #[schema(example = "00u1a2b3c4", min_length = 1, max_length = 255)]
    pub sso_subject: Option<String>,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account"])?;
    let now = call.arrived_at;
    let request: Request = call.json()?;
    let (mut user, password) =
        request.read(&caller.account, UserId::new(now, &app.entropy), now)?;
    // A subject is one of an issuer: of the account's own, as it is now.
    user.sso_issuer = sso_subject::issuer(&user, &caller.account.settings()?);
    let password_hash = match password {
        Some(password) => Some(password::hash(password, &app.entropy).await?),
        None => None,
    };
    let event = Event::new(Action::UserCreated, caller.actor)
        .from(call.client_ip)
        .with("kind", serde_json::json!(user.kind));
    let writes = user.create(password_hash, event, now)?;
    if let Err(failure) = app.table.transact_with_retries(writes, &app.entropy).await {
        taken(&user, failure)?;
    }
    Ok(Reply::json(&Response::of(&user, now)).etag(user.version))
}

/// What stood in the way of a new user. The id was drawn here: where that stands, an earlier
/// attempt of this request was done after all.
fn taken(user: &User, failure: Failure) -> Result<(), Problem> {
    let stood = |key: &Key| failure.stood_at(key).is_some();
    if stood(&keys::user(user.id)) {
        return Ok(());
    }
    if stood(&keys::name(user.account, &user.username)) {
        return Err(Problem::new(Slug::UsernameTaken).field("/username", "is taken"));
    }
    if sso_subject::key(user).is_some_and(|subject| stood(&subject)) {
        return Err(sso_subject::taken());
    }
    Err(failure.into())
}

impl Request {
    /// The user that is asked for, and the password, once every field is what it has to be.
    fn read(
        self,
        account: &Account,
        id: UserId,
        now: Timestamp,
    ) -> Result<(User, Option<Secret<String>>), Problem> {
        let settings = account.settings()?;
        let mut errors = FieldErrors::default();
        let username = errors.check("/username", self.username.as_str(), fields::username);
        let username = username.unwrap_or_default();
        let name = errors.check_text("/name", self.name.as_deref(), fields::name);
        let rules = NewPassword::of(&username, self.kind, account, &settings);
        let password = self.password(&rules, &mut errors);
        let email = errors.check_text("/email", self.email.as_deref(), fields::email);
        let phone = errors.check_text("/phone", self.phone.as_deref(), fields::phone);
        let group = errors.check_text("/group", self.group.as_deref(), fields::group);
        let sso_subject = self.sso_subject.as_deref();
        let sso_subject = errors.check_text("/sso_subject", sso_subject, fields::sso_subject);
        errors.finish()?;
        let (phone, phone_country) = phone.map(|phone| (phone.number, phone.country)).unzip();
        let user = User {
            name,
            group,
            email,
            phone,
            phone_country,
            locale: self.locale,
            sso_subject,
            ..User::new(id, account.id, username, self.kind, now)
        };
        Ok((user, password))
    }

    /// The password, if it is one, and one that the user may have.
    fn password(
        &self,
        rules: &NewPassword<'_>,
        errors: &mut FieldErrors,
    ) -> Option<Secret<String>> {
        let password = errors.check("/password", self.password.as_ref()?, fields::password)?;
        errors.check("/password", password, |it| rules.check(&it).map(|()| it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use shared::signin::user::Method;

    fn read(request: serde_json::Value) -> Result<User, serde_json::Value> {
        let request: Request = serde_json::from_value(request).unwrap();
        let account = json!({
            "id": "acc_00000000000000000000000001", "name": "Alder & Pine", "plan": "business", "created_at": 0, "version": 1,
            "settings_version": 1, "overrides": {},
        });
        let account: Account = serde_json::from_value(account).unwrap();
        let read = request.read(&account, UserId::from_bytes([2; 16]), Timestamp::default());
        read.map(|(user, _)| user)
            .map_err(|problem| serde_json::from_slice(problem.into_reply("").body()).unwrap())
    }

    #[test]
    fn a_user_starts_with_every_map_in_place() {
        let user =
            read(json!({"username": "Ann", "kind": "external", "phone": "+12025550100"})).unwrap();
        assert_eq!(
            (user.username.as_str(), user.phone_country.as_deref()),
            ("ann", Some("US"))
        );
        assert!(
            Method::ALL
                .iter()
                .all(|method| user.factors.contains_key(method.name()))
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = json!({"username": "аnn", "kind": "internal", "password": "short", "email": "ann", "phone": "555", "group": "A"});
        let pointers: Vec<_> = read(wrong).unwrap_err()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].clone())
            .collect();
        assert_eq!(
            pointers,
            ["/username", "/password", "/email", "/phone", "/group"]
        );
    }
}
