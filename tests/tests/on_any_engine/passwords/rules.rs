//! What a new password has to be, at every place that sets one, and what a short one that was set
//! before opens.

use local::Service;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{Answer, PASSWORD, Person, World, token_of};

/// The places that set a password, each for a user of its own.
const PLACES: [&str; 4] = ["created", "patched", "me", "forgotten"];

/// Sets a password at a place.
async fn set(world: &World, place: &str, number: usize, kind: &str, password: &str) -> Answer {
    let username = format!("ann{number}.{place}");
    let phone = format!("+1202555{:04}", 100 + number);
    let body = |password: &str| json!({"username": username, "kind": kind, "password": password, "phone": phone, "email": format!("{username}@example.com")});
    if place == "created" {
        return world
            .backend(Method::POST, "/v1/users", Some(body(password)))
            .await;
    }
    let created = world
        .backend(Method::POST, "/v1/users", Some(body(PASSWORD)))
        .await
        .expect(201)
        .text("id");
    match place {
        "patched" => {
            world
                .backend(
                    Method::PATCH,
                    &format!("/v1/users/{created}"),
                    Some(json!({"password": password})),
                )
                .await
        }
        "me" => {
            let login = json!({"account": world.account, "username": username, "password": PASSWORD, "second_factor": true});
            let challenge = world
                .post("/v1/login", login)
                .await
                .expect(200)
                .text("challenge");
            let _ = world.issue(&challenge, "sms").await.expect(202);
            let token = world
                .verify(&challenge, "sms", &world.last_code().await)
                .await
                .expect(200)
                .text("access_token");
            let body = json!({"password": password, "current_password": PASSWORD});
            world
                .as_user(&token, Method::PATCH, "/v1/me", Some(body))
                .await
        }
        _ => {
            let body = json!({"account": world.account, "username": username});
            let _ = world.post("/v1/password/forgotten", body).await.expect(202);
            let token = token_of(&world.outbox().await.pop().unwrap());
            let opened = world
                .post("/v1/links/redeem", json!({"token": token}))
                .await
                .expect(200)
                .text("challenge");
            let _ = world.issue(&opened, "sms").await.expect(202);
            let proved = world
                .verify(&opened, "sms", &world.last_code().await)
                .await
                .expect(200)
                .text("challenge");
            world
                .post(
                    "/v1/password",
                    json!({"challenge": proved, "password": password}),
                )
                .await
        }
    }
}

