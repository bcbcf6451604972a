//! What is logged, at the most talkative level, says nothing that nobody should read.
//!
//! Alone in this file: the subscriber is the process's.

use serde_json::json;
use tests::{Memory, PASSWORD, World, another};

#[tokio::test]
async fn no_log_at_trace_carries_a_code_a_secret_a_password_or_a_full_destination() {
    let memory = Memory::listen();

    let world = World::new().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ann = world
        .user(
            "ann",
            json!({"phone": "+12025550123", "email": "ann.secret@example.com"}),
        )
        .await;
    let _ = world.login("ann", "a wrong password").await;
    let (challenge, code) = world.challenge_and_code(&ann).await;
    let _ = world.verify(&challenge, "sms", &another(&code)).await;
    let done = world.verify(&challenge, "sms", &code).await.expect(200);
    let by_mail = world.challenge(&ann).await;
    let _ = world.issue(&by_mail, "email").await.expect(202);
    let mailed = world.last_code().await;
    // Failures are the most talkative.
    for service in ["dynamodb", "sns", "ses"] {
        for mode in ["refused", "throttled", "lost"] {
            let body = json!({"service": service, "mode": mode, "count": 3});
            let _ = world
                .send(
                    world
                        .request(reqwest::Method::POST, "/_local/faults")
                        .json(&body),
                )
                .await
                .expect(200);
            world.advance(120);
            let challenge = world.login("ann", PASSWORD).await;
            let challenge = challenge.body["challenge"]
                .as_str()
                .unwrap_or(&by_mail)
                .to_owned();
            let _ = world
                .issue(&challenge, if service == "ses" { "email" } else { "sms" })
                .await;
            let _ = world.verify(&challenge, "sms", "000000").await;
        }
    }

    let logged = memory.text();
    assert!(logged.contains("/v1/codes/verify"), "something was logged");
    let token = done.text("access_token");
    let secrets = [
        code.as_str(),
        &mailed,
        PASSWORD,
        "a wrong password",
        "2025550123",
        "ann.secret",
        &challenge,
        &token,
        &world.key,
        tests::OPERATOR,
    ];
    for secret in secrets {
        assert!(!logged.contains(secret), "{secret} was logged");
    }
}
