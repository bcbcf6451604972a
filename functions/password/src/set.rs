//! `POST /v1/password`: a new password, with the challenge that a link after a forgotten one has
//! opened, once its second factor is proved.

use serde::Deserialize;
use shared::account::{Account, Foreseen};
use shared::kernel::clock::Timestamp;
use shared::kernel::secret::Secret;
use shared::signin::challenge::{Challenge, Refusal, Ticket};
use shared::signin::notice::{self, Changed, Notices};
use shared::signin::user::forgotten::Ungranted;
use shared::signin::user::new_password::NewPassword;
use shared::signin::user::{User, fields, password};
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{RetryPolicy, keys, read};
use shared::web::http::{Call, Outcome, Problem, Reply, Slug};
use utoipa::ToSchema;

use crate::State;

/// A new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetPasswordRequest)]
pub struct Request {
    /// The challenge that the second factor was proved with.
    #[schema(value_type = String)]
    pub challenge: Secret<String>,
    /// 8 to 256 characters in NFKC; at least 15 where it may let an internal user in by itself. Not
    /// one of those that are used most, nor the username or the organisation's name.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256)]
    pub password: Secret<String>,
}

pub async fn handle(state: &State, call: &Call) -> Outcome {
    let request: Request = call.json()?;
    let new = fields::password(&request.password)
        .map_err(|why| Problem::invalid_field("/password", why))?;
    let app = &state.app;
    let now = call.arrived_at;
    let keyring = app.keyrings.current(now).await;
    let ticket = Ticket::read(request.challenge.expose(), &keyring)
        .map_err(|refusal| refusal.problem(now))?;
    let (mut user, mut account) = find(state, call, &ticket, now).await?;
    // Before the hash, which costs: whoever may not set one is told so at once.
    let _ = grant(&user, &ticket, now)?;
    may_have(&user, &account, &new)?;
    let hash = password::hash(new.clone(), &app.entropy).await?;
    let mut retries = RetryPolicy::default();
    let mut notices = Notices::default();
    loop {
        let challenge = grant(&user, &ticket, now)?;
        let event = Event::new(Action::PasswordChanged, Actor::User(user.id))
            .from(call.client_ip)
            .with("reason", "forgotten");
        let granted = (&ticket, challenge);
        let mut writes = user.set_forgotten_password(granted, &hash, event, now)?;
        let locale = account
            .settings_in(user.group.as_deref(), Foreseen::default(), &app.table)
            .await?
            .locale;
        let notice = notice::Change {
            before: &user,
            after: &user,
            account: &account,
            locale,
            changed: &[Changed::Password],
            sms_countries: &app.config.sms_countries,
        };
        writes.extend(notices.writes(&notice, now)?);
        let written = app.table.transact(writes).await;
        notices.learn(&written);
        if retries.settled(written, &app.entropy).await? {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty(204));
        }
        (user, account) = find(state, call, &ticket, now).await?;
        may_have(&user, &account, &new)?;
    }
}

/// Whether the user, as it was read, may have the password.
fn may_have(user: &User, account: &Account, password: &Secret<String>) -> Result<(), Problem> {
    let rules = NewPassword::of(&user.username, user.kind, account, &account.settings()?);
    rules
        .check(password)
        .map_err(|why| Problem::invalid_field("/password", why))
}

async fn find(
    state: &State,
    call: &Call,
    ticket: &Ticket,
    now: Timestamp,
) -> Result<(User, Account), Problem> {
    let mut items = state
        .app
        .table
        .get_all(vec![keys::user(ticket.user), keys::account(ticket.account)])
        .await?
        .into_iter();
    let (Some(user), Some(account)) = (items.next().flatten(), items.next().flatten()) else {
        return Err(Refusal::Unknown.problem(now));
    };
    let (user, account): (User, Account) = (read(user)?, read(account)?);
    call.allow_origins(&account.settings()?.origins);
    Ok((user, account))
}

/// The challenge, if a new password may be set with it now.
fn grant<'a>(user: &'a User, ticket: &Ticket, now: Timestamp) -> Result<&'a Challenge, Problem> {
    user.password_grant(ticket, now).map_err(|why| match why {
        Ungranted::Expired => Refusal::Expired.problem(now),
        Ungranted::Used => Refusal::Used.problem(now),
        Ungranted::Unproved => Problem::new(Slug::Forbidden)
            .detail("The second factor of this challenge has not been proved yet."),
    })
}
