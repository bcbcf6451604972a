//! A forgotten password: everybody is answered alike; a mailed link, the second factor, and a new
//! password.

use std::time::Instant;
use tests::path;

use futures_util::future::join_all;
use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::store::dynamo::{Update, keys};
use tests::{Answer, PASSWORD, Person, World, token_of};

const NEW: &str = "a horse of another colour";
const HOME: &str = "203.0.113.7";
const AWAY: &str = "198.51.100.9";

async fn forget(world: &World, account: &str, username: &str) -> Answer {
    world
        .post(
            "/v1/password/forgotten",
            json!({"account": account, "username": username}),
        )
        .await
}

/// Each of them says so, five at a time: whoever asks waits two seconds for the answer.
async fn forget_each<N: AsRef<str>>(world: &World, usernames: &[N]) {
    for some in usernames.chunks(5) {
        let answers = join_all(
            some.iter()
                .map(|username| forget(world, &world.account, username.as_ref())),
        )
        .await;
        assert!(
            answers.iter().all(|answer| answer.status == 202),
            "{answers:?}"
        );
    }
}

async fn set(world: &World, challenge: &str, password: &str) -> Answer {
    world
        .post(
            "/v1/password",
            json!({"challenge": challenge, "password": password}),
        )
        .await
}

/// Goes as far as the second factor; answers with the challenge, and what completing it answered.
async fn proved(world: &World, person: &Person) -> (String, Answer) {
    let _ = forget(world, &world.account, &person.username)
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let opened = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .expect(200);
    let challenge = opened.text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let done = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    (challenge, done)
}

#[tokio::test]
async fn a_mailed_link_and_a_code_let_a_new_password_be_set_once() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let begun = world.challenge(&ann).await;
    let before = world.token(&ann).await;
    world.advance(60);
    let (challenge, done) = proved(&world, &ann).await;
    assert_eq!(
        (&done.body["status"], &done.body["expires_in"]),
        (&json!("new_password_required"), &json!(600))
    );
    assert_eq!(done.text("challenge"), challenge);
    assert!(
        done.body.get("access_token").is_none(),
        "no token before the password is set"
    );

    let refused = set(&world, &challenge, "short")
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/password"]);
    let _ = set(&world, &challenge, NEW).await.expect(204);
    let _ = set(&world, &challenge, PASSWORD)
        .await
        .refused(410, "challenge-used");
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(401, "invalid-credentials");
    let _ = world.login("ann", NEW).await.expect(200);
    // What was begun with the old one has ended.
    let _ = world
        .issue(&begun, "sms")
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .as_user(&before, Method::GET, "/v1/me", None)
        .await
        .refused(401, "unauthorized");

    let notice = world.outbox().await.pop().unwrap();
    assert_eq!(notice["to"], "ann@example.com");
    assert!(
        notice["subject"].as_str().unwrap().contains("was changed")
            && !notice.to_string().contains(NEW)
    );
    let actions = world.actions(&ann.id).await;
    assert!(
        actions.contains(&"password-forgotten".to_owned())
            && actions.contains(&"password-changed: forgotten".to_owned())
    );
}

#[tokio::test]
async fn another_challenge_of_the_link_is_told_that_it_was_used_after_the_new_password_too() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    let _ = forget(&world, &world.account, "ann").await.expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let redeem = || world.post("/v1/links/redeem", json!({"token": token}));
    let (here, there) = (
        redeem().await.expect(200).text("challenge"),
        redeem().await.expect(200).text("challenge"),
    );
    let _ = world.issue(&here, "sms").await.expect(202);
    let _ = world
        .verify(&here, "sms", &world.last_code().await)
        .await
        .expect(200);
    let _ = world
        .verify(&there, "sms", "000000")
        .await
        .refused(410, "challenge-used");
    let _ = set(&world, &here, NEW).await.expect(204);
    let _ = world
        .verify(&there, "sms", "000000")
        .await
        .refused(410, "challenge-used");
}

