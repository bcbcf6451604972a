//! `GET /v1/users`

use serde::Serialize;
use shared::account::api_key::Caller;
use shared::kernel::ids::{AccountId, UserId};
use shared::signin::user::User;
use shared::store::app::App;
use shared::store::dynamo::{IntoValue, Item, Key, keys};
use shared::web::http::{Call, Outcome, Reply, cursor};
use utoipa::ToSchema;

use crate::user::Response as Shown;

/// How many users a page has.
const PAGE: i32 = 50;

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Users)]
pub struct Response {
    /// At most 50, the oldest first.
    pub users: Vec<Shown>,
    /// What `?cursor=` goes on with; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "dXNyXzAxamQzdjdjM2txMm04eDV0OXI0dzZ5MGFi", nullable = false)]
    pub next_cursor: Option<String>,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account", "cursor"])?;
    call.no_body()?;
    let account = caller.account.id;
    let after = cursor::of(call)?.map(|last| entry(account, last));
    let page = app.table.list(keys::users(account), after, PAGE).await?;
    let named = page.items.iter().filter_map(Key::of).collect();
    let users: Vec<User> = app.table.find_listed(named).await?;
    let show = |user| Shown::of(user, call.arrived_at);
    Ok(Reply::json(&Response {
        users: users.iter().map(show).collect(),
        next_cursor: page.next.map(cursor::after),
    }))
}

/// A user's entry in the listing.
fn entry(account: AccountId, user: UserId) -> Item {
    let Key { pk, sk } = keys::user(user);
    let attributes = [
        (keys::PK, pk),
        (keys::SK, sk),
        (keys::LISTING_PK, keys::users(account)),
        (keys::LISTING_SK, user.to_string()),
    ];
    attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_value()))
        .collect()
}
