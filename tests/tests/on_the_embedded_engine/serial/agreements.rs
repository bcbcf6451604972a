//! Scenes of an agreement and its recipients.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::LIFETIME;
use shared::store::dynamo::{Update, keys};
use tests::agreements::{
    agreement, clean, complete, open, open_last, person, recipient_path, send_with, with_kba,
};
use tests::path;
use tests::{Answer, World, another};

use crate::row;
use crate::serial::scene::{Manner, Scene};

/// Why a link need not be named where it is opened.
const LINKS_STAND: (&str, &str) = (
    "LINK",
    "what was mailed to a recipient stands as it was written",
);
/// Why a recipient need not be changed where the agreement's time is over.
const OVER: (&str, &str) = (
    "RECIPIENT#",
    "whatever would change a recipient is refused by then",
);

/// A message of the provider about a session.
async fn told(scene: &Scene, session: &str, outcome: &str) -> Answer {
    let session = scene.at(session);
    let mut data = json!({"session": session, "outcome": outcome});
    if outcome == "passed" {
        data["token"] = json!("tok_1");
    }
    let body = json!({"type": "kba.session.completed", "timestamp": scene.world.stack.clock().now().to_rfc3339(), "data": data});
    scene
        .world
        .send(
            scene
                .world
                .signed(&format!("msg_{outcome}"), body.to_string().as_bytes()),
        )
        .await
}

async fn post(scene: &Scene, recipient: &str, step: &str) -> Answer {
    scene
        .world
        .backend(
            Method::POST,
            &format!("{}/{step}", scene.at(recipient)),
            None,
        )
        .await
}

async fn patch(scene: &Scene, recipient: &str, to: &str) -> Answer {
    scene
        .world
        .backend(
            Method::PATCH,
            scene.at(recipient),
            Some(json!({"authentication": to})),
        )
        .await
}

async fn cancel(scene: &Scene) -> Answer {
    let path = format!("{}/cancel", scene.at("agreement"));
    scene
        .world
        .backend(
            Method::POST,
            &path,
            Some(json!({"reason": "the terms have changed"})),
        )
        .await
}

async fn link_report(scene: &Scene) -> Answer {
    let path = format!("{}/audit/links", scene.at("agreement"));
    scene
        .world
        .backend(Method::POST, &path, Some(json!({})))
        .await
}

async fn clean_up(scene: &Scene) -> Answer {
    scene
        .world
        .send(scene.world.request(Method::POST, "/_local/cleanup"))
        .await
}

/// Opens the recipient's link; answers with the challenge.
async fn challenge(world: &World, number: usize) -> String {
    open_last(world, &format!("r{number}@example.com"))
        .await
        .expect(200)
        .text("challenge")
}

/// The scene of an agreement as it stands now.
async fn scene(world: World, sent: &Answer, named: Vec<(&'static str, String)>) -> Scene {
    let mails = world.outbox().await;
    let mut scene = Scene::of(world)
        .await
        .with("agreement", format!("/v1/agreements/{}", sent.text("id")));
    for (place, name) in ["r1", "r2", "r3"]
        .into_iter()
        .enumerate()
        .take(sent.body["recipients"].as_array().unwrap().len())
    {
        scene = scene.with(name, recipient_path(sent, place));
    }
    let to = |mail: &&Value| mail["to"] == "r1@example.com";
    let link = mails
        .iter()
        .filter(to)
        .find_map(|mail| mail["text"].as_str()?.split("/link#").nth(1))
        .unwrap_or_default();
    scene = scene.with(
        "link",
        link.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned(),
    );
    named
        .into_iter()
        .fold(scene, |scene, (name, value)| scene.with(name, value))
}

/// One has completed. The other is verified, has a session open, and is the last.
pub async fn the_last_signs() -> Scene {
    let world = with_kba(100).await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "kba"), person(2, "none")])),
    )
    .await
    .expect(201);
    let _ = open_last(&world, "r2@example.com").await.expect(200);
    let _ = complete(&world, &sent, 1).await.expect(200);
    let first = world.session(&challenge(&world, 1).await).await;
    world.provider_says(&first, "passed").await;
    let second = challenge(&world, 1).await;
    let session = world.session(&second).await;
    let mut scene = scene(
        world,
        &sent,
        vec![("challenge", second), ("session", session)],
    )
    .await;
    scene.inputs.push(LINKS_STAND);
    scene.rows = vec![
        row!("the last completes", scene => post(scene, "r1", "complete")),
        row!("a session fails", scene => told(scene, "session", "failed")),
        row!("a session passes", scene => told(scene, "session", "passed")),
        row!("nobody is found", scene => told(scene, "session", "not_locatable")),
        row!("the method becomes none", scene => patch(scene, "r1", "none")),
        row!("the sender cancels", scene => cancel(scene)),
        row!("a link to the report is made", scene => link_report(scene)),
        row!("the link is mailed again", scene => post(scene, "r1", "resend")),
        row!("the link is opened", scene => open(&scene.world, scene.at("link"))),
        row!("another session is opened", scene => scene.world.open_session(scene.at("challenge"))),
    ];
    scene
}