#[tokio::test]
async fn a_forgotten_password_lifts_the_delay_of_wrong_ones() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    for _ in 0..5 {
        let _ = world
            .login("ann", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    let (challenge, _) = proved(&world, &ann).await;
    let _ = set(&world, &challenge, NEW).await.expect(204);
    let _ = world.login("ann", NEW).await.expect(200);
}

#[tokio::test]
async fn everybody_is_answered_alike() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let off = world.user("off", json!({})).await;
    let mute = world.user("mute", json!({"email": null})).await;
    let _ = world
        .backend(
            Method::PATCH,
            &format!("/v1/users/{}", off.id),
            Some(json!({"disabled": true})),
        )
        .await
        .expect(200);
    let nowhere = "acc_00000000000000000000000001";
    let asked = [
        (&*world.account, "ann"),
        (&*world.account, "nobody"),
        (&*world.account, "off"),
        (&*world.account, "mute"),
        (nowhere, "ann"),
    ];
    let answers =
        join_all(asked.map(|(account, username)| forget(&world, account, username))).await;
    let shown: Vec<(u16, Value, Vec<String>)> = answers
        .into_iter()
        .map(|answer| {
            let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            (answer.status, answer.body, names)
        })
        .collect();
    assert_eq!(shown[0].0, 202);
    assert!(shown.iter().all(|answer| *answer == shown[0]), "{shown:?}");
    assert_eq!(world.outbox().await.len(), 1);
    assert_eq!(
        world.actions(&ann.id).await,
        ["user-created", "password-forgotten"]
    );
    assert_eq!(
        world.actions(&off.id).await.last().unwrap(),
        "password-forgotten: disabled"
    );
    assert_eq!(
        world.actions(&mute.id).await.last().unwrap(),
        "password-forgotten: no-mail-address"
    );
}

#[tokio::test]
async fn what_is_answered_takes_the_same_requests_up_to_the_mail() {
    let world = World::new().await;
    let _ = world.user("ann", json!({"email": null})).await;
    let mut costs = Vec::new();
    for username in ["ann", "nobody"] {
        let _ = world.stack.meter().take();
        let _ = forget(&world, &world.account, username).await.expect(202);
        costs.push(world.stack.meter().take().requests);
    }
    assert_eq!(costs, [3, 3]);
}

#[tokio::test]
async fn limits_by_name_hold_for_those_that_nobody_has_as_well() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    forget_each(&world, &["ann"; 5]).await;
    forget_each(&world, &["nobody"; 5]).await;
    for username in ["ann", "nobody"] {
        let _ = forget(&world, &world.account, username)
            .await
            .refused(429, "too-many-sends");
    }
    assert_eq!(world.outbox().await.len(), 5);
    world.advance(600);
    let _ = forget(&world, &world.account, "ann").await.expect(202);
}

#[tokio::test]
async fn a_source_address_has_25_in_five_minutes_and_a_mailbox_five_in_ten() {
    let world = World::new().await;
    let mut names = Vec::new();
    for number in 0..7 {
        let person = world
            .user(
                &format!("user{number}"),
                json!({"email": "shared@example.com"}),
            )
            .await;
        names.push(person.username);
    }
    names.extend((0..18).map(|number| format!("nobody{number}")));
    // A full mailbox is told to nobody.
    forget_each(&world, &names).await;
    assert_eq!(world.outbox().await.len(), 5);
    let _ = forget(&world, &world.account, "another")
        .await
        .refused(429, "too-many-sends");
}

/// Says so from an address.
async fn forget_at(world: &World, address: &str, username: &str) -> Answer {
    world
        .at(address)
        .post(
            "/v1/password/forgotten",
            json!({"account": world.account, "username": username}),
        )
        .await
}

