//! Who sells, cleans up, and looks after accounts.

use serde_json::json;

use crate::desk::{Ask, Desk};
use crate::ground::another_name;

/// Goes on.
pub(crate) async fn go(desk: Desk) {
    while desk.goes_on() {
        match desk.below(100) {
            0..30 => sell(&desk).await,
            30..65 => clean(&desk).await,
            65..75 => keys(&desk).await,
            75..85 => settings(&desk).await,
            85..90 => looks_after(&desk).await,
            _ => desk.linger(12).await,
        }
    }
}

/// Sells transactions: asked for until it is answered, and now and then once more.
async fn sell(desk: &Desk) {
    let Some(account) = desk.one_of(desk.place.ground.accounts()).cloned() else {
        return;
    };
    let body = json!({"account": account.id, "transactions": 1 + desk.below(40)});
    let ask = Ask::new("POST /v1/quota/topups")
        .by(&desk.place.ground.operator)
        .about(&account.id)
        .with(body);
    let ask = ask.keyed(format!("order-{}", desk.place.ground.next()));
    if desk.happens(12) {
        desk.twice(ask.clone()).await;
    }
    desk.insist(ask).await;
}

/// The schedule: runs the clean-up, now and then twice at once.
pub(crate) async fn clean(desk: &Desk) {
    let ask = Ask::new("POST /_local/cleanup");
    if desk.happens(10) {
        desk.twice(ask).await;
    } else {
        desk.ask(ask).await;
    }
}

/// Makes a key and revokes it; from then on it opens nothing.
async fn keys(desk: &Desk) {
    let Some(account) = desk.one_of(desk.place.ground.accounts()).cloned() else {
        return;
    };
    let operator = &desk.place.ground.operator;
    let path = format!("/v1/accounts/{}/api-keys", account.id);
    let wanted = Ask::new("POST /v1/accounts/{account}/api-keys")
        .at(&path)
        .by(operator)
        .about(&account.id);
    let made = desk
        .ask(wanted.with(json!({"name": "passing", "scopes": ["quota:read"]})))
        .await;
    desk.ask(
        Ask::new("GET /v1/accounts/{account}/api-keys")
            .at(&path)
            .by(operator)
            .about(&account.id),
    )
    .await;
    let (Some(id), Some(key)) = (made.good("/id"), made.text("/key")) else {
        return;
    };
    desk.ask(Ask::new("GET /v1/quota").by(&key).about(&account.id))
        .await;
    let revoke = Ask::new("DELETE /v1/accounts/{account}/api-keys/{id}")
        .at(format!("{path}/{id}"))
        .by(operator)
        .about(&account.id);
    desk.insist(revoke).await;
    desk.ask(Ask::new("GET /v1/quota").by(&key).about(&id))
        .await;
}

/// Looks at an account, and gives it another name.
async fn looks_after(desk: &Desk) {
    let Some(account) = desk.one_of(desk.place.ground.accounts()).cloned() else {
        return;
    };
    let to = |ask: Ask| {
        ask.at(format!("/v1/accounts/{}", account.id))
            .by(&desk.place.ground.operator)
            .about(&account.id)
    };
    desk.ask(to(Ask::new("GET /v1/accounts/{account}"))).await;
    let name = another_name(&account.name, desk.place.ground.next());
    desk.ask(to(
        Ask::new("PATCH /v1/accounts/{account}").with(json!({"name": name}))
    ))
    .await;
}

async fn settings(desk: &Desk) {
    let Some(account) = desk.one_of(desk.place.ground.accounts()).cloned() else {
        return;
    };
    let group = format!("/v1/groups/group-{}/settings", desk.below(3));
    let ask = match desk.below(5) {
        0 => Ask::new("PATCH /v1/groups/{group}/settings")
            .at(group)
            .with(json!({"locale": "fr"})),
        1 => Ask::new("GET /v1/groups/{group}/settings").at(group),
        2 => Ask::new("PATCH /v1/settings").with(json!({"locale": "de"})),
        3 => Ask::new("GET /v1/settings").at("/v1/settings?effective=true"),
        _ => Ask::new("GET /v1/ip-allowlist/explain").at("/v1/ip-allowlist/explain?ip=203.0.113.7"),
    };
    desk.ask(ask.by(&account.key).about(&account.id)).await;
}
