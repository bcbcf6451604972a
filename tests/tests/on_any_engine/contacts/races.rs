//! Many at once: a contact is proved once, guessed at five times, and sent no more than one after
//! another would be.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tests::contacts::{begin, confirm, messages, remove};
use tests::strain::rounds;
use tests::{Answer, Person, World, another};

const MANY: usize = 50;
const NEW: &str = "+12025550177";

async fn ann(world: &World) -> (Person, String) {
    let ann = world.user("ann", json!({"phone": "+12025550123"})).await;
    let token = world.token(&ann).await;
    let _ = messages(world).await;
    (ann, token)
}

fn count(answers: &[Answer], status: u16, slug: &str) -> usize {
    answers
        .iter()
        .filter(|answer| (answer.status, answer.slug()) == (status, slug))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_right_codes_are_taken_once_and_change_the_phone_once() {
    let world = World::new().await;
    let (ann, token) = ann(&world).await;
    let factor = begin(&world, &token, "sms", NEW)
        .await
        .expect(202)
        .text("factor");
    let code = world.last_code().await;
    let answers = join_all((0..MANY).map(|_| confirm(&world, &token, "sms", &factor, &code))).await;
    assert_eq!(count(&answers, 200, ""), 1, "{answers:?}");
    let user: serde_json::Value = world.content().await[&format!("USER#{} USER", ann.id)].clone();
    assert_eq!(
        (
            user["phone"].as_str(),
            user["phone_changes"].as_array().map(Vec::len)
        ),
        (Some(NEW), Some(1))
    );
    assert_eq!(
        messages(&world).await.len(),
        1 + 2,
        "the code, the mailbox and the old number"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wrong_codes_are_five() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    let factor = begin(&world, &token, "email", "new@example.org")
        .await
        .expect(202)
        .text("factor");
    let wrong = another(&world.last_code().await);
    let answers =
        join_all((0..MANY).map(|_| confirm(&world, &token, "email", &factor, &wrong))).await;
    assert_eq!(count(&answers, 401, "code-invalid"), 5, "{answers:?}");
    assert_eq!(count(&answers, 429, "too-many-attempts"), MANY - 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_wishes_for_one_contact_or_for_fifty_are_one_message() {
    let world = World::new().await;
    let (_, token) = ann(&world).await;
    let answers = join_all((0..MANY).map(|_| begin(&world, &token, "sms", NEW))).await;
    assert_eq!(
        (count(&answers, 202, ""), world.outbox().await.len()),
        (1, 1),
        "{answers:?}"
    );
    // Another contact waits as the same one does.
    world.advance(30);
    let others: Vec<String> = (0..MANY)
        .map(|number| format!("+1202555{:04}", 100 + number))
        .collect();
    let answers = join_all(
        others
            .iter()
            .map(|number| begin(&world, &token, "sms", number)),
    )
    .await;
    assert_eq!(
        (count(&answers, 202, ""), world.outbox().await.len()),
        (1, 2),
        "{answers:?}"
    );
    // Some may have lost too many races to be told so.
    assert!(count(&answers, 429, "resend-too-soon") > 0, "{answers:?}");
    let _ = begin(&world, &token, "sms", "+13035550100")
        .await
        .refused(429, "resend-too-soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_a_contact_at_once_changes_it_three_times_a_day() {
    let world = World::new().await;
    let (ann, _) = ann(&world).await;
    let path = format!("/v1/users/{}", ann.id);
    let mut changes = 0;
    // Removed many times at once, and entered again by an administrator: each round is one change
    // by the user.
    for round in 0..5 {
        let token = world.token(&ann).await;
        let answers = join_all((0..10).map(|_| remove(&world, &token, "email"))).await;
        changes += count(&answers, 204, "");
        let _ = world
            .backend(
                Method::PATCH,
                &path,
                Some(json!({"email": format!("a{round}@example.org")})),
            )
            .await
            .expect(200);
        world.advance(600);
    }
    assert_eq!(changes, 3);
}

/// The mailbox at the end is that of the last change that the audit tells of, and each change that
/// was answered is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_is_confirmed_removed_and_entered_at_once_is_the_one_of_the_last_of_them() {
    for round in rounds() {
        let world = World::new().await;
        let (ann, token) = ann(&world).await;
        let factor = begin(&world, &token, "email", "new@example.org")
            .await
            .expect(202)
            .text("factor");
        let code = world.last_code().await;
        let path = format!("/v1/users/{}", ann.id);
        let entered = world.backend(
            Method::PATCH,
            &path,
            Some(json!({"email": "entered@example.org"})),
        );
        let (confirmed, removed) = (
            confirm(&world, &token, "email", &factor, &code),
            remove(&world, &token, "email"),
        );
        let (confirmed, removed, entered) = round
            .race(&world, async { tokio::join!(confirmed, removed, entered) })
            .await;
        assert_eq!(entered.status, 200, "{round:?}: {}", entered.body);
        let told = world.actions(&ann.id).await;
        let ends = [
            ("factor-enrolled", confirmed.status == 200),
            ("factor-removed", removed.status == 204),
            ("user-changed", true),
        ];
        for (action, is_done) in ends {
            assert_eq!(
                told.iter().filter(|told| *told == action).count(),
                usize::from(is_done),
                "{round:?}: {action} in {told:?}"
            );
        }
        let last = told
            .iter()
            .rfind(|told| ends.iter().any(|(action, _)| told == action))
            .map(String::as_str);
        let email = world
            .backend(Method::GET, &path, None)
            .await
            .expect(200)
            .body["email"]
            .clone();
        let expected = match last {
            Some("factor-enrolled") => json!("new@example.org"),
            Some("factor-removed") => json!(null),
            _ => json!("entered@example.org"),
        };
        assert_eq!(email, expected, "{round:?}: {told:?}");
    }
}
