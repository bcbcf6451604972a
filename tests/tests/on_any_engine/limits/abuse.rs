//! What stops those who make the service send SMS, and those who say that they are somewhere
//! else.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::json;
use shared::kernel::client_ip::TrustedProxies;
use shared::kernel::clock::Timestamp;
use shared::messaging::send_budget::{ALLOWANCE, Budget};
use shared::store::dynamo::{Put, keys};
use tests::agreements::{agreement, challenge_of, open_last, person, send_with, sent_a_code};
use tests::{Answer, PASSWORD, World};

/// The hour that every world begins in.
const HOUR: i64 = 500_000;

async fn leave(world: &World, texts: u32) {
    let key = keys::send_budget(world.account.parse().unwrap(), "US", HOUR);
    world
        .stack
        .table()
        .transact(vec![
            Put::replace(key, &json!({"left": texts})).unwrap().into(),
        ])
        .await
        .unwrap();
}

#[tokio::test]
async fn texts_that_nobody_verifies_end_and_those_that_are_verified_go_on() {
    let world = World::new().await;
    let (ann, ben) = (
        world.user("ann", json!({})).await,
        world.user("ben", json!({})).await,
    );
    leave(&world, 1).await;
    let (first, second) = (world.challenge(&ann).await, world.challenge(&ben).await);
    let _ = world.issue(&first, "sms").await.expect(202);
    let code = world.last_code().await;
    let refused = world
        .issue(&second, "sms")
        .await
        .refused(429, "too-many-sends");
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(world.outbox().await.len(), 1, "nothing was sent");
    assert_eq!(world.actions(&ben.id).await, ["user-created", "sign-in"]);
    // Another country, and mail, go on.
    let cat = world.user("cat", json!({"phone": "+14165550123"})).await;
    let _ = world
        .issue(&world.challenge(&cat).await, "sms")
        .await
        .expect(202);
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let _ = world
        .issue(&world.challenge(&cat).await, "email")
        .await
        .expect(202);
    // A sign-in gives back what it took, and one more.
    let _ = world.verify(&first, "sms", &code).await.expect(200);
    let _ = world.issue(&second, "sms").await.expect(202);
    let _ = world
        .issue(&world.challenge(&ann).await, "sms")
        .await
        .expect(202);
    let third = world.challenge(&ann).await;
    let _ = world
        .issue(&third, "sms")
        .await
        .refused(429, "too-many-sends");
    // And the next hour is another.
    world.advance(3600);
    let _ = world
        .issue(&world.challenge(&ann).await, "sms")
        .await
        .expect(202);
}

#[tokio::test]
async fn a_budget_and_a_destination_that_are_both_used_up_are_told_at_once() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    for _ in 0..5 {
        let _ = world
            .issue(&world.challenge(&ann).await, "sms")
            .await
            .expect(202);
    }
    leave(&world, 0).await;
    let challenge = world.challenge(&ann).await;
    let _ = world.stack.meter().take();
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-sends");
    assert_eq!(
        world.stack.meter().take().requests,
        1,
        "it was read once: what is refused is not tried again"
    );
}

/// What the table says is left, so many hours after the world's first.
async fn left(world: &World, hours: i64) -> Option<i64> {
    let key = keys::send_budget(world.account.parse().unwrap(), "US", HOUR + hours);
    let item = world.stack.table().get(key).await.unwrap();
    item.and_then(|item| item.get("left")?.as_n().ok()?.parse().ok())
}

#[tokio::test]
async fn an_hour_begins_with_a_hundred_texts_and_not_one_more() {
    let world = World::new().await;
    let (ann, ben) = (
        world.user("ann", json!({})).await,
        world.user("ben", json!({})).await,
    );
    let budget = Budget {
        account: world.account.parse().unwrap(),
        country: "US",
    };
    for _ in 1..ALLOWANCE {
        world
            .stack
            .table()
            .transact(vec![
                budget
                    .take(Timestamp::from_millis(1_800_000_000_000))
                    .into(),
            ])
            .await
            .unwrap();
    }
    let _ = world
        .issue(&world.challenge(&ann).await, "sms")
        .await
        .expect(202);
    assert_eq!((ALLOWANCE, left(&world, 0).await), (100, Some(0)));
    let _ = world
        .issue(&world.challenge(&ben).await, "sms")
        .await
        .refused(429, "too-many-sends");
    assert_eq!(
        left(&world, 0).await,
        Some(0),
        "what is refused takes nothing"
    );
}

