//! Proof of what is done with contacts of one's own, and of what their owners are told.

use serde_json::{Value, json};
use shared::kernel::ids::AccountId;
use shared::signin::notice::PER_DESTINATION;
use shared::store::dynamo::{Path, Update, keys};

use crate::Fault;
use crate::event::Event;
use crate::links::reached;
use crate::world::Way;

/// A mailbox with a code that is wrong, and none that could be taken away; and a phone: what the
/// sender refuses is asked for again with the same key, and what was sent is sent once.
pub(crate) async fn begun(way: &mut Way<'_>, token: &str) -> Result<(), Fault> {
    let mailbox = Event::post(
        "/v1/factors/email",
        json!({ "email": "person@example.com" }),
    )
    .bearer(token);
    let begun = way.ask("factors", &mailbox).await?.expect(202)?;
    let confirm = json!({ "factor": begun.text("factor")?, "code": "00000000" });
    way.ask(
        "factors",
        &Event::post("/v1/factors/email/confirm", confirm).bearer(token),
    )
    .await?
    .expect(401)?;
    way.ask("factors", &Event::delete("/v1/factors/email").bearer(token))
        .await?
        .expect(404)?;
    let phone = Event::post("/v1/factors/sms", json!({ "phone": "+12025550145" })).bearer(token);
    let phone = phone.header("idempotency-key", "\"phone\"");
    way.world().aws.refuse_next();
    way.ask("factors", &phone).await?.expect(503)?;
    let sent = way.ask("factors", &phone).await?.expect(202)?;
    let again = way.ask("factors", &phone).await?.expect(202)?;
    let same =
        serde_json::from_str::<Value>(&sent.body)? == serde_json::from_str::<Value>(&again.body)?;
    if same {
        Ok(())
    } else {
        Err(format!("{} and then {}", sent.body, again.body).into())
    }
}

/// Somebody is changed once more than an hour tells; then the hour is over.
pub(crate) async fn held(way: &mut Way<'_>) -> Result<(), Fault> {
    let changed = reached(way, "told", None).await?;
    let most = PER_DESTINATION
        .limits
        .first()
        .map(|limit| limit.quota)
        .ok_or("an hour has no limit")?;
    for time in 0..=most {
        let username = json!({ "username": format!("told-{time}") });
        let change =
            Event::patch(format!("/v1/users/{}", changed.id), username).bearer(&way.world().key);
        way.ask("users", &change).await?.expect(200)?;
    }
    let account: AccountId = way
        .world()
        .account
        .parse()
        .map_err(|_| "the account's id is none")?;
    let hour_is_over = Update::of(keys::notices("told@example.com", account))
        .remove(Path::new("moments"))
        .when(Path::new("deferred").exists());
    let updated = way.world().stack.table().update(hour_is_over).await;
    updated
        .map(drop)
        .map_err(|failure| format!("nothing waits to be told: {failure:?}").into())
}