/// How many of ten are let through, asked for five at a time.
async fn let_through(world: &World, address: &str, username: &str) -> usize {
    let mut sent = 0;
    for _ in 0..2 {
        let answers = join_all((0..5).map(|_| forget_at(world, address, username))).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer.status, 202 | 429)),
            "{answers:?}"
        );
        sent += answers.iter().filter(|answer| answer.status == 202).count();
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_links_of_a_name_half_is_kept_for_known_addresses_and_strangers_have_as_many_of_any_name()
 {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.user("new", json!({})).await;
    let _ = world.at(HOME).sign_in(&ann).await;
    world.advance(3_600);
    for minutes in [0, 10, 20] {
        let most = if minutes < 20 { 5 } else { 0 };
        // Who is known somewhere, who is known nowhere yet, and nobody: a stranger is told nothing
        // by it. Each waits as long, so all do at once.
        let away =
            join_all(["ann", "new", "nobody"].map(|username| let_through(&world, AWAY, username)))
                .await;
        assert_eq!(away, [most; 3], "after {minutes} minutes");
        let home =
            join_all(["ann", "nobody"].map(|username| let_through(&world, HOME, username))).await;
        assert_eq!(
            home,
            [most, 0],
            "after {minutes} minutes: what is kept, for who is known there"
        );
        world.advance(600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_because_of_the_name_comes_no_sooner_than_a_link() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    for username in ["ann", "nobody"] {
        // Those that lose the race are refused once they are counted, and the one after them as
        // soon as it is read.
        let timed = async || {
            #[expect(
                clippy::disallowed_methods,
                reason = "how long somebody waits, and not what time it is"
            )]
            let began = Instant::now();
            (
                forget_at(&world, HOME, username).await.status,
                began.elapsed().as_millis() >= 2_000,
            )
        };
        let mut answers = join_all((0..8).map(|_| timed())).await;
        answers.push(timed().await);
        answers.sort_unstable();
        assert_eq!(
            answers,
            [vec![(202, true); 5], vec![(429, true); 4]].concat(),
            "{username}"
        );
    }
}

#[tokio::test]
async fn a_mailbox_that_its_user_has_proved_is_mailed_whoever_else_says_that_it_is_theirs() {
    let world = World::of_many_places().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.at(HOME).challenge(&ann).await;
    let _ = world.at(HOME).issue(&challenge, "email").await.expect(202);
    let _ = world
        .at(HOME)
        .verify(&challenge, "email", &world.last_code().await)
        .await
        .expect(200);
    let mut others = Vec::new();
    for number in 0..7 {
        others.push(
            world
                .user(
                    &format!("user{number}"),
                    json!({"email": "Ann@example.com"}),
                )
                .await
                .username,
        );
    }
    let links = async || {
        world
            .content()
            .await
            .keys()
            .filter(|key| key.starts_with("LINK#"))
            .count()
    };
    forget_each(&world, &others).await;
    assert_eq!(
        links().await,
        5,
        "one that nobody has proved has its share in the account"
    );
    for address in [HOME, AWAY] {
        let _ = forget_at(&world, address, "ann").await.expect(202);
    }
    assert_eq!(links().await, 7);
}

#[tokio::test]
async fn a_mailbox_has_five_links_in_ten_minutes_in_whichever_case_it_is_written() {
    let world = World::new().await;
    let addresses = [
        "vic@example.com",
        "Vic@example.com",
        "vic@EXAMPLE.com",
        "VIC@Example.Com",
        "viC@example.com",
        "VIC@EXAMPLE.COM",
    ];
    let mut names = Vec::new();
    for (number, email) in addresses.into_iter().enumerate() {
        names.push(
            world
                .user(&format!("vic{number}"), json!({"email": email}))
                .await
                .username,
        );
    }
    forget_each(&world, &names[..5]).await;
    forget_each(&world, &names[5..]).await;
    let mut to: Vec<String> = world
        .outbox()
        .await
        .iter()
        .map(|mail| mail["to"].as_str().unwrap().to_owned())
        .collect();
    to.sort_unstable_by_key(|mailbox| addresses.iter().position(|address| address == mailbox));
    assert_eq!(to, addresses[..5]);
}