/// One has two sessions, of which the last failure cancels; one is asked for a code; one was let in
/// by the link.
pub async fn all_are_asked() -> Scene {
    let world = with_kba(100).await;
    let _ = world.settings(json!({"kba": {"max_attempts": 1}})).await;
    let body = agreement(&json!([
        person(1, "kba"),
        person(2, "kba"),
        person(3, "none")
    ]));
    let sent = send_with(&world, "k", &body).await.expect(201);
    let _ = open_last(&world, "r3@example.com").await.expect(200);
    let asked = challenge(&world, 1).await;
    let (old, new) = (world.session(&asked).await, world.session(&asked).await);
    let other = world.session(&challenge(&world, 2).await).await;
    let mut scene = scene(
        world,
        &sent,
        vec![
            ("challenge", asked),
            ("old", old),
            ("new", new),
            ("other", other),
        ],
    )
    .await;
    scene.rows = vec![
        row!("an old session fails", scene => told(scene, "old", "failed")),
        row!("an old session passes", scene => told(scene, "old", "passed")),
        row!("the session passes", scene => told(scene, "new", "passed")),
        row!("the session fails", scene => told(scene, "new", "timed_out")),
        row!("the provider fails", scene => told(scene, "new", "provider_error")),
        row!("another recipient passes", scene => told(scene, "other", "passed")),
        row!("another session is opened", scene => scene.world.open_session(scene.at("challenge"))),
        row!("the method becomes sms", scene => patch(scene, "r1", "sms")),
        row!("the method becomes kba", scene => patch(scene, "r3", "kba")),
        row!("another recipient completes", scene => post(scene, "r3", "complete")),
        row!("the sender cancels", scene => cancel(scene)),
    ];
    scene
}

/// One was sent a code, and may be sent another.
async fn with_a_code(recipients: Value) -> (World, Answer, [String; 2]) {
    let world = with_kba(100).await;
    let sent = send_with(&world, "k", &agreement(&recipients))
        .await
        .expect(201);
    let challenge = challenge(&world, 1).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    world.advance(61);
    (world, sent, [challenge, code])
}

/// One was sent a code, after eleven wrong ones; the other may sign.
pub async fn a_code_was_sent() -> Scene {
    let (world, sent, [challenge, code]) =
        with_a_code(json!([person(1, "sms"), person(2, "none")])).await;
    let _ = open_last(&world, "r2@example.com").await.expect(200);
    let ids: Vec<&str> = sent.body["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    let key = keys::recipient(sent.text("id").parse().unwrap(), ids[0].parse().unwrap());
    let failed = Update::of(key).set(path("factors.sms.failures"), 11_u32);
    world
        .stack
        .table()
        .transact(vec![failed.into()])
        .await
        .unwrap();
    world.advance(120);
    let mut scene = scene(
        world,
        &sent,
        vec![
            ("challenge", challenge),
            ("wrong", another(&code)),
            ("code", code),
        ],
    )
    .await;
    scene.inputs.push(LINKS_STAND);
    scene.rows = vec![
        row!("the code is typed", scene => scene.world.verify(scene.at("challenge"), "sms", scene.at("code")))
            .in_manner(Manner::Counted),
        row!("a wrong code is typed", scene => scene.world.verify(scene.at("challenge"), "sms", scene.at("wrong")))
            .in_manner(Manner::Counted),
        row!("another code is sent", scene => scene.world.issue(scene.at("challenge"), "sms")),
        row!("the link is opened", scene => open(&scene.world, scene.at("link"))),
        row!("the locks are lifted", scene => post(scene, "r1", "reopen")),
        row!("the method becomes email", scene => patch(scene, "r1", "email")),
        row!("another recipient completes", scene => post(scene, "r2", "complete")),
        row!("the sender cancels", scene => cancel(scene)),
    ];
    scene
}

/// SNS takes every text, and its answers are lost: a send is given up whose code arrives all the
/// same.
pub async fn a_text_is_lost() -> Scene {
    let (world, sent, [challenge, code]) = with_a_code(json!([person(1, "sms")])).await;
    let mut scene = scene(world, &sent, vec![("challenge", challenge), ("code", code)]).await;
    scene.fault = Some((Service::Sns, Mode::Lost));
    scene.rows = vec![
        row!("another code is sent", scene => scene.world.issue(scene.at("challenge"), "sms")),
        row!("what arrived is typed", scene => type_what_arrived(scene)).in_manner(Manner::Counted),
        row!("the sender cancels", scene => cancel(scene)),
    ];
    scene
}

/// Types in the code of the last text, or the one of before where none has arrived.
async fn type_what_arrived(scene: &Scene) -> Answer {
    let code = if scene.world.outbox().await.is_empty() {
        scene.at("code").to_owned()
    } else {
        scene.world.last_code().await
    };
    scene
        .world
        .verify(scene.at("challenge"), "sms", &code)
        .await
}

/// Nobody has answered while the session lived; its challenge's link still opens another.
pub async fn sessions_are_over() -> Scene {
    let world = with_kba(100).await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "kba"), person(2, "none")])),
    )
    .await
    .expect(201);
    let session = world.session(&challenge(&world, 1).await).await;
    world.advance(601);
    let second = challenge(&world, 1).await;
    is_pending(&world, &session).await;
    let _ = open_last(&world, "r2@example.com").await.expect(200);
    let mut scene = scene(
        world,
        &sent,
        vec![("challenge", second), ("session", session)],
    )
    .await;
    scene.inputs.push(LINKS_STAND);
    scene.rows = vec![
        row!("the clean-up runs", scene => clean_up(scene)).in_manner(Manner::Sweeping),
        row!("the session passes too late", scene => told(scene, "session", "passed")),
        row!("the session fails", scene => told(scene, "session", "failed")),
        row!("another session is opened", scene => scene.world.open_session(scene.at("challenge"))),
        row!("the method becomes email", scene => patch(scene, "r1", "email")),
        row!("another recipient completes", scene => post(scene, "r2", "complete")),
        row!("the sender cancels", scene => cancel(scene)),
    ];
    scene
}

