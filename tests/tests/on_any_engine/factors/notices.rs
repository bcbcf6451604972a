//! Who is told of a change to how somebody signs in, where, in which words, and how often.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::clean;
use tests::contacts::{messages, prove, recipients};
use tests::{PASSWORD, Person, World};

const PHONE: &str = "+12025550123";
const HOUR: i64 = 3_600;

/// Somebody with an app, whose factors are changed as often as is wanted.
async fn ann(world: &World, more: Value) -> (Person, String) {
    let ann = world.user("ann", more).await;
    let token = world.token(&ann).await;
    let _ = world.enrol(&token).await;
    // What was told of the app is told, and an hour is over.
    world.advance(HOUR);
    let token = world.token(&ann).await;
    let _ = messages(world).await;
    (ann, token)
}

async fn make_codes(world: &World, token: &str) {
    let _ = world
        .as_user(token, Method::POST, "/v1/factors/recovery-codes", None)
        .await
        .expect(201);
}

async fn patch(world: &World, person: &Person, body: Value) {
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", person.id),
            Some(body),
        )
        .await
        .expect(200);
}

/// Whom messages went to, each with what it says.
fn to<'a>(messages: &'a [(String, String)], whom: &str) -> Vec<&'a str> {
    messages
        .iter()
        .filter(|(to, _)| to == whom)
        .map(|(_, text)| text.as_str())
        .collect()
}

#[tokio::test]
async fn whoever_changes_a_factor_the_user_is_told_in_the_own_language() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"locale": "fr"})).await;
    let token = world.token(&ann).await;
    let _ = messages(&world).await;
    let told = async |word: &str| {
        let told = messages(&world).await;
        assert_eq!(recipients(&told), ["ann@example.com"]);
        assert!(told[0].1.contains(word), "{told:?}");
    };
    let _ = world.enrol(&token).await;
    told("Une application d’authentification a été configurée").await;
    make_codes(&world, &token).await;
    told("De nouveaux codes de secours").await;
    let _ = world
        .as_user(&token, Method::DELETE, "/v1/factors/totp", None)
        .await
        .expect(204);
    told("ont été supprimés").await;
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::DELETE, &format!("{path}/factors/totp"), None)
        .await
        .expect(204);
    told("Un administrateur").await;
    patch(&world, &ann, json!({"group": "escrow", "name": "Ann"})).await;
    assert!(messages(&world).await.is_empty());
    patch(&world, &ann, json!({"username": "anna"})).await;
    told("Le nom d’utilisateur a été modifié").await;
}

#[tokio::test]
async fn an_administrators_change_is_told_in_the_language_of_the_group_and_where_the_user_was_reached_before()
 {
    let world = World::new().await;
    let path = "/v1/groups/escrow/settings";
    let _ = world
        .backend(Method::PATCH, path, Some(json!({"locale": "it"})))
        .await
        .expect(200);
    let ann = world
        .user("ann", json!({"group": "escrow", "phone": PHONE}))
        .await;
    let own = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::DELETE, &format!("{own}/factors/totp"), None)
        .await
        .expect(204);
    patch(&world, &ann, json!({"phone": "+12025550177"})).await;
    patch(&world, &ann, json!({"sso_subject": "00u1"})).await;
    patch(&world, &ann, json!({"sso_subject": null})).await;
    let told = messages(&world).await;
    let mails = to(&told, "ann@example.com");
    for (mail, word) in mails.iter().zip([
        "Un amministratore",
        "altro numero",
        "un altro account",
        "è stato disattivato",
    ]) {
        assert!(mail.contains(word), "{word}: {mail:?}");
    }
    assert_eq!(
        (mails.len(), to(&told, PHONE).len(), told.len()),
        (4, 1, 5),
        "{told:?}"
    );
    // What an administrator enters is told nothing: it may be anybody's.
    patch(&world, &ann, json!({"email": "new@example.org"})).await;
    assert_eq!(recipients(&messages(&world).await), ["ann@example.com"]);
}

#[tokio::test]
async fn who_has_no_mailbox_is_told_by_a_text_of_one_part() {
    let world = World::new().await;
    let (ann, token) = ann(&world, json!({"email": null, "phone": PHONE})).await;
    make_codes(&world, &token).await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), [PHONE]);
    assert!(
        told[0].1.starts_with("Alder & Pine: ") && told[0].1.contains("new recovery codes"),
        "{told:?}"
    );
    assert!(
        told[0].1.chars().count() <= 160 && !told[0].1.contains('@'),
        "{told:?}"
    );
    let _ = world
        .as_user(
            &token,
            Method::PATCH,
            "/v1/me",
            Some(json!({"password": "another horse battery", "current_password": PASSWORD})),
        )
        .await
        .expect(200);
    assert!(messages(&world).await[0].1.contains("new password"));
    patch(&world, &ann, json!({"username": "anna"})).await;
    assert!(messages(&world).await[0].1.contains("username"));
    // The phone that was theirs before, and not the one that an administrator enters.
    patch(&world, &ann, json!({"phone": "+12025550177"})).await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), [PHONE]);
    assert!(told[0].1.contains("+1*77"), "{told:?}");
    // Who has neither is told nothing, nor who is abroad where no text goes.
    patch(&world, &ann, json!({"phone": null})).await;
    let _ = messages(&world).await;
    patch(&world, &ann, json!({"phone": "+447400123456"})).await;
    patch(&world, &ann, json!({"username": "ann"})).await;
    assert!(messages(&world).await.is_empty());
}