#[tokio::test]
async fn links_that_anybody_asks_for_use_up_nobodys_codes() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world.user("ann", json!({"phone": null})).await;
    let mut names = vec!["ann".to_owned(); 5];
    names.extend((0..20).map(|number| format!("nobody{number}")));
    forget_each(&world, &names).await;
    let _ = forget(&world, &world.account, "another")
        .await
        .refused(429, "too-many-sends");
    let challenge = world.challenge(&ann).await;
    let _ = world.issue(&challenge, "email").await.expect(202);
    let _ = world
        .verify(&challenge, "email", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_mail_that_was_begun_is_not_broken_off_and_goes_once() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    // The claim of the mail, which is the fifth call, takes effect, and the answer to it does not
    // come in time.
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Slow, 4, 1);
    let _ = forget(&world, &world.account, "ann").await.expect(202);
    assert_eq!(
        (world.stack.faults().struck(), world.outbox().await.len()),
        (1, 1)
    );
    world.advance(120);
    let cleaned = world
        .send(world.request(Method::POST, "/_local/cleanup"))
        .await
        .expect(200);
    assert_eq!(
        (&cleaned.body["mails_sent"], world.outbox().await.len()),
        (&json!(0), 1)
    );
}

#[tokio::test]
async fn a_mailbox_alone_sets_no_password() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let _ = world.user("ann", json!({})).await;
    let mail = world.user("mail", json!({})).await;
    let _ = forget(&world, &world.account, "ann").await.expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let opened = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .expect(200);
    let methods: Vec<_> = opened.body["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| offer["method"].clone())
        .collect();
    assert_eq!(methods, ["sms"]);
    let _ = world
        .issue(&opened.text("challenge"), "email")
        .await
        .refused(403, "method-not-enabled");
    let _ = forget(&world, &world.account, "mail").await.expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    lose_the_phone(&world, &mail).await;
    let refused = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .refused(403, "no-usable-factor");
    assert_eq!(
        refused.text("detail"),
        "The user has no second factor that can be used for this sign-in."
    );
}

async fn lose_the_phone(world: &World, person: &Person) {
    let path = format!("/v1/users/{}", person.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"phone": null})))
        .await
        .expect(200);
}

#[tokio::test]
async fn who_could_not_use_the_link_is_mailed_whom_to_ask_and_the_caller_is_told_the_same() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let _ = world.user("ann", json!({})).await;
    let link = forget(&world, &world.account, "ann").await.expect(202);
    // Who has codes by mail alone; then who has nothing that is on.
    let subjects = [
        "New password",
        "Nouveau mot de passe",
        "Neues Passwort",
        "Nueva contraseña",
        "Nuova password",
    ];
    let mut people = Vec::new();
    for locale in ["en", "fr", "de", "es", "it"] {
        people.push(
            world
                .user(
                    &format!("mail-{locale}"),
                    json!({"phone": null, "locale": locale}),
                )
                .await,
        );
    }
    let answers = join_all(
        people
            .iter()
            .map(|person| forget(&world, &world.account, &person.username)),
    )
    .await;
    let mails = world.outbox().await;
    for ((person, answer), subject) in people.iter().zip(answers).zip(subjects) {
        let address = format!("{}@example.com", person.username);
        assert_eq!(answer.expect(202).body, link.body);
        let mail = mails
            .iter()
            .rfind(|mail| mail["to"] == address.as_str())
            .unwrap();
        let (text, html) = (
            mail["text"].as_str().unwrap(),
            mail["html"].as_str().unwrap(),
        );
        assert!(
            mail["subject"].as_str().unwrap().starts_with(subject),
            "{mail}"
        );
        assert!(
            text.contains("Alder & Pine") && !text.contains("/link#") && !html.contains("/link#"),
            "{mail}"
        );
        assert_eq!(
            world.actions(&person.id).await.last().unwrap(),
            "password-forgotten: no-usable-factor"
        );
    }
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": false, "sms": false}}}))
        .await;
    let sent = world.outbox().await.len();
    forget_each(&world, &["ann"; 4]).await;
    let mails = world.outbox().await.split_off(sent);
    assert!(
        mails.len() == 4
            && mails
                .iter()
                .all(|mail| !mail["text"].as_str().unwrap().contains("/link#")),
        "{mails:?}"
    );
    // They are of the mailbox's share, as a link is.
    let again = world
        .user("again", json!({"phone": null, "email": "ANN@example.com"}))
        .await;
    let _ = forget(&world, &world.account, &again.username)
        .await
        .expect(202);
    assert_eq!(world.outbox().await.len(), sent + 4);
    assert_eq!(
        world.actions(&again.id).await.last().unwrap(),
        "password-forgotten: too-many-sends"
    );
}

