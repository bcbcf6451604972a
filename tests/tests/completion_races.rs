//! The last recipient signs at the moment in which they turn out not to be verified.

use std::time::Duration;

use futures_util::future::join_all;
use local::{Mode, Plan, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::{agreement, complete, open_last, person, recipient_path, send_with, steps, with_kba};
use tests::{Answer, World};

/// How often they race.
const ROUNDS: usize = 200;

/// What ends that the last recipient is verified.
#[derive(Clone, Copy, Debug)]
enum Doubt {
    /// A session that was opened after the pass fails.
    Failure,
    /// The sender asks for something else.
    Change,
}

/// An agreement of which one recipient has completed, and the other is verified.
struct Round {
    sent: Answer,
    /// A session of the one who is verified, which nobody has answered.
    session: String,
}

async fn challenge(world: &World, number: usize) -> String {
    open_last(world, &format!("r{number}@example.com")).await.expect(200).text("challenge")
}

async fn round(world: &World, number: usize) -> Round {
    let body = agreement(&json!([person(1, "kba"), person(2, "none")]));
    let sent = send_with(world, &format!("k{number}"), &body).await.expect(201);
    let _ = open_last(world, "r2@example.com").await.expect(200);
    let _ = complete(world, &sent, 1).await.expect(200);
    let passed = world.session(&challenge(world, 1).await).await;
    world.provider_says(&passed, "passed").await;
    let session = world.session(&challenge(world, 1).await).await;
    Round { sent, session }
}

async fn doubt(world: &World, round: &Round, doubt: Doubt) -> Answer {
    match doubt {
        Doubt::Failure => {
            let data = json!({"session": round.session, "outcome": "failed"});
            let body = json!({"type": "kba.session.completed", "timestamp": "2027-01-15T08:00:00Z", "data": data});
            world.send(world.signed(&format!("msg_{}", round.session), body.to_string().as_bytes())).await
        }
        Doubt::Change => {
            let path = recipient_path(&round.sent, 0);
            world.backend(Method::PATCH, &path, Some(json!({"authentication": "email"}))).await
        }
    }
}

/// Whether the recipient has signed; and if so, as somebody whom nothing had put in doubt since they were verified.
async fn signed_verified(world: &World, round: &Round, told: &str) -> bool {
    let shown = world.backend(Method::GET, &format!("/v1/agreements/{}", round.sent.text("id")), None).await.expect(200).body;
    let is_completed = shown["status"] == "completed";
    assert_eq!(shown["recipients"][0]["status"] == "completed", is_completed, "{shown}");
    let steps = steps(world, &round.sent).await;
    let last = |wanted: &[&str]| steps.iter().rposition(|step| wanted.contains(&step.as_str()));
    if is_completed {
        let doubted = ["kba-session-answered", "recipient-changed"];
        let before = &steps[..last(&["agreement-completed"]).unwrap()];
        let proved = before.iter().rposition(|step| step == "recipient-verified");
        let in_doubt = before.iter().rposition(|step| doubted.contains(&step.as_str()));
        assert!(proved > in_doubt, "{told}: signed by who is not verified: {steps:?}");
    }
    is_completed
}

/// They race so often, each time as `plan` has the table behave; both outcomes have to come.
async fn race(plan: impl Fn(usize) -> Plan) {
    let world = with_kba(1_000).await;
    let (mut signed, mut refused) = (0, 0);
    for number in 0..ROUNDS {
        let kind = [Doubt::Failure, Doubt::Change][number % 2];
        let round = round(&world, number).await;
        world.stack.faults().follow(Service::Dynamodb, plan(number));
        let (doubted, completed) =
            tokio::join!(doubt_after(&world, &round, kind, number / 2 % 3), complete(&world, &round.sent, 0));
        world.stack.faults().clear();
        // Whoever has completed is changed no more.
        assert!(
            matches!((completed.status, doubted.status), (200, 200 | 204 | 409) | (409, 200 | 204)),
            "{completed:?} {doubted:?}"
        );
        if signed_verified(&world, &round, &format!("{kind:?} in round {number}")).await {
            signed += 1;
        } else {
            refused += 1;
        }
        let _ = world.send(world.request(Method::DELETE, "/_local/outbox")).await.expect(204);
    }
    println!("of {ROUNDS}, {signed} signed first, and {refused} were in doubt first");
    assert!(signed > 10 && refused > 10, "{signed} {refused}: the two raced");
}

/// Puts the recipient in doubt once the completion, which begins alone, has made so many requests: it takes longer than what puts it in doubt.
async fn doubt_after(world: &World, round: &Round, kind: Doubt, ahead: usize) -> Answer {
    if let Some(after) = ahead.checked_sub(1) {
        let read = world.stack.faults().hold(Service::Dynamodb, u32::try_from(after).unwrap());
        read.arrived().await;
        read.let_go();
    }
    doubt(world, round, kind).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_doubt_by_then_does_not_sign_as_the_last_where_reads_are_torn() {
    race(|_| Plan::new(Mode::Torn, 0, u32::MAX)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_writes_conflict() {
    race(|number| Plan::new(Mode::Conflict, u32::try_from(number % 7).unwrap(), 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_answers_are_slow() {
    race(|_| Plan::new(Mode::Slow, 0, u32::MAX).lasting(Duration::from_millis(5))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_transactions_hold_their_items() {
    race(|_| Plan::new(Mode::Hold, 0, u32::MAX).lasting(Duration::from_millis(5))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_doubt_between_two_reads_does_not_sign_as_the_last() {
    for kind in [Doubt::Failure, Doubt::Change] {
        let world = with_kba(20).await;
        let round = round(&world, 0).await;
        // The first request to the table reads the key and the account, the second the agreement and its recipient.
        let torn = world.stack.faults().tear(1);
        let between = async {
            torn.arrived().await;
            let doubted = doubt(&world, &round, kind).await;
            torn.let_go();
            doubted
        };
        let (completed, doubted) = tokio::join!(complete(&world, &round.sent, 0), between);
        let _ = completed.refused(409, "recipient-not-verified");
        assert!([200, 204].contains(&doubted.status), "{doubted:?}");
        assert!(!signed_verified(&world, &round, &format!("{kind:?}")).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_who_sign_at_once_one_is_the_last() {
    let world = with_kba(20).await;
    let recipients: Vec<Value> = (1..=6).map(|number| person(number, "none")).collect();
    let sent = send_with(&world, "k", &agreement(&json!(recipients))).await.expect(201);
    for number in 1..=6 {
        let _ = open_last(&world, &format!("r{number}@example.com")).await.expect(200);
    }
    world.stack.faults().set(Service::Dynamodb, Mode::Torn, 0, u32::MAX);
    let answers = join_all((0..6).flat_map(|place| [complete(&world, &sent, place), complete(&world, &sent, place)])).await;
    world.stack.faults().clear();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let steps = steps(&world, &sent).await;
    let count = |wanted: &str| steps.iter().filter(|step| *step == wanted).count();
    assert_eq!((count("recipient-completed"), count("agreement-completed")), (6, 1));
}