/// The session is there still, and pending.
async fn is_pending(world: &World, session: &str) {
    let item = world
        .stack
        .table()
        .get(keys::session(session.parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(
        shared::store::dynamo::read::<Value>(item.unwrap()).unwrap()["status"],
        "pending"
    );
}

/// Its time is over, and nobody has written that down.
pub async fn an_agreement_is_over() -> Scene {
    let world = with_kba(100).await;
    let body = agreement(&json!([
        person(1, "kba"),
        person(2, "none"),
        person(3, "kba")
    ]));
    let sent = send_with(&world, "k", &body).await.expect(201);
    world.advance(LIFETIME.as_secs() - 60);
    let _ = open_last(&world, "r2@example.com").await.expect(200);
    let session = world.session(&challenge(&world, 1).await).await;
    world.advance(60);
    let mut scene = scene(world, &sent, vec![("session", session)]).await;
    scene.inputs.push(OVER);
    scene.rows = vec![
        row!("the clean-up runs", scene => clean_up(scene)).in_manner(Manner::Sweeping),
        row!("the session passes", scene => told(scene, "session", "passed")),
        row!("a recipient completes", scene => post(scene, "r2", "complete")),
        row!("the method becomes none", scene => patch(scene, "r3", "none")),
        row!("the sender cancels", scene => cancel(scene)),
    ];
    scene
}

/// One transaction is left, and a threshold above it.
pub async fn little_is_left() -> Scene {
    let world = with_kba(2).await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "kba"), person(2, "none")])),
    )
    .await
    .expect(201);
    let _ = clean(&world).await;
    let mut scene = scene(world, &sent, Vec::new()).await;
    scene.rows = vec![
        row!("two are sent for", scene => send_with(&scene.world, "two", &agreement(&json!([person(3, "kba"), person(4, "kba")])))),
        row!("one is sent for", scene => send_with(&scene.world, "one", &agreement(&json!([person(5, "kba")])))),
        row!("nobody is asked", scene => send_with(&scene.world, "none", &agreement(&json!([person(6, "none")])))),
        row!("one is given back", scene => patch(scene, "r1", "none")),
        row!("one more is asked", scene => patch(scene, "r2", "kba")),
        row!("the sender cancels", scene => cancel(scene)),
        row!("more are bought", scene => buy(scene, "more", 5)),
        row!("many are bought", scene => buy(scene, "many", 50)),
    ];
    scene
}

async fn buy(scene: &Scene, key: &str, transactions: u32) -> Answer {
    let body = json!({"account": scene.world.account, "transactions": transactions});
    let request = scene
        .world
        .request(Method::POST, "/v1/quota/topups")
        .bearer_auth(tests::OPERATOR);
    scene
        .world
        .send(request.header("idempotency-key", key).json(&body))
        .await
}
