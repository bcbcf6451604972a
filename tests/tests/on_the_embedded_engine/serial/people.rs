//! Scenes of a user.

use reqwest::Method;
use serde_json::{Value, json};
use tests::contacts::{begin, confirm, remove};
use tests::{Answer, PASSWORD, Person, World, another, token_of};

use crate::row;
use crate::serial::scene::{Manner, Scene};

const NEW: &str = "a horse of another colour";
const NUMBER: &str = "+12025550177";
const MAILBOX: &str = "ann@example.org";
const WRONG: &str = "a wrong password";
/// Where nobody knows anybody.
const AWAY: &str = "198.51.100.9";
/// Why the count of refused passwords need not be changed in every scene that looks at it.
const REFUSED_ELSEWHERE: (&str, &str) = (
    " REFUSED",
    "who is refused meets all that looks at the count in a scene of their own",
);
/// What comes of a name that is given away while somebody signs in with it.
const NAME_LOOKED_UP: (&str, &str, &str) = (
    "somebody signs in",
    "another name is given",
    "whose the name was when it was looked up: a failure is told in that user's chain, and not in that of nobody",
);

async fn user(scene: &Scene, patch: Value) -> Answer {
    scene
        .world
        .backend(Method::PATCH, scene.at("user"), Some(patch))
        .await
}

async fn delete(scene: &Scene, what: &str) -> Answer {
    scene
        .world
        .backend(Method::DELETE, &format!("{}{what}", scene.at("user")), None)
        .await
}

async fn redeem(scene: &Scene) -> Answer {
    scene
        .world
        .post("/v1/links/redeem", json!({"token": scene.at("link")}))
        .await
}

async fn verify(scene: &Scene, code: &str) -> Answer {
    scene
        .world
        .verify(scene.at("challenge"), "sms", scene.at(code))
        .await
}

async fn as_user(scene: &Scene, method: Method, path: &str, body: Option<Value>) -> Answer {
    scene
        .world
        .as_user(scene.at("token"), method, path, body)
        .await
}

async fn forget(scene: &Scene) -> Answer {
    scene
        .world
        .post(
            "/v1/password/forgotten",
            json!({"account": scene.world.account, "username": "ann"}),
        )
        .await
}

async fn mailed(world: &World, person: &Person) -> String {
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": person.id})))
        .await
        .expect(202);
    token_of(&world.outbox().await.pop().unwrap())
}