#[tokio::test]
async fn who_has_only_a_factor_that_takes_codes_from_nowhere_is_mailed_whom_to_ask() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world.token(&ann).await;
    let told = async || {
        let _ = forget(&world, &world.account, "ann").await.expect(202);
        world.outbox().await.last().unwrap()["text"]
            .as_str()
            .unwrap()
            .contains("/link#")
    };
    for (count, link) in [("known_failures", true), ("failures", false)] {
        let update = Update::of(keys::user(ann.id.parse().unwrap()))
            .set(path("factors.sms").member(count), 50_u32);
        let _ = world.stack.table().update(update).await.unwrap();
        assert_eq!(told().await, link, "{count}");
    }
    let _ = world
        .backend(Method::POST, &format!("/v1/users/{}/unlock", ann.id), None)
        .await
        .expect(200);
    assert!(told().await);
}

/// Says that the password was forgotten, with an `Idempotency-Key`.
async fn forget_with(world: &World, key: &str, username: &str) -> Answer {
    let body = json!({"account": world.account, "username": username});
    world
        .send(
            world
                .request(Method::POST, "/v1/password/forgotten")
                .header("idempotency-key", key)
                .json(&body),
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_again_mails_nothing_and_tells_of_nobody() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let mut told = Vec::new();
    for username in ["ann", "nobody"] {
        let key = format!("key-{username}");
        let first = forget_with(&world, &key, username).await.expect(202);
        assert_eq!(first.header("idempotency-replayed"), None);
        let _ = world.stack.meter().take();
        let again = forget_with(&world, &key, username).await.expect(202);
        let cost = world.stack.meter().take();
        assert_eq!(
            (again.header("idempotency-replayed"), &again.body),
            (Some("true"), &first.body)
        );
        let _ = forget_with(&world, &key, "somebody")
            .await
            .refused(422, "idempotency-key-reused");
        told.push((cost.requests, first.body));
    }
    assert_eq!(told[0], told[1], "whoever it was");
    assert_eq!(
        (
            world.outbox().await.len(),
            world.actions(&ann.id).await.len()
        ),
        (1, 2)
    );
    // It counts once: four more are let through, and the first is still answered again when no more
    // are.
    forget_each(&world, &["ann"; 4]).await;
    let _ = forget(&world, &world.account, "ann")
        .await
        .refused(429, "too-many-sends");
    let _ = forget_with(&world, "key-ann", "ann").await.expect(202);
    assert_eq!(world.outbox().await.len(), 5);
    world.advance(86_400);
    let later = forget_with(&world, "key-ann", "ann").await.expect(202);
    assert_eq!(
        (
            later.header("idempotency-replayed"),
            world.outbox().await.len()
        ),
        (None, 6)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_requests_with_one_key_one_is_counted_and_mailed() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    // One short of the share: whoever comes after the same request is not told that it is used up.
    forget_each(&world, &["ann"; 4]).await;
    let answers = join_all((0..20).map(|_| forget_with(&world, "k", "ann"))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 202),
        "{answers:?}"
    );
    let replayed = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed").is_some())
        .count();
    assert_eq!((replayed, world.outbox().await.len()), (19, 5));
    let told = world.actions(&ann.id).await;
    assert_eq!(
        told.iter()
            .filter(|action| *action == "password-forgotten")
            .count(),
        5
    );
}

#[tokio::test]
async fn a_mailbox_alone_sets_up_no_factor_on_the_way_to_a_password() {
    let world = World::new().await;
    let new = world.user("new", json!({})).await;
    let _ = forget(&world, &world.account, "new").await.expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    lose_the_phone(&world, &new).await;
    let _ = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .refused(403, "no-usable-factor");

    // Nor after an administrator's reset: a link that the organisation sends is the way there.
    let _ = world
        .backend(
            Method::DELETE,
            &format!("/v1/users/{}/factors/totp", new.id),
            None,
        )
        .await
        .expect(204);
    let _ = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .refused(403, "no-usable-factor");
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": new.id})))
        .await
        .expect(202);
    let token = token_of(&world.outbox().await.pop().unwrap());
    let opened = world
        .post("/v1/links/redeem", json!({"token": token}))
        .await
        .expect(200);
    assert_eq!(opened.body["status"], "enrolment_required");
}

#[tokio::test]
async fn who_signs_in_without_a_password_is_given_none() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"password": null})))
        .await
        .expect(200);
    let told = world.outbox().await.len();
    let _ = world.stack.meter().take();
    let _ = forget(&world, &world.account, "ann").await.expect(202);
    assert_eq!(world.stack.meter().take().requests, 3, "as for nobody");
    assert_eq!(world.outbox().await.len(), told);
    assert_eq!(
        world.actions(&ann.id).await.last().unwrap(),
        "password-forgotten: no-password"
    );
}

