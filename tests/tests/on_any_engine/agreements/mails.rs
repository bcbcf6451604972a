//! What is mailed of an agreement, and to whom, where it could not be mailed at once.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::agreements::{agreement, clean, complete, open_last, person, send_with};

/// Nothing is taken from now on.
fn down(world: &World) {
    world
        .stack
        .faults()
        .set(Service::Ses, Mode::Refused, 0, 10_000);
}

/// Everything is taken again, and what is owed is due.
async fn up(world: &World) -> Value {
    world.stack.faults().clear();
    world.advance(3601);
    clean(world).await
}

async fn subjects(world: &World) -> Vec<String> {
    let of = |mail: &Value| {
        format!(
            "{} {}",
            mail["to"].as_str().unwrap(),
            mail["subject"].as_str().unwrap()
        )
    };
    world.outbox().await.iter().map(of).collect()
}

#[tokio::test]
async fn nobody_is_invited_to_an_agreement_that_was_cancelled_or_has_expired() {
    for cancelled in [true, false] {
        let world = World::new().await;
        down(&world);
        let mut body = agreement(&json!([
            person(1, "none"),
            person(2, "none"),
            person(3, "email")
        ]));
        body["expires_in"] = json!(86_400);
        let sent = send_with(&world, "k", &body).await.expect(201);
        if cancelled {
            let path = format!("/v1/agreements/{}/cancel", sent.text("id"));
            let _ = world
                .backend(Method::POST, &path, Some(json!({"reason": "changed"})))
                .await
                .expect(200);
        } else {
            world.advance(86_400);
        }
        let report = up(&world).await;
        assert_eq!(
            (&report["mails_sent"], &report["mails_dropped"]),
            (&json!(0), &json!(3)),
            "{report}"
        );
        assert_eq!(subjects(&world).await, Vec::<String>::new());
        assert_eq!(
            clean(&world).await["examined"],
            0,
            "nothing is owed any more"
        );
    }
}

#[tokio::test]
async fn of_a_completed_agreement_each_is_mailed_the_signed_one_and_no_invitation() {
    let world = World::new().await;
    let sent = send_with(
        &world,
        "k",
        &agreement(&json!([person(1, "none"), person(2, "none")])),
    )
    .await
    .expect(201);
    for email in ["r1@example.com", "r2@example.com"] {
        let _ = open_last(&world, email).await.expect(200);
    }
    down(&world);
    let resend = format!("{}/resend", tests::agreements::recipient_path(&sent, 0));
    let _ = world.backend(Method::POST, &resend, None).await.expect(202);
    for place in [0, 1] {
        let _ = complete(&world, &sent, place).await.expect(200);
    }
    let before = world.outbox().await.len();
    let _ = up(&world).await;
    let mut mailed = subjects(&world).await.split_off(before);
    mailed.sort();
    assert_eq!(
        mailed,
        [
            "r1@example.com Signed: Lease",
            "r2@example.com Signed: Lease"
        ]
    );
}

#[tokio::test]
async fn who_failed_is_told_to_the_sender_alone_even_a_month_later() {
    for (days, told) in [(29, 1), (31, 0)] {
        let world = World::new().await;
        let asked = world.asked(3, |kba| kba.max_attempts = Some(1)).await;
        let session = world.session(&asked.challenges[0]).await;
        down(&world);
        world.provider_says(&session, "failed").await;
        world.advance(days * 86_400);
        let report = up(&world).await;
        assert_eq!(
            (&report["mails_sent"], &report["mails_dropped"]),
            (&json!(told), &json!(1 - told)),
            "{report}"
        );
        let mailed = subjects(&world).await;
        assert_eq!(mailed.len(), usize::try_from(told).unwrap());
        assert!(
            mailed
                .iter()
                .all(|mail| mail.starts_with("sales@alder.example ")),
            "{mailed:?}"
        );
    }
}