#[tokio::test]
async fn codes_by_mail_are_not_given_back_as_texts() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    for seconds in [60, 120] {
        world.advance(seconds);
        let _ = world.issue(&challenge, "email").await.expect(202);
    }
    assert_eq!(left(&world, 0).await, Some(99));
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(
        left(&world, 0).await,
        Some(101),
        "the one text that was taken, and one more"
    );
    // Nor does a sign-in that was completed by mail give anything back.
    let challenge = world.challenge(&ann).await;
    let _ = world.issue(&challenge, "email").await.expect(202);
    let _ = world
        .verify(&challenge, "email", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(left(&world, 0).await, Some(101));
}

#[tokio::test]
async fn a_sign_in_gives_an_hour_what_it_took_from_that_hour() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    world.advance(3590);
    let challenge = world.challenge(&ann).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    world.advance(60);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    assert_eq!(
        (left(&world, 0).await, left(&world, 1).await),
        (Some(99), Some(99))
    );
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(
        (left(&world, 0).await, left(&world, 1).await),
        (Some(99), Some(101))
    );
}

#[tokio::test]
async fn a_text_that_the_sender_did_not_take_is_given_back() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    leave(&world, 1).await;
    let challenge = world.challenge(&ann).await;
    let fault = json!({"service": "sns", "mode": "refused", "after": 0, "count": 3});
    let _ = world
        .send(world.request(Method::POST, "/_local/faults").json(&fault))
        .await
        .expect(200);
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(503, "sender-unavailable");
    assert_eq!(left(&world, 0).await, Some(1));
    let _ = world.issue(&challenge, "sms").await.expect(202);
    // And it is not among those that the sign-in gives back.
    let _ = world
        .verify(&challenge, "sms", &world.last_code().await)
        .await
        .expect(200);
    assert_eq!(left(&world, 0).await, Some(2));
}

#[tokio::test]
async fn recipients_texts_are_of_the_same_budget_as_users() {
    let world = World::new().await;
    let _ = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "sms"), person(2, "sms")])),
    )
    .await
    .expect(201);
    let first = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let second = open_last(&world, "r2@example.com")
        .await
        .expect(200)
        .text("challenge");
    leave(&world, 1).await;
    // What the sender does not take is given back.
    world.stack.faults().set(Service::Sns, Mode::Refused, 0, 3);
    let _ = world
        .issue(&first, "sms")
        .await
        .refused(503, "sender-unavailable");
    let _ = world.issue(&first, "sms").await.expect(202);
    let code = world.last_code().await;
    let mails = world.outbox().await.len();
    for key in ["", "k1"] {
        let request = world
            .request(Method::POST, "/v1/codes")
            .json(&json!({"challenge": second, "method": "sms"}));
        let request = if key.is_empty() {
            request
        } else {
            request.header("idempotency-key", key)
        };
        let refused = world.send(request).await.refused(429, "too-many-sends");
        assert_eq!(refused.header("retry-after"), Some("3600"));
    }
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-sends");
    assert_eq!(world.outbox().await.len(), mails, "nothing was sent");
    // Whoever types the code gives back what it took, and one more: to users as well.
    let _ = world.verify(&first, "sms", &code).await.expect(200);
    let _ = world.issue(&second, "sms").await.expect(202);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let third = open_last(&world, "r1@example.com")
        .await
        .expect(200)
        .text("challenge");
    let _ = world
        .issue(&third, "sms")
        .await
        .refused(429, "too-many-sends");
}

async fn login_through(world: &World, forwarded: &str) -> Answer {
    let body = json!({"account": world.account, "username": "ann", "password": PASSWORD});
    world
        .send(
            world
                .request(Method::POST, "/v1/login")
                .header("x-forwarded-for", forwarded)
                .json(&body),
        )
        .await
        .expect(200)
}

#[tokio::test]
async fn the_source_is_what_our_own_proxies_say_and_nobody_else() {
    for (proxies, forwarded, allowed) in [
        ("", "203.0.113.7", false),
        ("127.0.0.1", "203.0.113.7", true),
        ("127.0.0.1", "::ffff:203.0.113.7", true),
        ("127.0.0.1", "203.0.113.7, 198.51.100.9", false),
        ("127.0.0.1", "198.51.100.9, 203.0.113.7", true),
        ("127.0.0.1, 10.0.0.0/8", "203.0.113.7, 10.1.2.3", true),
        ("10.0.0.0/8", "203.0.113.7", false),
        ("127.0.0.1", "203.0.113.7, garbage", false),
    ] {
        let world =
            World::with(|options| options.config.trusted_proxies = TrustedProxies::read(proxies))
                .await;
        let ann = world.user("ann", json!({"kind": "internal"})).await;
        let _ = world
            .settings(json!({"ip_allowlist": ["203.0.113.0/24"]}))
            .await;
        let answer = login_through(&world, forwarded).await;
        let expected = if allowed {
            "authenticated"
        } else {
            "second_factor_required"
        };
        assert_eq!(answer.body["status"], expected, "{proxies} {forwarded}");
        let entries = world.audit(&ann.id).await;
        assert_eq!(
            entries[1]["source"] == "203.0.113.7",
            allowed,
            "{proxies} {forwarded}"
        );
    }
}