async fn scene(world: World, person: &Person, named: Vec<(&'static str, String)>) -> Scene {
    let scene = Scene::of(world)
        .await
        .with("user", format!("/v1/users/{}", person.id));
    named
        .into_iter()
        .fold(scene, |scene, (name, value)| scene.with(name, value))
}

/// A link was mailed, opened, and its code was sent.
pub async fn a_link_was_mailed() -> Scene {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let link = mailed(&world, &ann).await;
    let challenge = world
        .post("/v1/links/redeem", json!({"token": link}))
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    world.advance(61);
    let named = vec![
        ("link", link),
        ("challenge", challenge),
        ("wrong", another(&code)),
        ("code", code),
    ];
    let mut scene = scene(world, &ann, named).await;
    scene.inputs.push(REFUSED_ELSEWHERE);
    scene.rows = vec![
        row!("the link is opened", scene => redeem(scene)),
        row!("the code is typed", scene => verify(scene, "code")).in_manner(Manner::Counted),
        row!("a wrong code is typed", scene => verify(scene, "wrong")).in_manner(Manner::Counted),
        row!("another code is sent", scene => scene.world.issue(scene.at("challenge"), "sms")),
        row!("the mail address is changed", scene => user(scene, json!({"email": "ann@example.org"}))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
        row!("the locks are lifted", scene => scene.world.backend(Method::POST, &format!("{}/unlock", scene.at("user")), None)),
        row!("the user is deleted", scene => delete(scene, "")),
        row!("somebody signs in", scene => scene.world.login("ann", PASSWORD))
            .in_manner(Manner::Counted),
        row!("a wrong password is tried", scene => scene.world.login("ann", WRONG))
            .in_manner(Manner::Counted),
    ];
    scene
}

/// A forgotten password: its link was mailed, and the second factor is proved.
pub async fn a_password_was_forgotten() -> Scene {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let body = json!({"account": world.account, "username": "ann"});
    let _ = world.post("/v1/password/forgotten", body).await.expect(202);
    let link = token_of(&world.outbox().await.pop().unwrap());
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
    let mut scene = scene(world, &ann, vec![("challenge", challenge)]).await;
    scene.inputs.push(REFUSED_ELSEWHERE);
    scene.apart.push(NAME_LOOKED_UP);
    scene.rows = vec![
        row!("the password is forgotten again", scene => forget(scene)).in_manner(Manner::Patient),
        row!("another is set", scene => scene.world.post("/v1/password", json!({"challenge": scene.at("challenge"), "password": NEW}))),
        row!("the password is taken away", scene => user(scene, json!({"password": null}))),
        row!("another name is given", scene => user(scene, json!({"username": "anna"}))),
        row!("another user has that name", scene => create_user(scene, "anna")),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
        row!("somebody signs in", scene => scene.world.login("ann", PASSWORD))
            .in_manner(Manner::Counted),
        row!("a wrong password is tried", scene => scene.world.login("ann", WRONG))
            .in_manner(Manner::Counted),
    ];
    scene
}

/// Somebody is at home, with a code in hand; strangers have tried so many passwords that theirs are
/// refused unseen, of which one was told.
pub async fn passwords_are_refused() -> Scene {
    let world = World::of_many_places().await;
    let ann = world.user("ann", json!({})).await;
    let token = world.token(&ann).await;
    world.advance(31);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    for _ in 0..5 {
        let _ = world
            .at(AWAY)
            .login("ann", WRONG)
            .await
            .refused(401, "invalid-credentials");
    }
    let _ = world
        .at(AWAY)
        .login("ann", WRONG)
        .await
        .refused(429, "too-many-attempts");
    let mut scene = scene(
        world,
        &ann,
        vec![("token", token), ("challenge", challenge), ("code", code)],
    )
    .await;
    let why = "a number is told as it stood when the sign-in read it, and what is refused from then on is told at the next one";
    scene.apart.extend([
        ("somebody signs in", "a password is refused", why),
        NAME_LOOKED_UP,
    ]);
    scene.rows = vec![
        row!("a password is refused", scene => scene.world.at(AWAY).login("ann", WRONG))
            .in_manner(Manner::Counted),
        row!("the code is typed", scene => verify(scene, "code")).in_manner(Manner::Counted),
        row!("somebody signs in", scene => scene.world.login("ann", PASSWORD))
            .in_manner(Manner::Counted),
        row!("a wrong password is tried", scene => scene.world.login("ann", WRONG))
            .in_manner(Manner::Counted),
        row!("a wrong password is shown", scene => change_password(scene, WRONG))
            .in_manner(Manner::Counted),
        row!("the locks are lifted", scene => scene.world.backend(Method::POST, &format!("{}/unlock", scene.at("user")), None)),
        row!("an administrator changes the password", scene => user(scene, json!({"password": NEW}))),
        row!("another name is given", scene => user(scene, json!({"username": "anna"}))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
    ];
    scene
}

/// Somebody who never had a factor is about to set up an app and a phone, each with the challenge
/// of one sign-in.
pub async fn a_first_factor_is_set_up() -> Scene {
    let world = World::new().await;
    let ann = world
        .user("ann", json!({"phone": null, "email": null}))
        .await;
    let challenge = world.opened("ann").await.text("challenge");
    let begun = world
        .post("/v1/factors/totp", json!({"challenge": challenge}))
        .await
        .expect(201);
    let app = json!({"challenge": challenge, "factor": begun.text("factor"), "code": tests::Authenticator::reading(&begun).code(&world)});
    let begun = world
        .post(
            "/v1/factors/sms",
            json!({"challenge": challenge, "phone": NUMBER}),
        )
        .await
        .expect(202);
    let code = world.last_code().await;
    let phone = |code: &str| {
        json!({"challenge": challenge, "factor": begun.text("factor"), "code": code}).to_string()
    };
    let named = vec![
        ("app", app.to_string()),
        ("phone", phone(&code)),
        ("wrong", phone(&another(&code))),
    ];
    world.advance(31);
    let mut scene = scene(world, &ann, named).await.with("challenge", challenge);
    scene.inputs.push(REFUSED_ELSEWHERE);
    scene.rows = vec![
        row!("an app is confirmed with a challenge", scene => confirm_first(scene, "totp", "app")).in_manner(Manner::Counted),
        row!("a phone is confirmed with a challenge", scene => confirm_first(scene, "sms", "phone")).in_manner(Manner::Counted),
        row!("a wrong code is typed", scene => confirm_first(scene, "sms", "wrong")).in_manner(Manner::Counted),
        row!("another app is begun", scene => begin_first(scene, "totp", json!({}))),
        row!("another code is sent", scene => begin_first(scene, "sms", json!({"phone": NUMBER}))),
        row!("another phone is begun", scene => begin_first(scene, "sms", json!({"phone": "+12025550178"}))),
        row!("somebody signs in", scene => scene.world.login("ann", PASSWORD)).in_manner(Manner::Counted),
        row!("a wrong password is tried", scene => scene.world.login("ann", WRONG)).in_manner(Manner::Counted),
        row!("an administrator resets the app", scene => delete(scene, "/factors/totp")),
        row!("an administrator enters a phone", scene => user(scene, json!({"phone": "+12025550199"}))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
    ];
    scene
}

async fn begin_first(scene: &Scene, method: &str, mut body: Value) -> Answer {
    body["challenge"] = json!(scene.at("challenge"));
    scene
        .world
        .post(&format!("/v1/factors/{method}"), body)
        .await
}

async fn confirm_first(scene: &Scene, method: &str, typed: &str) -> Answer {
    let body: Value = serde_json::from_str(scene.at(typed)).unwrap();
    scene
        .world
        .post(&format!("/v1/factors/{method}/confirm"), body)
        .await
}

/// Somebody has just proved a second factor, and has an app.
pub async fn somebody_is_signed_in() -> Scene {
    let world = World::new().await;
    let ann = world.user("ann", json!({"kind": "internal"})).await;
    let first = world.token(&ann).await;
    let (app, _) = world.enrol(&first).await;
    world.advance(31);
    let challenge = world.challenge(&ann).await;
    let token = world
        .verify(&challenge, "totp", &app.code(&world))
        .await
        .expect(200)
        .text("access_token");
    let begun = world
        .as_user(&token, Method::POST, "/v1/factors/totp", None)
        .await
        .expect(201);
    let confirm = json!({"factor": begun.text("factor"), "code": tests::Authenticator::reading(&begun).code(&world)});
    let mut scene = scene(
        world,
        &ann,
        vec![("token", token), ("confirm", confirm.to_string())],
    )
    .await;
    scene.rows = vec![
        row!("the app is taken away", scene => as_user(scene, Method::DELETE, "/v1/factors/totp", None)),
        row!("codes are made anew", scene => as_user(scene, Method::POST, "/v1/factors/recovery-codes", None)),
        row!("another app is confirmed", scene => confirm_app(scene)).in_manner(Manner::Counted),
        row!("another app is begun", scene => as_user(scene, Method::POST, "/v1/factors/totp", None)),
        row!("the language is changed", scene => as_user(scene, Method::PATCH, "/v1/me", Some(json!({"locale": "de"})))),
        row!("an administrator resets the app", scene => delete(scene, "/factors/totp")),
        row!("the phone is changed", scene => user(scene, json!({"phone": "+12025550199"}))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
    ];
    scene
}

/// Somebody who has an app has just proved it, and waits for nothing yet. With the token.
async fn has_proved_the_app(world: &World) -> (Person, String) {
    let ann = world.user("ann", json!({})).await;
    let (app, _) = world.enrol(&world.token(&ann).await).await;
    world.advance(31);
    let challenge = world.challenge(&ann).await;
    let token = world
        .verify(&challenge, "totp", &app.code(world))
        .await
        .expect(200)
        .text("access_token");
    (ann, token)
}

/// A code is asked for to a contact; what is needed to confirm it.
async fn is_asked_for(world: &World, token: &str, method: &str, contact: &str) -> [String; 2] {
    let factor = begin(world, token, method, contact)
        .await
        .expect(202)
        .text("factor");
    [factor, world.last_code().await]
}

async fn type_code(scene: &Scene, method: &str, [factor, code]: [&str; 2]) -> Answer {
    confirm(
        &scene.world,
        scene.at("token"),
        method,
        scene.at(factor),
        scene.at(code),
    )
    .await
}

/// Somebody who has an app and a phone is about to have another phone.
pub async fn somebody_changes_the_phone() -> Scene {
    let world = World::new().await;
    let (ann, token) = has_proved_the_app(&world).await;
    let [factor, code] = is_asked_for(&world, &token, "sms", NUMBER).await;
    world.advance(31);
    let named = vec![
        ("token", token),
        ("factor", factor),
        ("wrong", another(&code)),
        ("code", code),
    ];
    let mut scene = scene(world, &ann, named).await;
    scene.rows = vec![
        row!("the phone is confirmed", scene => type_code(scene, "sms", ["factor", "code"]))
            .in_manner(Manner::Counted),
        row!("a wrong code is typed", scene => type_code(scene, "sms", ["factor", "wrong"]))
            .in_manner(Manner::Counted),
        row!("another code is sent", scene => begin(&scene.world, scene.at("token"), "sms", NUMBER)),
        row!("another phone is begun", scene => begin(&scene.world, scene.at("token"), "sms", "+12025550178")),
        row!("a mailbox is begun", scene => begin(&scene.world, scene.at("token"), "email", MAILBOX)),
        row!("the phone is taken away", scene => remove(&scene.world, scene.at("token"), "sms")),
        row!("the app is taken away", scene => as_user(scene, Method::DELETE, "/v1/factors/totp", None)),
        row!("an administrator changes the phone", scene => user(scene, json!({"phone": "+12025550199"}))),
        row!("an administrator enters the phone that waits", scene => user(scene, json!({"phone": NUMBER}))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
    ];
    scene
}

/// Somebody is about to have another mail address, and another password.
pub async fn somebody_changes_the_mailbox_and_the_password() -> Scene {
    let world = World::new().await;
    let (ann, token) = has_proved_the_app(&world).await;
    let [factor, code] = is_asked_for(&world, &token, "email", MAILBOX).await;
    world.advance(31);
    let mut scene = scene(
        world,
        &ann,
        vec![("token", token), ("factor", factor), ("code", code)],
    )
    .await;
    scene.inputs.push(REFUSED_ELSEWHERE);
    let why =
        "whose password was changed meanwhile is told to ask again, and that it is wrong then";
    scene
        .apart
        .push(("the password is changed", "the password is changed", why));
    scene.rows = vec![
        row!("the mailbox is confirmed", scene => type_code(scene, "email", ["factor", "code"]))
            .in_manner(Manner::Counted),
        row!("another code is sent", scene => begin(&scene.world, scene.at("token"), "email", MAILBOX)),
        row!("the mailbox is taken away", scene => remove(&scene.world, scene.at("token"), "email")),
        row!("a link is mailed", scene => mail_a_link(scene)),
        row!("the password is changed", scene => change_password(scene, PASSWORD))
            .in_manner(Manner::Counted),
        row!("a wrong password is shown", scene => change_password(scene, WRONG))
            .in_manner(Manner::Counted),
        row!("somebody signs in", scene => scene.world.login("ann", PASSWORD))
            .in_manner(Manner::Counted),
        row!("an administrator changes the mail address", scene => user(scene, json!({"email": "ann@example.net"}))),
        row!("an administrator changes the password", scene => user(scene, json!({"password": "a third horse battery"}))),
        row!("the user is disabled", scene => user(scene, json!({"disabled": true}))),
    ];
    scene
}

async fn mail_a_link(scene: &Scene) -> Answer {
    let id = scene.at("user").rsplit('/').next().unwrap_or_default();
    scene
        .world
        .backend(Method::POST, "/v1/links", Some(json!({"user": id})))
        .await
}

async fn create_user(scene: &Scene, username: &str) -> Answer {
    let body = json!({"username": username, "kind": "external", "password": NEW, "email": "anna@example.com"});
    scene
        .world
        .backend(Method::POST, "/v1/users", Some(body))
        .await
}

async fn change_password(scene: &Scene, current: &str) -> Answer {
    as_user(
        scene,
        Method::PATCH,
        "/v1/me",
        Some(json!({"password": NEW, "current_password": current})),
    )
    .await
}

async fn confirm_app(scene: &Scene) -> Answer {
    let body: Value = serde_json::from_str(scene.at("confirm")).unwrap();
    as_user(scene, Method::POST, "/v1/factors/totp/confirm", Some(body)).await
}