#[tokio::test]
async fn a_forgotten_password_that_is_set_anew_is_told_like_any_other_change() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": PHONE})).await;
    let _ = world
        .post(
            "/v1/password/forgotten",
            json!({"account": world.account, "username": "ann"}),
        )
        .await
        .expect(202);
    let link = tests::token_of(&world.outbox().await.pop().unwrap());
    let challenge = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    let _ = messages(&world).await;
    let body = json!({"challenge": challenge, "password": "another horse battery"});
    let _ = world.post("/v1/password", body).await.expect(204);
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"]);
    assert!(told[0].1.contains("A new password was set"), "{told:?}");
    assert!(
        world
            .actions(&ann.id)
            .await
            .contains(&"password-changed: forgotten".to_owned())
    );
}

#[tokio::test]
async fn a_destination_is_told_five_times_an_hour_and_then_of_all_the_rest_at_once() {
    let world = World::new().await;
    let (ann, token) = ann(&world, json!({})).await;
    for _ in 0..30 {
        make_codes(&world, &token).await;
        world.advance(1);
    }
    patch(&world, &ann, json!({"username": "anna"})).await;
    patch(&world, &ann, json!({"sso_subject": "00u1"})).await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"; 5]);
    // It waits for the hour of the first of them, and not a second less.
    world.advance(HOUR - 30 - 1);
    let _ = clean(&world).await;
    assert!(messages(&world).await.is_empty());
    patch(&world, &ann, json!({"password": "another horse battery"})).await;
    assert!(
        messages(&world).await.is_empty(),
        "what is changed meanwhile waits with it"
    );
    world.advance(1);
    let _ = clean(&world).await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"]);
    for word in [
        "New recovery codes",
        "The username was changed",
        "another account",
        "A new password was set",
    ] {
        assert_eq!(told[0].1.matches(word).count(), 1, "{word}: {told:?}");
    }
    // It is one of the five of the hour that begins; the others are over one by one.
    let _ = clean(&world).await;
    assert!(messages(&world).await.is_empty(), "and it is told once");
    world.advance(5);
    for number in 0..6 {
        patch(&world, &ann, json!({"username": format!("ann{number}")})).await;
    }
    assert_eq!(recipients(&messages(&world).await), ["ann@example.com"; 4]);
    world.advance(HOUR);
    let _ = clean(&world).await;
    assert_eq!(recipients(&messages(&world).await), ["ann@example.com"]);
}

