//! The limits of the API, each at its number and one beyond.

use local::{Mode, Service};
use reqwest::Method;
use serde_json::json;
use tests::agreements::sent_a_code;
use tests::{PASSWORD, Person, World, another};

fn retry_after(answer: &tests::Answer) -> i64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn after_five_wrong_passwords_in_a_row_a_username_is_delayed_and_the_delay_doubles() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    for _ in 0..5 {
        let _ = world
            .login("ann", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    for delay in [1, 2, 4, 8] {
        let refused = world
            .login("ann", PASSWORD)
            .await
            .refused(429, "too-many-attempts");
        assert_eq!(retry_after(&refused), delay);
        assert!(
            refused.header("ratelimit").is_some() && refused.header("ratelimit-policy").is_some()
        );
        world.advance(delay);
        let _ = world
            .login("ann", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    world.advance(900);
    let _ = world.login("ann", PASSWORD).await.expect(200);
    let _ = world
        .login("ann", "wrong password")
        .await
        .refused(401, "invalid-credentials");
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_unknown_username_is_delayed_like_a_known_one() {
    let world = World::new().await;
    let _ = world.user("ann", json!({})).await;
    for username in ["ann", "nobody"] {
        for _ in 0..5 {
            let _ = world
                .login(username, "wrong password")
                .await
                .refused(401, "invalid-credentials");
        }
        assert_eq!(
            retry_after(
                &world
                    .login(username, PASSWORD)
                    .await
                    .refused(429, "too-many-attempts")
            ),
            1
        );
    }
}

#[tokio::test]
async fn a_source_address_may_fail_a_hundred_times_in_five_minutes_and_succeed_more_often() {
    let world = World::new().await;
    let _ = world.user("ann", json!({"kind": "internal"})).await;
    let _ = world
        .settings(json!({"ip_allowlist": ["127.0.0.1/32"]}))
        .await;
    for _ in 0..5 {
        let _ = world.login("ann", PASSWORD).await.expect(200);
    }
    for number in 0..100 {
        let _ = world
            .login(&format!("nobody{number}"), "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    world.advance(100);
    let refused = world
        .login("ann", PASSWORD)
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(retry_after(&refused), 200);
    world.advance(200);
    let _ = world.login("ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_challenge_takes_five_wrong_tries_and_then_refuses_the_right_code() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    for left in [4, 3, 2, 1, 0] {
        let refused = world
            .verify(&challenge, "sms", &another(&code))
            .await
            .refused(401, "code-invalid");
        assert_eq!(refused.body["attempts_left"], left);
    }
    let _ = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-attempts");
}

#[tokio::test]
async fn a_factor_is_delayed_from_the_tenth_wrong_code_in_a_row_whatever_the_challenge() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    // The address is known from the start: the right code below ends the count that goes on after
    // it, and no other.
    let _ = world.token(&ann).await;
    for round in 0..2 {
        let (challenge, code) = world.challenge_and_code(&ann).await;
        for _ in 0..5 {
            let _ = world
                .verify(&challenge, "sms", &another(&code))
                .await
                .refused(401, "code-invalid");
        }
        assert_eq!(world.outbox().await.len(), round + 2);
    }
    // Locked: right and wrong codes are answered alike, and nothing is sent.
    let challenge = world.challenge(&ann).await;
    let refused = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(retry_after(&refused), 30);
    let refused = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(retry_after(&refused), 30);
    assert_eq!(world.outbox().await.len(), 3);
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "factor-delayed")
            .count(),
        1
    );

    world.advance(30);
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = world.last_code().await;
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let refused = world
        .verify(&challenge, "sms", &code)
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(retry_after(&refused), 60);
    world.advance(60);
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);

    // A success resets the count.
    world.advance(3_600);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    for _ in 0..4 {
        let _ = world
            .verify(&challenge, "sms", &another(&code))
            .await
            .refused(401, "code-invalid");
    }
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

/// Types wrong codes, each as soon as it is taken, until there were fifty.
async fn fifty_wrong_codes(world: &World, person: &Person) {
    let mut counted = 0;
    while counted < 50 {
        let challenge = world.challenge(person).await;
        for _ in 0..5 {
            let answer = world.verify(&challenge, "sms", "000000").await;
            if answer.status == 429 {
                world.advance(retry_after(&answer));
                break;
            }
            let _ = answer.refused(401, "code-invalid");
            counted += 1;
            if counted == 50 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_factor_is_disabled_at_fifty_and_an_administrator_unlocks_it() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    fifty_wrong_codes(&world, &ann).await;
    world.advance(7_200);
    // The factor is no longer offered: nothing but an administrator helps.
    let _ = world
        .login("ann", PASSWORD)
        .await
        .refused(403, "no-usable-factor");
    assert_eq!(
        world
            .actions(&ann.id)
            .await
            .iter()
            .filter(|action| *action == "factor-disabled")
            .count(),
        1
    );
    let _ = world
        .backend(Method::POST, &format!("/v1/users/{}/unlock", ann.id), None)
        .await
        .expect(200);
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn a_superseded_code_counts_for_the_challenge_and_not_for_the_factor() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    for _ in 0..3 {
        let (challenge, old) = world.challenge_and_code(&ann).await;
        world.advance(61);
        let _ = world.issue(&challenge, "sms").await.expect(202);
        for left in [4, 3, 2, 1, 0] {
            let refused = world
                .verify(&challenge, "sms", &old)
                .await
                .refused(401, "code-superseded");
            assert_eq!(refused.body["attempts_left"], left);
        }
        let _ = world
            .verify(&challenge, "sms", &old)
            .await
            .refused(429, "too-many-attempts");
        world.advance(600);
    }
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
}

#[tokio::test]
async fn the_wait_between_two_codes_of_a_challenge_is_half_a_minute_and_doubles_up_to_four() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    let challenge = world.challenge(&ann).await;
    for wait in [30, 60, 120, 240] {
        let sent = world.issue(&challenge, "sms").await.expect(202);
        assert_eq!(sent.body["resend_in"], wait);
        world.advance(wait - 1);
        let refused = world
            .issue(&challenge, "sms")
            .await
            .refused(429, "resend-too-soon");
        assert_eq!(
            (retry_after(&refused), refused.body["resend_in"].as_i64()),
            (1, Some(1))
        );
        world.advance(1);
    }
}

#[tokio::test]
async fn another_method_of_a_challenge_may_be_sent_at_once_and_waits_for_itself() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let challenge = world.challenge(&world.user("ann", json!({})).await).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let sent = world.issue(&challenge, "email").await.expect(202);
    assert_eq!(sent.body["resend_in"], 30);
    for method in ["sms", "email"] {
        assert_eq!(
            retry_after(
                &world
                    .issue(&challenge, method)
                    .await
                    .refused(429, "resend-too-soon")
            ),
            30
        );
    }
    world.advance(30);
    assert_eq!(
        world.issue(&challenge, "sms").await.expect(202).body["resend_in"],
        60
    );
    assert_eq!(
        world.issue(&challenge, "email").await.expect(202).body["resend_in"],
        60
    );
}

#[tokio::test]
async fn a_user_is_sent_ten_codes_an_hour_and_thirty_a_day_wherever_they_go() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let path = format!("/v1/users/{}", ann.id);
    let mut number = 0;
    for hour in 0..3 {
        for round in 0..10 {
            // Another destination each time: the user's own count is what remains.
            number += 1;
            let body = json!({"phone": format!("+1202555{:04}", 100 + number)});
            let _ = world
                .backend(Method::PATCH, &path, Some(body))
                .await
                .expect(200);
            let method = if round == 9 { "email" } else { "sms" };
            let _ = world
                .issue(&world.challenge(&ann).await, method)
                .await
                .expect(202);
        }
        for method in ["sms", "email"] {
            let refused = world
                .issue(&world.challenge(&ann).await, method)
                .await
                .refused(429, "too-many-sends");
            assert_eq!(
                retry_after(&refused),
                if hour < 2 { 3_600 } else { 86_400 - 2 * 3_600 }
            );
        }
        world.advance(3_600);
    }
    world.advance(86_400 - 3 * 3_600 - 1);
    assert_eq!(
        retry_after(
            &world
                .issue(&world.challenge(&ann).await, "sms")
                .await
                .refused(429, "too-many-sends")
        ),
        1
    );
    world.advance(1);
    let _ = world
        .issue(&world.challenge(&ann).await, "sms")
        .await
        .expect(202);
}

#[tokio::test]
async fn a_destination_is_sent_five_codes_in_ten_minutes_and_ten_in_an_hour() {
    let world = World::new().await;
    let ann = world.user("ann", json!({"phone": "+12025550123"})).await;
    // Another user with the same phone has a part in the same share.
    let bea = world.user("bea", json!({"phone": "+12025550123"})).await;
    for person in [&ann, &bea, &ann, &bea, &ann] {
        let _ = world.challenge_and_code(person).await;
        world.advance(1);
    }
    let challenge = world.challenge(&bea).await;
    let refused = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-sends");
    assert_eq!(retry_after(&refused), 595);
    world.advance(595);
    for _ in 0..5 {
        let _ = world.challenge_and_code(&ann).await;
        world.advance(1);
    }
    world.advance(600);
    let challenge = world.challenge(&ann).await;
    let refused = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-sends");
    assert_eq!(retry_after(&refused), 3_600 - 5 - 595 - 5 - 600);
    assert_eq!(world.outbox().await.len(), 10);
}

#[tokio::test]
async fn a_mailbox_is_one_destination_in_whichever_case_it_is_written() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let spellings = [
        "vic@example.com",
        "Vic@example.com",
        "vic@EXAMPLE.com",
        "VIC@Example.Com",
        "viC@example.com",
    ];
    for (number, email) in spellings.into_iter().enumerate() {
        let vic = world
            .user(
                &format!("vic{number}"),
                json!({"email": email, "phone": null}),
            )
            .await;
        let challenge = world.challenge(&vic).await;
        let _ = world.issue(&challenge, "email").await.expect(202);
        assert_eq!(
            world.outbox().await.last().unwrap()["to"],
            email,
            "it is mailed to as it was given"
        );
    }
    let vic = world
        .user("vic", json!({"email": "vIc@example.com", "phone": null}))
        .await;
    let challenge = world.challenge(&vic).await;
    assert_eq!(
        retry_after(
            &world
                .issue(&challenge, "email")
                .await
                .refused(429, "too-many-sends")
        ),
        600
    );
    // Nor is another spelling, of the same user, another mailbox.
    let path = format!("/v1/users/{}", vic.id);
    let _ = world
        .backend(
            Method::PATCH,
            &path,
            Some(json!({"email": "VIC@EXAMPLE.COM"})),
        )
        .await
        .expect(200);
    let challenge = world.challenge(&vic).await;
    let _ = world
        .issue(&challenge, "email")
        .await
        .refused(429, "too-many-sends");
}

#[tokio::test]
async fn a_source_address_has_twenty_five_codes_sent_in_five_minutes() {
    let world = World::new().await;
    let mut last = None;
    for number in 0..26 {
        last = Some(
            world
                .user(
                    &format!("user{number}"),
                    json!({"phone": format!("+1202555{:04}", 100 + number)}),
                )
                .await,
        );
        let challenge = world.challenge(last.as_ref().unwrap()).await;
        let answer = world.issue(&challenge, "sms").await;
        if number < 25 {
            let _ = answer.expect(202);
        } else {
            assert_eq!(retry_after(&answer.refused(429, "too-many-sends")), 300);
        }
    }
    world.advance(300);
    let _ = world.challenge_and_code(&last.unwrap()).await;
    assert_eq!(world.outbox().await.len(), 26);
}

#[tokio::test]
async fn a_log_that_has_grown_is_trimmed_and_still_counts() {
    let world = World::new().await;
    let mut total = 0;
    for round in 0..4 {
        for number in 0..20 {
            let phone = format!("+1202555{:04}", 100 + round * 20 + number);
            let person = world
                .user(&format!("user{round}x{number}"), json!({"phone": phone}))
                .await;
            let _ = world.challenge_and_code(&person).await;
            total += 1;
        }
        world.advance(301);
    }
    assert_eq!(world.outbox().await.len(), total);
}

#[tokio::test]
async fn only_a_success_of_the_factor_itself_resets_its_count() {
    let world = World::of_many_places().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    let (here, elsewhere) = (world.at("203.0.113.7"), world.at("198.51.100.9"));
    for _ in 0..3 {
        let challenge = here.challenge(&ann).await;
        let _ = here.issue(&challenge, "sms").await.expect(202);
        for _ in 0..3 {
            let _ = here
                .verify(&challenge, "sms", "000000")
                .await
                .refused(401, "code-invalid");
        }
    }
    // Nine. A resend and a success by mail take nothing back.
    let challenge = elsewhere.challenge(&ann).await;
    let _ = elsewhere.issue(&challenge, "sms").await.expect(202);
    world.advance(60);
    let _ = elsewhere.issue(&challenge, "email").await.expect(202);
    let _ = elsewhere
        .verify(&challenge, "email", &world.last_code().await)
        .await
        .expect(200);
    let challenge = here.challenge(&ann).await;
    let _ = here
        .verify(&challenge, "sms", "000000")
        .await
        .refused(401, "code-invalid");
    let refused = here
        .verify(&challenge, "sms", "000000")
        .await
        .refused(429, "too-many-attempts");
    assert_eq!(retry_after(&refused), 30);
    // Another factor still works.
    let _ = here.issue(&challenge, "email").await.expect(202);
    let _ = here
        .verify(&challenge, "email", &world.last_code().await)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_disabled_factor_takes_and_is_sent_nothing_however_long_one_waits() {
    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world.user("ann", json!({})).await;
    fifty_wrong_codes(&world, &ann).await;
    world.advance(7 * 86_400);
    let login = world.login("ann", PASSWORD).await.expect(200);
    assert_eq!(
        login.body["methods"].as_array().unwrap().len(),
        1,
        "the disabled factor is not offered"
    );
    let challenge = login.text("challenge");
    let _ = world
        .verify(&challenge, "sms", "000000")
        .await
        .refused(429, "too-many-attempts");
    let _ = world
        .issue(&challenge, "sms")
        .await
        .refused(429, "too-many-attempts");
    assert!(world.outbox().await.is_empty());
}

#[tokio::test]
async fn a_delay_of_a_password_is_told_in_the_audit() {
    let world = World::new().await;
    let ann = world.user("ann", json!({})).await;
    for _ in 0..5 {
        let _ = world
            .login("ann", "wrong password")
            .await
            .refused(401, "invalid-credentials");
    }
    let entries = world.audit(&ann.id).await;
    let last = entries.last().unwrap();
    assert_eq!(
        (
            &last["action"],
            &last["details"]["failures"],
            &last["details"]["delay"]
        ),
        (&json!("password-delayed"), &json!(5), &json!(1))
    );
    assert_eq!(entries.len(), 1 + 5 + 1);
}

#[tokio::test]
async fn a_try_that_nothing_was_compared_for_counts_for_nothing() {
    for is_recipient in [false, true] {
        let world = World::new().await;
        let (challenge, code) = sent_a_code(&world, is_recipient).await;
        for _ in 0..6 {
            // The attempt is counted; what is read beside it is refused, as often as the SDK asks.
            world
                .stack
                .faults()
                .set(Service::Dynamodb, Mode::Refused, 1, 3);
            let _ = world
                .verify(&challenge, "sms", &code)
                .await
                .refused(503, "service-unavailable");
            world.stack.faults().clear();
        }
        let wrong = world
            .verify(&challenge, "sms", &another(&code))
            .await
            .refused(401, "code-invalid");
        assert_eq!(wrong.body["attempts_left"], 4);
        let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    }
}
