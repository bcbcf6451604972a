//! Proof that each bootstrap starts, polls, and answers a real event as it should.

use serde_json::{Value, json};

use shared::kernel::clock::Timestamp;
use shared::kernel::ids::AccountId;
use shared::store::dynamo::{Failure, Put, Update, Write, keys};

use crate::Fault;
use crate::agreements;
use crate::carried;
use crate::contacts;
use crate::event::Event;
use crate::links;
use crate::report::say;
use crate::sso;
use crate::world::{BenchCase, CASES, PASSWORD, Way, World};

/// Asks every case of its bootstrap, and the clean-up to run. Whether all answered as they should.
#[expect(
    clippy::too_many_lines,
    reason = "a list: each check has a name and stands once"
)]
pub(crate) async fn run(world: &World) -> Result<bool, Fault> {
    let mut way = Way::bootstraps(world);
    let (mut passed, mut failed) = (0, 0);
    let mut check = |name: &str, fault: Option<String>| match fault {
        None => {
            passed += 1;
            say(&format!("ok {name}"));
        }
        Some(why) => {
            failed += 1;
            say(&format!("FAILED {name}: {why}"));
        }
    };
    let list = carried::check(&world.bootstraps)
        .err()
        .map(|fault| fault.to_string());
    check(
        "only what sets a password has the list of common ones",
        list,
    );
    for case in CASES {
        check(
            case.name,
            answered(&mut way, case)
                .await
                .err()
                .map(|fault| fault.to_string()),
        );
    }
    for (name, outcome) in operated(&mut way).await? {
        check(&name, outcome);
    }
    check(
        "an app and its removal",
        enrolled(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "a link to a portal",
        links::exchanged(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "a link to a first app",
        links::enrolled(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "a forgotten password",
        links::forgotten(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "an agreement that completes",
        agreements::completed(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "a balance that gets low",
        agreements::low(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "agreements that are cancelled",
        agreements::cancelled(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "more changes than an hour tells",
        contacts::held(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "what is overdue",
        agreements::overdue(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "an ID token",
        sso::signed_in(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "a wrong password of nobody",
        nobody(&mut way).await.err().map(|fault| fault.to_string()),
    );
    check(
        "passwords that are refused",
        guessed(&mut way).await.err().map(|fault| fault.to_string()),
    );
    check(
        "a code with an Idempotency-Key",
        idempotent(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    check(
        "the scheduled clean-up",
        cleaned(&mut way).await.err().map(|fault| fault.to_string()),
    );
    check(
        "a path that is no route",
        refused(&mut way).await.err().map(|fault| fault.to_string()),
    );
    check(
        "an event that is no request",
        survived(&mut way)
            .await
            .err()
            .map(|fault| fault.to_string()),
    );
    if let Some(guard) = &world.guard {
        let (denied, unused, asleep) = (guard.denied(), guard.unused(), guard.not_driven());
        check(
            "every function asked the table for something",
            Some(asleep.join(", ")).filter(|text| !text.is_empty()),
        );
        check(
            "no policy denied what its function needs",
            Some(denied.join("; ")).filter(|text| !text.is_empty()),
        );
        let reached = guard.within_reach().join("; ");
        check(
            "what is said to be out of reach is",
            Some(reached).filter(|text| !text.is_empty()),
        );
        check(
            "no policy grants what its function does not need",
            Some(unused.join("; ")).filter(|text| !text.is_empty()),
        );
    }
    say(&format!("{passed} passed, {failed} failed"));
    Ok(failed == 0)
}

async fn answered(way: &mut Way<'_>, case: &BenchCase) -> Result<(), Fault> {
    for event in case.events(way, 1).await? {
        let answer = way.ask(case.function, &event).await?.expect(case.status)?;
        if case.status != 204
            && answer
                .headers
                .get("content-type")
                .and_then(Value::as_str)
                .is_none()
        {
            return Err("the answer has no content type".into());
        }
    }
    Ok(())
}

async fn cleaned(way: &mut Way<'_>) -> Result<(), Fault> {
    let (person, _) = way.challenge().await?;
    let past = Timestamp::from_millis(1_700_000_000_000);
    let account: AccountId = way
        .world()
        .account
        .parse()
        .map_err(|_| "the account's id is none")?;
    let user = keys::user(person.id.parse().map_err(|_| "the user's id is none")?);
    let over = [
        keys::client_ip_sends("198.18.255.1"),
        keys::destination_sends("+12025550199"),
        keys::idempotency("nobody", "one"),
        keys::name(account, "nobody"),
        keys::send_budget(account, "US", 1),
        keys::used_id_token(account, "nobody"),
        keys::audit_entry(account, "nobody", 1),
        keys::link("nobody"),
        keys::exchange("nobody"),
        keys::webhook("nobody"),
    ];
    let over = over
        .into_iter()
        .map(|key| Ok(Put::replace(key, &json!({}))?.due(past).into()));
    // Somebody whose challenge is not over, and who is looked at too early.
    let early = Ok(Update::of(user).look_again_at(past).into());
    let writes: Result<Vec<Write>, Failure> = over.chain([early]).collect();
    let written = async { way.world().stack.table().transact(writes?).await };
    written
        .await
        .map_err(|failure| format!("what is due was not entered: {failure:?}"))?;
    let (report, _) = way
        .environment("expiry-cleanup")
        .await?
        .invoke(&json!({}))
        .await?;
    match report.get("examined").and_then(Value::as_u64) {
        Some(8..) => Ok(()),
        _ => Err(format!("it reported {report}").into()),
    }
}

/// What an organisation's back end and the operator do, in the order in which they would.
#[expect(
    clippy::too_many_lines,
    reason = "a list: each request needs what those before it made"
)]
async fn operated(way: &mut Way<'_>) -> Result<Vec<(String, Option<String>)>, Fault> {
    let world = way.world();
    let operator = world.stack.operator_key().expose().clone();
    let person = world.person().await?;
    let (account, user) = (&world.account, format!("/v1/users/{}", person.id));
    let key = Event::post(
        format!("/v1/accounts/{account}/api-keys"),
        json!({ "name": "spare", "scopes": ["audit:read"] }),
    );
    let spare = way
        .ask("accounts", &key.bearer(&operator))
        .await?
        .expect(201)?
        .text("id")?;
    let origin = "https://portal.example";
    let bought = json!({ "account": account, "transactions": 500 });
    let agreement = json!({
        "title": "Lease", "sender": { "email": "sales@example.com" },
        "recipients": [{ "email": "person@example.com", "authentication": "none" }],
    });
    let low = json!({ "kba": { "enabled": true }, "quota": { "low_balance": 500 }, "contacts": ["office@example.com"] });
    let verified = json!({
        "title": "Deed", "sender": { "email": "sales@example.com" },
        "recipients": [{ "email": "person@example.com", "country": "US", "authentication": "kba" }],
    });
    let agreement = Event::post("/v1/agreements", agreement)
        .header("idempotency-key", "\"lease\"")
        .bearer(&world.key);
    let sent: Value =
        serde_json::from_str(&way.ask("agreements", &agreement).await?.expect(201)?.body)?;
    let of = |place: &str| {
        sent.pointer(place)
            .and_then(Value::as_str)
            .ok_or("the agreement has no ids")
    };
    let (agreement, recipient) = (of("/id")?, of("/recipients/0/id")?);
    let resend = Event::post(
        format!("/v1/agreements/{agreement}/recipients/{recipient}/resend"),
        json!({}),
    );
    let steps = [
        (
            "agreements",
            200,
            Event::get("/v1/agreements").bearer(&world.key),
        ),
        (
            "agreements",
            202,
            resend
                .header("idempotency-key", "\"again\"")
                .bearer(&world.key),
        ),
        (
            "report",
            200,
            Event::get(format!("/v1/agreements/{agreement}/audit")).bearer(&world.key),
        ),
        (
            "quota-topup",
            201,
            Event::post("/v1/quota/topups", bought)
                .header("idempotency-key", "\"order-1\"")
                .bearer(&operator),
        ),
        (
            "settings",
            200,
            Event::patch("/v1/settings", low).bearer(&world.key),
        ),
        // One of the 500 is reserved, which gets the balance below its mark: the contact is told.
        (
            "agreements",
            201,
            Event::post("/v1/agreements", verified)
                .header("idempotency-key", "\"deed\"")
                .bearer(&world.key),
        ),
        ("quota", 200, Event::get("/v1/quota").bearer(&world.key)),
        (
            "quota",
            200,
            Event::get("/v1/quota/entries").bearer(&world.key),
        ),
        (
            "accounts",
            201,
            Event::post(
                "/v1/accounts",
                json!({ "name": "Birch", "plan": "starter" }),
            )
            .bearer(&operator),
        ),
        (
            "accounts",
            200,
            Event::patch(
                format!("/v1/accounts/{account}"),
                json!({ "name": "Alder" }),
            )
            .bearer(&operator),
        ),
        (
            "accounts",
            200,
            Event::get(format!("/v1/accounts/{account}/api-keys")).bearer(&operator),
        ),
        (
            "accounts",
            204,
            Event::delete(format!("/v1/accounts/{account}/api-keys/{spare}")).bearer(&operator),
        ),
        (
            "settings",
            200,
            Event::patch(
                "/v1/settings",
                json!({ "origins": [origin, "https://old.example"] }),
            )
            .bearer(&world.key),
        ),
        (
            "settings",
            200,
            Event::patch("/v1/settings", json!({ "origins": [origin] })).bearer(&world.key),
        ),
        (
            "settings",
            200,
            Event::patch("/v1/groups/escrow/settings", json!({ "locale": "fr" }))
                .bearer(&world.key),
        ),
        (
            "settings",
            200,
            Event::get("/v1/groups/escrow/settings").bearer(&world.key),
        ),
        (
            "settings",
            200,
            Event::patch(
                "/v1/settings",
                json!({ "second_factor": { "methods": { "email": true } } }),
            )
            .bearer(&world.key),
        ),
        (
            "settings",
            200,
            Event::patch("/v1/settings", json!({ "second_factor": null })).bearer(&world.key),
        ),
        (
            "settings",
            200,
            Event::get("/v1/ip-allowlist/explain?ip=198.18.0.1").bearer(&world.key),
        ),
        ("documents", 204, Event::preflight("/v1/login", origin)),
        (
            "users",
            200,
            Event::patch(
                user.clone(),
                json!({ "password": "another horse battery", "email": "person@example.com" }),
            )
            .bearer(&world.key),
        ),
        (
            "users",
            200,
            Event::patch(
                user.clone(),
                json!({ "username": format!("{}-anew", person.username) }),
            )
            .bearer(&world.key),
        ),
        (
            "users",
            200,
            Event::patch(user.clone(), json!({ "sso_subject": "00u1a2b3c4" })).bearer(&world.key),
        ),
        (
            "users",
            200,
            Event::post(format!("{user}/unlock"), json!({})).bearer(&world.key),
        ),
        (
            "users",
            204,
            Event::delete(format!("{user}/factors/totp")).bearer(&world.key),
        ),
        ("users", 204, Event::delete(user).bearer(&world.key)),
    ];
    let mut outcomes = Vec::new();
    for (function, status, event) in steps {
        let answered = way
            .ask(function, &event)
            .await
            .and_then(|answer| answer.expect(status));
        outcomes.push((event.title(), answered.err().map(|fault| fault.to_string())));
    }
    Ok(outcomes)
}

/// An app is set up with a wrong code, and with none that could be right: no clock of an app stands
/// here. Nothing is there to remove. Somebody in a group lists what is there.
async fn enrolled(way: &mut Way<'_>) -> Result<(), Fault> {
    let (person, challenge, code) = way.code().await?;
    let verified = way
        .ask("code-verify", &person.verify(&challenge, &code))
        .await?
        .expect(200)?;
    let token = verified.text("access_token")?;
    let moved = Event::patch(
        format!("/v1/users/{}", person.id),
        json!({ "group": "escrow" }),
    )
    .bearer(&way.world().key);
    way.world().ask(&moved).await?.expect(200)?;
    way.ask("factors", &Event::get("/v1/factors").bearer(&token))
        .await?
        .expect(200)?;
    let begun = way
        .ask(
            "factors",
            &Event::post("/v1/factors/totp", json!({})).bearer(&token),
        )
        .await?
        .expect(201)?;
    let confirm = json!({ "factor": begun.text("factor")?, "code": "0000000" });
    way.ask(
        "factors",
        &Event::post("/v1/factors/totp/confirm", confirm).bearer(&token),
    )
    .await?
    .expect(401)?;
    way.ask("factors", &Event::delete("/v1/factors/totp").bearer(&token))
        .await?
        .expect(404)?;
    // A new password, at first without the one before, and somebody to tell of it: by text, as long
    // as there is no mailbox.
    let new =
        |current: &str| json!({ "password": "another horse battery", "current_password": current });
    way.ask(
        "factors",
        &Event::patch("/v1/me", new("a wrong password")).bearer(&token),
    )
    .await?
    .expect(401)?;
    way.ask(
        "factors",
        &Event::patch("/v1/me", new(PASSWORD)).bearer(&token),
    )
    .await?
    .expect(200)?;
    contacts::begun(way, &token).await
}

async fn nobody(way: &mut Way<'_>) -> Result<(), Fault> {
    let body = json!({ "account": way.world().account, "username": "nobody", "password": "correct horse battery" });
    way.ask("login", &Event::post("/v1/login", body))
        .await?
        .expect(401)?;
    // A token of an issuer that the account has not: `{"alg":"RS256"}`,
    // `{"iss":"a","sub":"b","aud":"c","exp":1,"iat":1}`.
    let token =
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIiwic3ViIjoiYiIsImF1ZCI6ImMiLCJleHAiOjEsImlhdCI6MX0.AA";
    let body = json!({ "account": way.world().account, "id_token": token });
    way.ask("login", &Event::post("/v1/login", body))
        .await?
        .expect(401)
        .map(drop)
}

/// Passwords are refused while a code is on its way, and the code tells of them.
async fn guessed(way: &mut Way<'_>) -> Result<(), Fault> {
    let (person, challenge, code) = way.code().await?;
    let wrong = person.login(way.world(), Some("a wrong password"));
    for status in [401, 401, 401, 401, 401, 429] {
        way.ask("login", &wrong).await?.expect(status)?;
    }
    way.ask("code-verify", &person.verify(&challenge, &code))
        .await?
        .expect(200)
        .map(drop)
}

/// Refused by the sender, sent, and asked for again.
async fn idempotent(way: &mut Way<'_>) -> Result<(), Fault> {
    let (person, challenge) = way.challenge().await?;
    let event = person.code(&challenge).header("idempotency-key", "\"one\"");
    way.world().aws.refuse_next();
    way.ask("code-issue", &event).await?.expect(503)?;
    let sent = way.ask("code-issue", &event).await?.expect(202)?;
    let again = way.ask("code-issue", &event).await?.expect(202)?;
    let same =
        serde_json::from_str::<Value>(&sent.body)? == serde_json::from_str::<Value>(&again.body)?;
    if same {
        Ok(())
    } else {
        Err(format!("{} and then {}", sent.body, again.body).into())
    }
}

async fn refused(way: &mut Way<'_>) -> Result<(), Fault> {
    let answer = way
        .ask("documents", &Event::get("/nowhere"))
        .await?
        .expect(404)?;
    if answer.text("type")?.ends_with("/problems/not-found") {
        Ok(())
    } else {
        Err(answer.body.into())
    }
}

/// A bad event is an error of that invocation; the environment goes on.
async fn survived(way: &mut Way<'_>) -> Result<(), Fault> {
    let environment = way.environment("documents").await?;
    if let Ok((answer, _)) = environment.invoke(&json!({ "no": "request" })).await {
        let status = answer
            .get("statusCode")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        if status < 400 {
            return Err(format!("it was answered with {status}").into());
        }
    }
    way.ask("documents", &Event::get("/health"))
        .await?
        .expect(200)
        .map(drop)
}