#[tokio::test]
async fn what_is_changed_once_there_is_room_is_told_with_what_waits_and_not_before_it() {
    let world = World::new().await;
    let (ann, token) = ann(&world, json!({})).await;
    for _ in 0..6 {
        make_codes(&world, &token).await;
    }
    assert_eq!(messages(&world).await.len(), 5);
    // The hour is over, and nobody has looked at what waits yet.
    world.advance(HOUR);
    patch(&world, &ann, json!({"username": "anna"})).await;
    assert_eq!(messages(&world).await, []);
    let _ = clean(&world).await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com"]);
    let place = |word: &str| told[0].1.find(word).unwrap();
    assert!(
        place("New recovery codes") < place("The username was changed"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_phone_is_told_five_times_an_hour_and_then_of_all_the_rest_in_one_text() {
    let world = World::new().await;
    let (ann, token) = ann(&world, json!({"email": null, "phone": PHONE})).await;
    for _ in 0..10 {
        make_codes(&world, &token).await;
    }
    patch(&world, &ann, json!({"username": "anna"})).await;
    patch(&world, &ann, json!({"phone": "+12025550177"})).await;
    assert_eq!(recipients(&messages(&world).await), [PHONE; 5]);
    world.advance(HOUR);
    let _ = clean(&world).await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), [PHONE], "what was theirs before");
    assert!(
        told[0]
            .1
            .contains("new recovery codes, username changed, phone number now +1*77"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_mailbox_of_several_users_is_one_destination_and_of_several_accounts_several() {
    let world = World::new().await;
    let mut people = Vec::new();
    for number in 0..3 {
        people.push(
            world
                .user(
                    &format!("user{number}"),
                    json!({"email": "Shared@example.com"}),
                )
                .await,
        );
    }
    for round in 0..3 {
        for person in &people {
            patch(
                &world,
                person,
                json!({"username": format!("{}-{round}", person.username)}),
            )
            .await;
        }
    }
    assert_eq!(messages(&world).await.len(), 5);
    let (_, key) = world.open_account("business").await;
    let body = json!({"username": "ben", "kind": "internal", "email": "shared@example.com"});
    let ben = world
        .send(
            world
                .request(Method::POST, "/v1/users")
                .bearer_auth(&key)
                .json(&body),
        )
        .await
        .expect(201);
    let path = format!("/v1/users/{}", ben.text("id"));
    let patch = world
        .request(Method::PATCH, &path)
        .bearer_auth(&key)
        .json(&json!({"username": "bea"}));
    let _ = world.send(patch).await.expect(200);
    assert_eq!(
        messages(&world).await.len(),
        1,
        "another account's changes are told by themselves"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_the_same_moment_are_told_five_times_and_none_is_lost() {
    let world = World::new().await;
    let mut people = Vec::new();
    for number in 0..20 {
        people.push(
            world
                .user(
                    &format!("user{number}"),
                    json!({"email": "shared@example.com"}),
                )
                .await,
        );
    }
    let path = |person: &Person| format!("/v1/users/{}", person.id);
    let changes = people.iter().enumerate().map(|(number, person)| {
        let body = json!({"phone": format!("+1202555{:04}", 100 + number)});
        let path = path(person);
        let world = &world;
        async move { world.backend(Method::PATCH, &path, Some(body)).await.status == 200 }
    });
    let changed = join_all(changes).await;
    let now = messages(&world).await;
    let mails = to(&now, "shared@example.com");
    assert_eq!(mails.len(), 5, "{mails:?}");
    world.advance(HOUR);
    let _ = clean(&world).await;
    let later = messages(&world).await;
    assert_eq!(to(&later, "shared@example.com").len(), 1);
    let all: String = now
        .iter()
        .chain(&later)
        .map(|(_, text)| text.as_str())
        .collect();
    for (number, changed) in changed.into_iter().enumerate() {
        let masked = format!("+1••••••••{number:02}");
        assert_eq!(all.contains(&masked), changed, "{masked}");
    }
}

#[tokio::test]
async fn what_waits_is_taken_by_nothing_before_it_is_told_and_bounded() {
    let world = World::new().await;
    let (ann, _) = ann(&world, json!({})).await;
    for number in 0..60 {
        patch(&world, &ann, json!({"email": format!("{}@d{number}.example.org", if number % 2 == 0 { "a" } else { "b" })})).await;
        patch(&world, &ann, json!({"email": "ann@example.com"})).await;
    }
    let log = |content: &BTreeMap<String, Value>| {
        let logs = content
            .iter()
            .filter(|(key, _)| key.starts_with("OUTBOX#notices#") && key.ends_with(" NOTICES"));
        logs.map(|(_, item)| item.clone())
            .max_by_key(|item| item["version"].as_u64())
            .unwrap()
    };
    let deferred = log(&world.content().await);
    assert!(
        deferred["deferred"].is_object() && deferred["ttl"].is_null(),
        "{deferred}"
    );
    assert!(serde_json::to_string(&deferred).unwrap().len() < 8_000);
    let _ = messages(&world).await;
    world.advance(HOUR);
    // A sender that is down loses nothing.
    world
        .stack
        .faults()
        .set(Service::Ses, Mode::Refused, 0, 1_000);
    let _ = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    world.stack.faults().clear();
    assert!(messages(&world).await.is_empty());
    world.advance(120);
    let _ = clean(&world).await;
    let told = messages(&world).await;
    let own = to(&told, "ann@example.com");
    assert_eq!(own.len(), 1);
    assert!(own[0].contains("There were further changes"), "{own:?}");
    let released = log(&world.content().await);
    assert!(
        released["deferred"].is_null() && released["ttl"].is_number(),
        "{released}"
    );
    // And once nothing looks at it any more, it goes.
    world.advance(2 * HOUR);
    let _ = clean(&world).await;
    assert!(
        !world
            .content()
            .await
            .keys()
            .any(|key| key.starts_with("OUTBOX#"))
    );
}

#[tokio::test]
async fn a_notice_that_cannot_be_sent_is_owed_and_the_change_stands() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": PHONE})).await;
    let token = world.token(&ann).await;
    let _ = messages(&world).await;
    for service in [Service::Ses, Service::Sns] {
        world.stack.faults().set(service, Mode::Refused, 0, 1_000);
        patch(
            &world,
            &ann,
            json!({"phone": if service == Service::Ses { "+12025550177" } else { PHONE }}),
        )
        .await;
        world.stack.faults().clear();
        let before = messages(&world).await;
        assert_eq!(before.len(), 1);
        world.advance(120);
        let _ = clean(&world).await;
        let mut both = recipients(&before)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let after = messages(&world).await;
        both.extend(recipients(&after).into_iter().map(str::to_owned));
        both.sort_unstable();
        assert_eq!(both[1], "ann@example.com", "{both:?}");
        assert!(both[0].starts_with("+12025550"), "{both:?}");
    }
    drop(token);
}

#[tokio::test]
async fn a_new_mailbox_is_told_nothing_but_its_code() {
    let world = World::new().await;
    let (_, token) = ann(&world, json!({"phone": PHONE})).await;
    let _ = prove(&world, &token, "email", "new@example.org").await;
    let told = messages(&world).await;
    assert_eq!(recipients(&told), ["ann@example.com", "new@example.org"]);
    assert!(
        to(&told, "new@example.org")[0].contains("Compare the reference"),
        "{told:?}"
    );
}