#[tokio::test]
async fn a_password_is_set_only_with_what_was_opened_for_it_and_proved() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = set(&world, "chl_x.y.z", NEW)
        .await
        .refused(401, "challenge-unknown");
    let signing_in = world.challenge(&ann).await;
    let _ = set(&world, &signing_in, NEW)
        .await
        .refused(403, "forbidden");
    let (signing_in, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&signing_in, "sms", &code).await.expect(200);
    let _ = set(&world, &signing_in, NEW)
        .await
        .refused(410, "challenge-used");

    world.advance(600);
    let (late, _) = proved(&world, &ann).await;
    world.advance(600);
    let _ = set(&world, &late, NEW)
        .await
        .refused(410, "challenge-expired");

    let (ended, _) = proved(&world, &ann).await;
    let path = format!("/v1/users/{}", ann.id);
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"disabled": true})))
        .await
        .expect(200);
    let _ = set(&world, &ended, NEW)
        .await
        .refused(410, "challenge-expired");
    let _ = world
        .backend(Method::PATCH, &path, Some(json!({"disabled": false})))
        .await
        .expect(200);
    let _ = set(&world, &ended, NEW)
        .await
        .refused(410, "challenge-expired");
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_new_password_ends_the_other_links_that_were_mailed() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = forget(&world, &world.account, "ann").await.expect(202);
    let other = token_of(&world.outbox().await.pop().unwrap());
    let (challenge, _) = proved(&world, &ann).await;
    let _ = set(&world, &challenge, NEW).await.expect(204);
    let _ = world
        .post("/v1/links/redeem", json!({"token": other}))
        .await
        .refused(410, "link-expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_new_passwords_at_once_one_is_set() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, _) = proved(&world, &ann).await;
    let passwords: Vec<String> = (0..50).map(|number| format!("{NEW} {number}")).collect();
    let answers = join_all(
        passwords
            .iter()
            .map(|password| set(&world, &challenge, password)),
    )
    .await;
    let winners: Vec<_> = answers
        .iter()
        .zip(&passwords)
        .filter(|(answer, _)| answer.status == 204)
        .collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let lost = |answer: &Answer| matches!(answer.slug(), "challenge-used" | "service-unavailable");
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 204 || lost(answer)),
        "{answers:?}"
    );
    let _ = world.login("ann", winners[0].1).await.expect(200);
    let notices = world
        .outbox()
        .await
        .into_iter()
        .filter(|mail| mail["subject"].to_string().contains("was changed"));
    assert_eq!(notices.count(), 1);
}