#[tokio::test]
async fn a_code_under_contention_gives_its_texts_back_all_the_same() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let (challenge, code) = sent_a_code(&world, is_recipient).await;
        assert_eq!(left(&world, 0).await, Some(99));
        // The count goes through; then another transaction holds an item.
        world
            .stack
            .faults()
            .set(Service::Dynamodb, Mode::Conflict, 1, 1);
        let _ = world.verify(&challenge, "sms", &code).await.expect(200);
        assert_eq!(world.stack.faults().struck(), 1);
        world.stack.faults().clear();
        assert_eq!(left(&world, 0).await, Some(101));
    }
}

/// How many requests to the table a right code makes whose first transaction met another.
async fn requests_under_contention(is_recipient: bool) -> u32 {
    let world = World::new().await;
    let (challenge, code) = sent_a_code(&world, is_recipient).await;
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Conflict, 1, 1);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    world.stack.faults().calls(Service::Dynamodb)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_are_given_back_after_the_code_are_never_given_back_twice() {
    for is_recipient in [false, true] {
        let requests = requests_under_contention(is_recipient).await;
        // What had no answer may have taken effect, and is not asked for again; so what had none is
        // not given.
        for (mode, texts) in [(Mode::Lost, 101), (Mode::Refused, 99)] {
            let world = World::new().await;
            let (challenge, code) = sent_a_code(&world, is_recipient).await;
            world
                .stack
                .faults()
                .set(Service::Dynamodb, Mode::Conflict, 1, 1);
            let gate = world.stack.faults().hold(Service::Dynamodb, requests - 2);
            let meanwhile = async {
                gate.arrived().await;
                // The transaction has taken effect. What follows is the credit.
                world.stack.faults().set(Service::Dynamodb, mode, 0, 1);
                gate.let_go();
            };
            let _ = tokio::join!(world.verify(&challenge, "sms", &code), meanwhile)
                .0
                .expect(200);
            assert_eq!(
                (world.stack.faults().struck(), left(&world, 0).await),
                (1, Some(texts)),
                "{mode:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_typed_in_before_it_is_known_whether_it_went_is_given_back_once() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        // It has gone, and SNS has not said so yet.
        let gate = world.stack.faults().hold(Service::Sns, 0);
        let meanwhile = async {
            gate.arrived().await;
            let _ = world
                .verify(&challenge, "sms", &world.last_code().await)
                .await
                .expect(200);
            gate.let_go();
        };
        let (sent, ()) = tokio::join!(world.issue(&challenge, "sms"), meanwhile);
        let _ = sent.expect(202);
        assert_eq!(
            left(&world, 0).await,
            Some(101),
            "{is_recipient}: the one text that was taken, and one more"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_not_taken_is_given_back_though_its_sign_in_is_completed_otherwise_meanwhile()
 {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (app, _) = world.enrol(&world.token(&ann).await).await;
    world.advance(60);
    let before = left(&world, 0).await;
    let challenge = world.challenge(&ann).await;
    // It is claimed, and yet to be handed over.
    let claimed = world.stack.faults().hold(Service::Dynamodb, 1);
    let meanwhile = async {
        claimed.arrived().await;
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .expect(200);
        world.stack.faults().set(Service::Sns, Mode::Refused, 0, 3);
        claimed.let_go();
    };
    let (sent, ()) = tokio::join!(world.issue(&challenge, "sms"), meanwhile);
    let _ = sent.refused(503, "sender-unavailable");
    assert_eq!(left(&world, 0).await, before, "the app gives no text back");
}

#[tokio::test]
async fn a_text_whose_answer_is_lost_may_have_arrived_and_is_given_back_once() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let challenge = challenge_of(&world, is_recipient).await;
        world.stack.faults().set(Service::Sns, Mode::Lost, 0, 1);
        let _ = world.issue(&challenge, "sms").await.expect(202);
        assert_eq!(
            left(&world, 0).await,
            Some(99),
            "{is_recipient}: it counts as sent"
        );
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        assert_eq!(
            left(&world, 0).await,
            Some(101),
            "{is_recipient}: the one text that was taken, and one more"
        );
    }
}