fn said(answer: &Answer) -> (Vec<String>, String) {
    assert_eq!(
        (answer.status, answer.slug()),
        (400, "invalid-request"),
        "{}",
        answer.body
    );
    (
        answer.pointers(),
        answer.body["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .to_owned(),
    )
}

#[tokio::test]
async fn what_is_tried_first_and_what_everybody_knows_is_no_password_wherever_it_is_set() {
    let world = World::new().await;
    for (place_number, place) in PLACES.into_iter().enumerate() {
        for (number, (password, why)) in [
            ("short", "must have 8 to 256 characters"),
            ("qwertyuiop", "is one of the most common passwords"),
            ("PassWord1", "is one of the most common passwords"),
            ("ｐａｓｓｗｏｒｄ", "is one of the most common passwords"),
            ("alder & PINE", "must not be the name of the organisation"),
        ]
        .into_iter()
        .enumerate()
        {
            world.advance(3_600);
            let answer = set(
                &world,
                place,
                place_number * 10 + number,
                "external",
                password,
            )
            .await;
            assert_eq!(
                said(&answer),
                (vec!["/password".to_owned()], why.to_owned()),
                "{place}: {password}"
            );
            assert!(
                !answer.body.to_string().contains(password),
                "a refusal repeats no password"
            );
        }
        world.advance(3_600);
        let username = format!("ANN{}.{place}", place_number * 10 + 7);
        let answer = set(&world, place, place_number * 10 + 7, "external", &username).await;
        assert_eq!(
            said(&answer),
            (
                vec!["/password".to_owned()],
                "must not be the username".to_owned()
            ),
            "{place}"
        );
        world.advance(3_600);
        let answer = set(&world, place, place_number * 10 + 8, "external", "8 chars!").await;
        assert!(answer.status < 300, "{place}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_password_that_may_let_somebody_in_by_itself_has_fifteen_characters_wherever_it_is_set() {
    const WHY: &str =
        "must have at least 15 characters: it may let this user in without a second factor";
    for settings in [
        json!({"second_factor": {"internal_required": false}}),
        json!({"ip_allowlist": ["203.0.113.0/24"]}),
    ] {
        let world = World::new().await;
        let _ = world.settings(settings).await;
        for (number, place) in PLACES.into_iter().enumerate() {
            let answer = set(&world, place, number, "internal", "fourteen chars").await;
            assert_eq!(
                said(&answer),
                (vec!["/password".to_owned()], WHY.to_owned()),
                "{place}"
            );
            world.advance(3_600);
            let answer = set(&world, place, number + 10, "internal", "fifteen chars !").await;
            assert!(answer.status < 300, "{place}: {}", answer.body);
            world.advance(3_600);
            let answer = set(&world, place, number + 20, "external", "fourteen chars").await;
            assert!(
                answer.status < 300,
                "who always owes a second factor, {place}: {}",
                answer.body
            );
            world.advance(3_600);
        }
    }
    let world = World::new().await;
    assert_eq!(
        set(&world, "created", 0, "internal", "fourteen chars")
            .await
            .status,
        201,
        "as long as nothing is waived"
    );
}

#[tokio::test]
async fn a_short_password_that_was_set_before_owes_a_second_factor() {
    let world = World::of_many_places().await;
    let _ = world
        .user(
            "ann",
            json!({"kind": "internal", "password": "fourteen chars"}),
        )
        .await;
    let _ = world
        .user(
            "ben",
            json!({"kind": "internal", "password": "fifteen chars !"}),
        )
        .await;
    // Fifteen letters as they are typed, and eight in their normal form.
    let _ = world
        .user("cid", json!({"kind": "internal", "password": "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}x"}))
        .await;
    for settings in [
        json!({"ip_allowlist": ["203.0.113.0/24"]}),
        json!({"ip_allowlist": [], "second_factor": {"internal_required": false}}),
    ] {
        let _ = world.settings(settings).await;
        let here = world.at("203.0.113.7");
        let status = |answer: Answer| answer.expect(200).text("status");
        assert_eq!(
            status(here.login("ann", "fourteen chars").await),
            "second_factor_required"
        );
        assert_eq!(
            status(here.login("ben", "fifteen chars !").await),
            "authenticated"
        );
        assert_eq!(
            status(here.login("cid", "éééééééx").await),
            "second_factor_required"
        );
    }
}

#[tokio::test]
async fn a_password_is_the_same_however_its_letters_are_composed() {
    let world = World::new().await;
    let decomposed = "re\u{301}pe\u{301}tition ﬁnale";
    let ann = world.user("ann", json!({"password": decomposed})).await;
    for typed in [decomposed, "répétition finale", "ｒépétition finale"] {
        let _ = world.login("ann", typed).await.expect(200);
    }
    let _ = world
        .login("ann", "repetition finale")
        .await
        .refused(401, "invalid-credentials");
    // 256 are counted in the normal form, and no more.
    let path = format!("/v1/users/{}", ann.id);
    let patch = async |password: String| {
        world
            .backend(Method::PATCH, &path, Some(json!({"password": password})))
            .await
    };
    let _ = patch("e\u{301}".repeat(256)).await.expect(200);
    let _ = world.login("ann", &"é".repeat(256)).await.expect(200);
    assert_eq!(said(&patch("é".repeat(257)).await).0, ["/password"]);
    let refused = world
        .login("ann", &"é".repeat(257))
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/password"]);
}

#[tokio::test]
async fn every_fault_of_a_new_user_is_told_at_once_the_passwords_among_them() {
    let world = World::new().await;
    let body =
        json!({"username": "ann", "kind": "external", "password": "12345678", "email": "ann"});
    let refused = world
        .backend(Method::POST, "/v1/users", Some(body))
        .await
        .refused(400, "invalid-request");
    assert_eq!(refused.pointers(), ["/password", "/email"]);
    let users = world
        .backend(Method::GET, "/v1/users", None)
        .await
        .expect(200);
    assert_eq!(users.body["users"], Value::Array(Vec::new()));
}

/// The rules are those of the user as the password is written, and not as they were when it was
/// asked for: here the username becomes what is set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_became_the_username_meanwhile_is_not_set() {
    const NEW: &str = "swordfish.quay";
    for place in ["patched", "me", "forgotten"] {
        let mut judged = 0;
        for after in 0..8 {
            let world = World::new().await;
            let ann = world.user("ann", json!({"email": "ann@example.com"})).await;
            let set = prepared(&world, place, &ann, NEW).await;
            let held = world.stack.faults().hold(Service::Dynamodb, after);
            let path = format!("/v1/users/{}", ann.id);
            let renamed = async {
                held.arrived().await;
                let _ = world
                    .backend(Method::PATCH, &path, Some(json!({"username": NEW})))
                    .await
                    .expect(200);
                held.let_go();
            };
            let (answer, ()) = tokio::join!(world.send(set), renamed);
            if !held.is_a_read() {
                break;
            }
            assert!(
                answer.status >= 400,
                "{place}, held after {after}: {}",
                answer.body
            );
            judged += usize::from(answer.status == 400);
        }
        assert!(judged > 0, "{place}: by the rules");
    }
}

/// The request that sets a password at a place.
async fn prepared(world: &World, place: &str, ann: &Person, password: &str) -> RequestBuilder {
    match place {
        "patched" => {
            let request = world
                .request(Method::PATCH, &format!("/v1/users/{}", ann.id))
                .bearer_auth(&world.key);
            request
                .header("content-type", "application/merge-patch+json")
                .body(json!({"password": password}).to_string())
        }
        "me" => {
            let (challenge, code) = world.challenge_and_code(ann).await;
            let token = world
                .verify(&challenge, "sms", &code)
                .await
                .expect(200)
                .text("access_token");
            let body = json!({"password": password, "current_password": PASSWORD});
            let request = world.request(Method::PATCH, "/v1/me").bearer_auth(token);
            request
                .header("content-type", "application/merge-patch+json")
                .body(body.to_string())
        }
        _ => {
            let _ = world
                .post(
                    "/v1/password/forgotten",
                    json!({"account": world.account, "username": "ann"}),
                )
                .await
                .expect(202);
            let token = token_of(&world.outbox().await.pop().unwrap());
            let opened = world
                .post("/v1/links/redeem", json!({"token": token}))
                .await
                .expect(200)
                .text("challenge");
            let _ = world.issue(&opened, "sms").await.expect(202);
            let proved = world
                .verify(&opened, "sms", &world.last_code().await)
                .await
                .expect(200)
                .text("challenge");
            world
                .request(Method::POST, "/v1/password")
                .json(&json!({"challenge": proved, "password": password}))
        }
    }
}
