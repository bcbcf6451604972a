//! The last recipient signs at the moment in which they turn out not to be verified.

use futures_util::future::join_all;
use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::agreements::{
    agreement, complete, open_last, person, recipient_path, send_with, steps, with_kba,
};
use tests::strain::rounds;
use tests::{Answer, World};

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
    open_last(world, &format!("r{number}@example.com"))
        .await
        .expect(200)
        .text("challenge")
}

async fn round(world: &World, number: usize) -> Round {
    let body = agreement(&json!([person(1, "kba"), person(2, "none")]));
    let sent = send_with(world, &format!("k{number}"), &body)
        .await
        .expect(201);
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
            world
                .send(world.signed(
                    &format!("msg_{}", round.session),
                    body.to_string().as_bytes(),
                ))
                .await
        }
        Doubt::Change => {
            let path = recipient_path(&round.sent, 0);
            world
                .backend(
                    Method::PATCH,
                    &path,
                    Some(json!({"authentication": "email"})),
                )
                .await
        }
    }
}

/// Whether the recipient has signed; and if so, as somebody whom nothing had put in doubt since
/// they were verified.
async fn signed_verified(world: &World, round: &Round, told: &str) -> bool {
    let shown = world
        .backend(
            Method::GET,
            &format!("/v1/agreements/{}", round.sent.text("id")),
            None,
        )
        .await
        .expect(200)
        .body;
    let is_completed = shown["status"] == "completed";
    assert_eq!(
        shown["recipients"][0]["status"] == "completed",
        is_completed,
        "{shown}"
    );
    let steps = steps(world, &round.sent).await;
    let last = |wanted: &[&str]| {
        steps
            .iter()
            .rposition(|step| wanted.contains(&step.as_str()))
    };
    if is_completed {
        let doubted = ["kba-session-answered", "recipient-changed"];
        let before = &steps[..last(&["agreement-completed"]).unwrap()];
        let proved = before.iter().rposition(|step| step == "recipient-verified");
        let in_doubt = before
            .iter()
            .rposition(|step| doubted.contains(&step.as_str()));
        assert!(
            proved > in_doubt,
            "{told}: signed by who is not verified: {steps:?}"
        );
    }
    is_completed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_doubt_by_then_does_not_sign_as_the_last() {
    let world = with_kba(1_000).await;
    let (mut signed, mut refused) = (0, 0);
    for (number, strained) in rounds().enumerate() {
        let kind = [Doubt::Failure, Doubt::Change][number % 2];
        let round = round(&world, number).await;
        let both = async {
            tokio::join!(
                doubt_after(&world, &round, kind, number / 2 % 3),
                complete(&world, &round.sent, 0)
            )
        };
        let (doubted, completed) = strained.race(&world, both).await;
        // Whoever has completed is changed no more.
        assert!(
            matches!(
                (completed.status, doubted.status),
                (200, 200 | 204 | 409) | (409, 200 | 204)
            ),
            "{strained:?}: {completed:?} {doubted:?}"
        );
        if signed_verified(&world, &round, &format!("{kind:?} in {strained:?}")).await {
            signed += 1;
        } else {
            refused += 1;
        }
        let _ = world
            .send(world.request(Method::DELETE, "/_local/outbox"))
            .await
            .expect(204);
    }
    println!("{signed} signed first, and {refused} were in doubt first");
    assert!(
        signed > 0 && refused > 0,
        "{signed} {refused}: the two raced"
    );
}

/// Puts the recipient in doubt once the completion, which begins alone, has made so many requests:
/// it takes longer than what puts it in doubt.
async fn doubt_after(world: &World, round: &Round, kind: Doubt, ahead: usize) -> Answer {
    if let Some(after) = ahead.checked_sub(1) {
        let read = world
            .stack
            .faults()
            .hold(Service::Dynamodb, u32::try_from(after).unwrap());
        read.arrived().await;
        read.let_go();
    }
    doubt(world, round, kind).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_doubt_between_two_reads_does_not_sign_as_the_last() {
    for kind in [Doubt::Failure, Doubt::Change] {
        let world = with_kba(20).await;
        let round = round(&world, 0).await;
        // The first request to the table reads the key and the account, the second the agreement
        // and its recipient.
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
    let sent = send_with(&world, "k", &agreement(&json!(recipients)))
        .await
        .expect(201);
    for number in 1..=6 {
        let _ = open_last(&world, &format!("r{number}@example.com"))
            .await
            .expect(200);
    }
    world
        .stack
        .faults()
        .set(Service::Dynamodb, Mode::Torn, 0, u32::MAX);
    let answers = join_all((0..6).flat_map(|place| {
        [
            complete(&world, &sent, place),
            complete(&world, &sent, place),
        ]
    }))
    .await;
    world.stack.faults().clear();
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    let steps = steps(&world, &sent).await;
    let count = |wanted: &str| steps.iter().filter(|step| *step == wanted).count();
    assert_eq!(
        (count("recipient-completed"), count("agreement-completed")),
        (6, 1)
    );
}
