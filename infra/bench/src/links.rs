//! Proof of what mailed links lead to: a portal's token, an app that is set up, a new password.

use serde_json::{Value, json};
use shared::kernel::clock::Clock;

use crate::Fault;
use crate::event::Event;
use crate::world::{PASSWORD, Way};

const PORTAL: &str = "https://portal.example/in";

/// Somebody who can be mailed.
pub(crate) struct Reached {
    pub id: String,
    username: String,
}

/// A link, a second factor, and the code that a portal's back end exchanges; asked for twice,
/// mailed once. And the same again, from where its person is known by then.
pub(crate) async fn exchanged(way: &mut Way<'_>) -> Result<(), Fault> {
    let ann = reached(way, "ann", Some("+12025550142")).await?;
    for time in 0..2 {
        let token = linked(way, &ann, time).await?;
        let done = completed(way, &token).await?;
        exchange(way, &done).await?;
    }
    Ok(())
}

/// The same for somebody who has no factor yet.
pub(crate) async fn enrolled(way: &mut Way<'_>) -> Result<(), Fault> {
    let new = reached(way, "new", None).await?;
    let token = linked(way, &new, 0).await?;
    let challenge = redeemed(way, &token).await?;
    let begun = way
        .ask(
            "factors",
            &Event::post("/v1/factors/totp", json!({ "challenge": challenge })),
        )
        .await?
        .expect(201)?;
    let secret = totp_rs::Secret::try_from_base32(begun.text("secret")?)
        .map_err(|_| "the secret is none")?;
    let totp = totp_rs::Builder::new()
        .with_secret(secret)
        .build()
        .map_err(|_| "the secret is none")?;
    let code = totp
        .generate(u64::try_from(Clock::system().now().as_secs())?)
        .to_string();
    let confirm = json!({ "challenge": challenge, "factor": begun.text("factor")?, "code": code });
    let confirmed = way
        .ask("factors", &Event::post("/v1/factors/totp/confirm", confirm))
        .await?
        .expect(200)?;
    let confirmed: Value = serde_json::from_str(&confirmed.body)?;
    exchange(
        way,
        confirmed.get("authenticated").ok_or("it is not finished")?,
    )
    .await
}

/// A forgotten password, and the new one.
pub(crate) async fn forgotten(way: &mut Way<'_>) -> Result<(), Fault> {
    let ben = reached(way, "ben", Some("+12025550143")).await?;
    let account = way.world().account.clone();
    for username in [ben.username.as_str(), "nobody-at-all"] {
        let body = json!({ "account": account, "username": username });
        let forgotten = Event::post("/v1/password/forgotten", body)
            .header("idempotency-key", &format!("\"{username}\""));
        way.ask("password", &forgotten).await?.expect(202)?;
    }
    let token = way.world().aws.last_link()?;
    let done = completed(way, &token).await?;
    let body =
        json!({ "challenge": text(&done, "challenge")?, "password": "another horse battery" });
    way.ask("password", &Event::post("/v1/password", body))
        .await?
        .expect(204)
        .map(drop)
}

/// A user of the account with a mail address.
pub(crate) async fn reached(
    way: &mut Way<'_>,
    name: &str,
    phone: Option<&str>,
) -> Result<Reached, Fault> {
    let world = way.world();
    let settings = json!({ "links": { "redirect_uris": [PORTAL] } });
    world
        .ask(&Event::patch("/v1/settings", settings).bearer(&world.key))
        .await?
        .expect(200)?;
    let username = format!("linked-{name}");
    let user = json!({
        "username": username, "kind": "external", "password": PASSWORD, "phone": phone, "email": format!("{name}@example.com"),
    });
    let made = world
        .ask(&Event::post("/v1/users", user).bearer(&world.key))
        .await?
        .expect(201)?;
    Ok(Reached {
        id: made.text("id")?,
        username,
    })
}

/// Has a link mailed, for the first time or another, and asks again with the same key.
async fn linked(way: &mut Way<'_>, person: &Reached, time: u8) -> Result<String, Fault> {
    let key = format!("\"{}-{time}\"", person.id);
    let event = Event::post(
        "/v1/links",
        json!({ "user": person.id, "redirect_uri": PORTAL }),
    );
    let event = event
        .bearer(&way.world().key)
        .header("idempotency-key", &key);
    let made = way.ask("links", &event).await?.expect(202)?;
    let again = way.ask("links", &event).await?.expect(202)?;
    if made.text("id")? != again.text("id")? {
        return Err("a repeated request made another link".into());
    }
    way.world().aws.last_link()
}

async fn redeemed(way: &mut Way<'_>, token: &str) -> Result<String, Fault> {
    let event = Event::post("/v1/links/redeem", json!({ "token": token }));
    way.ask("link-redeem", &event)
        .await?
        .expect(200)?
        .text("challenge")
}

/// Opens a challenge with the link, and completes it by an SMS.
async fn completed(way: &mut Way<'_>, token: &str) -> Result<Value, Fault> {
    let challenge = redeemed(way, token).await?;
    let issue = json!({ "challenge": challenge, "method": "sms" });
    way.ask("code-issue", &Event::post("/v1/codes", issue))
        .await?
        .expect(202)?;
    let verify =
        json!({ "challenge": challenge, "method": "sms", "code": way.world().aws.last_code()? });
    let done = way
        .ask("code-verify", &Event::post("/v1/codes/verify", verify))
        .await?
        .expect(200)?;
    Ok(serde_json::from_str(&done.body)?)
}

async fn exchange(way: &mut Way<'_>, done: &Value) -> Result<(), Fault> {
    let event =
        Event::post("/v1/tokens", json!({ "code": text(done, "code")? })).bearer(&way.world().key);
    way.ask("tokens", &event).await?.expect(200).map(drop)
}

fn text(value: &Value, member: &str) -> Result<String, Fault> {
    let found = value.get(member).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("there is no {member}").into())
}
