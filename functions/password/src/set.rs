//! `POST /v1/password`: a new password, with the challenge that a link after a forgotten one has
//! opened, once its second factor is proved.

use serde::Deserialize;
use shared::account::{Account, PrefetchedGroup};
use shared::kernel::clock::Timestamp;
use shared::kernel::secret::Secret;
use shared::signin::challenge::{Challenge, ChallengeRefusal, Ticket};
use shared::signin::notice::{self, Changed, Notices};
use shared::signin::user::forgotten::GrantRefusal;
use shared::signin::user::new_password::NewPassword;
use shared::signin::user::{User, fields, password};
use shared::store::app::App;
use shared::store::audit::{Action, Actor, Event};
use shared::store::dynamo::{RetryPolicy, Write, keys};
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
    let (user, account) = find(state, call, &ticket, now).await?;
    // Before the hash, which costs: whoever may not set one is told so at once.
    let _ = grant(&user, &ticket, now)?;
    may_have(&user, &account, &new)?;
    let hash = password::hash(new.clone(), &app.entropy).await?;
    set(state, call, (&ticket, &new, &hash), (user, account)).await
}

/// Sets the password, of the user as it stands.
async fn set(
    state: &State,
    call: &Call,
    (ticket, new, hash): (&Ticket, &Secret<String>, &str),
    (mut user, mut account): (User, Account),
) -> Outcome {
    let (app, now) = (&state.app, call.arrived_at);
    let (mut retries, mut notices) = (RetryPolicy::default(), Notices::default());
    loop {
        let granted = (ticket, grant(&user, ticket, now)?);
        let event = Event::new(Action::PasswordChanged, Actor::User(user.id))
            .from(call.client_ip)
            .with("reason", "forgotten");
        let mut writes = user.set_forgotten_password(granted, hash, event, now)?;
        writes.extend(telling(app, &mut notices, (&user, &account), now).await?);
        let written = app.table.transact(writes).await;
        notices.learn(&written);
        if retries.settled(written, &app.entropy).await? {
            notices.deliver(app, &state.courier).await;
            return Ok(Reply::empty());
        }
        (user, account) = find(state, call, ticket, now).await?;
        may_have(&user, &account, new)?;
    }
}

/// The writes of the notices that tell of it.
async fn telling(
    app: &App,
    notices: &mut Notices,
    (user, account): (&User, &Account),
    now: Timestamp,
) -> Result<Vec<Write>, Problem> {
    let settings = account
        .settings_in(
            user.group.as_deref(),
            PrefetchedGroup::default(),
            &app.table,
        )
        .await?;
    let notice = notice::Change {
        before: user,
        after: user,
        account,
        locale: settings.locale,
        changed: &[Changed::Password],
        sms_countries: &app.config.sms_countries,
    };
    Ok(notices.writes(&notice, now)?)
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
    let wanted = (
        keys::user(ticket.user).holding::<User>(),
        Account::concerned(call, ticket.account),
    );
    let (user, account) = state.app.table.find(wanted).await?;
    let (user, account) = user
        .zip(account)
        .ok_or_else(|| ChallengeRefusal::Unknown.problem(now))?;
    Ok((user, account))
}

/// The challenge, if a new password may be set with it now.
fn grant<'a>(user: &'a User, ticket: &Ticket, now: Timestamp) -> Result<&'a Challenge, Problem> {
    user.password_grant(ticket, now).map_err(|why| match why {
        GrantRefusal::Expired => ChallengeRefusal::Expired.problem(now),
        GrantRefusal::Used => ChallengeRefusal::Used.problem(now),
        GrantRefusal::Unproved => Problem::new(Slug::Forbidden)
            .detail("The second factor of this challenge has not been proved yet."),
    })
}
