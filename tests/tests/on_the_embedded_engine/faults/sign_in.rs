//! A sign-in from the password to the code: each attempt is counted once, told of once, and a right
//! one is taken once.

use serde_json::{Value, json};
use tests::issuer::Issuer;
use tests::{Authenticator, PASSWORD, Person, World, another};

use crate::faults::harness::{Fault, OF_THE_TABLE, fresh, side_by_side, times};

/// A recovery code that nobody was given.
const NO_RECOVERY_CODE: &str = "0000-0000-0000-0000-0000-0000";

/// Somebody of their own for a fault.
async fn somebody(world: &World, fault: Fault) -> Person {
    // Limits by client IP and by destination are not what is tried here.
    world.advance(3_600);
    world
        .user(&fresh(fault, "ann").to_lowercase(), json!({}))
        .await
}

/// The same, with an app of which no code was used for a while, and recovery codes.
async fn with_an_app(world: &World, fault: Fault) -> (Person, Authenticator, Vec<String>) {
    let person = somebody(world, fault).await;
    let token = world.token(&person).await;
    let (app, recovery) = world.enrol(&token).await;
    world.advance(3_600);
    (person, app, recovery)
}

/// The wrong codes in a row of a factor, strangers' and those from where the person is known.
async fn failures(world: &World, person: &Person, method: &str) -> u64 {
    let user: Value = world
        .content()
        .await
        .remove(&format!("USER#{} USER", person.id))
        .unwrap();
    let factor = &user["factors"][method];
    factor["failures"].as_u64().unwrap() + factor["known_failures"].as_u64().unwrap_or_default()
}

/// The wrong passwords in a row, of everybody who was not forgiven since.
async fn wrong_passwords(world: &World) -> u64 {
    let counts = world
        .content()
        .await
        .into_iter()
        .filter(|(key, _)| key.starts_with("NAME#") && key.ends_with(" FAILURES"));
    counts
        .map(|(_, count)| count["failures"].as_u64().unwrap())
        .sum()
}

#[tokio::test]
async fn a_right_password_opens_one_challenge_for_each_answer_and_counts_for_nothing() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let ann = somebody(world, fault).await;
        let (struck, first) = fault
            .strikes(world, world.login(&ann.username, PASSWORD))
            .await;
        let again = world.login(&ann.username, PASSWORD).await.expect(200);
        let told = world.actions(&ann.id).await;
        let opened = times(&told, "sign-in");
        assert!(
            opened == 2 || (opened == 1 && first.status == 503),
            "{fault:?}: {told:?}"
        );
        let hidden = opened == 2 && first.status == 503;
        assert!(!hidden || fault.may_hide_an_effect(), "{fault:?}: {told:?}");
        assert_eq!(
            wrong_passwords(world).await,
            0,
            "{fault:?}: a right password counts for nothing"
        );
        // Whatever went wrong before, the challenge that was answered with leads on.
        let challenge = again.text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_counted_once_and_told_of_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let ann = somebody(world, fault).await;
        let wrong = || world.login(&ann.username, "a wrong password");
        let (struck, first) = fault
            .strikes_a_refusal(world, wrong(), "invalid-credentials")
            .await;
        let told = times(&world.actions(&ann.id).await, "sign-in");
        assert!(
            told == 1 || (told == 0 && first.status == 503),
            "{fault:?}: {told}"
        );
        assert!(
            first.status != 503 || told == 0 || fault.may_hide_an_effect(),
            "{fault:?}"
        );
        let counted = wrong_passwords(world).await;
        // What was counted and could not be told of stays counted, as with codes.
        assert!(
            counted == 1 || (counted == 0 && first.status == 503),
            "{fault:?}: {counted}"
        );
        assert!(
            told as u64 <= counted,
            "{fault:?}: {told} told of, {counted} counted"
        );
        let _ = wrong().await.refused(401, "invalid-credentials");
        assert_eq!(wrong_passwords(world).await, counted + 1, "{fault:?}");
        let _ = world.login(&ann.username, PASSWORD).await.expect(200);
        assert_eq!(wrong_passwords(world).await, 0, "{fault:?}");
        struck
    })
    .await;
}

#[tokio::test]
async fn an_id_token_signs_in_once() {
    let issuer = Issuer::start(env!("CARGO_BIN_EXE_issuer"));
    side_by_side(OF_THE_TABLE, async |world, fault| {
        issuer.vouches_in(world).await;
        world.advance(3_600);
        let subject = fresh(fault, "subject");
        let ann = world
            .user(&subject.to_lowercase(), json!({"sso_subject": subject}))
            .await;
        let token = issuer
            .sign(
                json!({}),
                issuer.claims_at(&subject, world.stack.clock().now().as_secs()),
            )
            .await;
        let (struck, first) = fault.strikes(world, world.login_by(&token)).await;
        let again = world.login_by(&token).await;
        let signed_in = [&first, &again]
            .iter()
            .filter(|answer| answer.status == 200)
            .count();
        // Only where the answer of the last write was lost is a token spent for nothing: another is
        // to be had.
        let spent = signed_in == 0 && first.status == 503 && fault.may_hide_an_effect();
        assert!(
            signed_in == 1 || spent,
            "{fault:?}: {} {}",
            first.body,
            again.body
        );
        assert!(
            again.status == 200 || again.slug() == "invalid-credentials",
            "{fault:?}: {}",
            again.body
        );
        let told = world.actions(&ann.id).await;
        assert_eq!(
            told.iter().filter(|action| *action == "sign-in").count(),
            1,
            "{fault:?}: {told:?}"
        );
        let refused = told
            .iter()
            .filter(|action| *action == "sign-in: token-used")
            .count();
        assert_eq!(
            refused,
            usize::from(again.status != 200),
            "{fault:?}: {told:?}"
        );
        let _ = world
            .login_by(&token)
            .await
            .refused(401, "invalid-credentials");
        struck
    })
    .await;
}

/// Proves a factor twice with one code: it is taken once.
async fn taken_once(
    world: &World,
    fault: Fault,
    (person, challenge): (&Person, &str),
    (method, code): (&str, &str),
) -> bool {
    let before = times(&world.actions(&person.id).await, "code-verified");
    let (struck, first) = fault
        .strikes(world, world.verify(challenge, method, code))
        .await;
    let again = world.verify(challenge, method, code).await;
    let tokens = [&first, &again]
        .iter()
        .filter(|answer| answer.status == 200)
        .count();
    // Only where the answer of the last write was lost is a code spent without a token.
    let spent = tokens == 0 && first.status == 503 && fault.may_hide_an_effect();
    assert!(
        tokens == 1 || spent,
        "{method} {fault:?}: {} {}",
        first.body,
        again.body
    );
    assert!(
        again.status == 200 || again.slug() == "challenge-used",
        "{method} {fault:?}: {}",
        again.body
    );
    let told = world.actions(&person.id).await;
    assert_eq!(
        told.iter()
            .filter(|action| *action == "code-verified")
            .count(),
        before + 1,
        "{method} {fault:?}: {told:?}"
    );
    assert_eq!(
        failures(world, person, method).await,
        0,
        "{method} {fault:?}: a right code is no failure"
    );
    if spent {
        // Another challenge does not take it either.
        let challenge = world.challenge(person).await;
        let _ = world
            .verify(&challenge, method, code)
            .await
            .refused(401, "code-invalid");
    }
    struck
}

#[tokio::test]
async fn a_right_code_of_a_text_is_taken_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let ann = somebody(world, fault).await;
        let (challenge, code) = world.challenge_and_code(&ann).await;
        taken_once(world, fault, (&ann, &challenge), ("sms", &code)).await
    })
    .await;
}

#[tokio::test]
async fn a_right_code_of_an_app_is_taken_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (ann, app, _) = with_an_app(world, fault).await;
        let challenge = world.challenge(&ann).await;
        taken_once(world, fault, (&ann, &challenge), ("totp", &app.code(world))).await
    })
    .await;
}

#[tokio::test]
async fn a_recovery_code_is_taken_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (ann, _, recovery) = with_an_app(world, fault).await;
        let challenge = world.challenge(&ann).await;
        taken_once(
            world,
            fault,
            (&ann, &challenge),
            ("recovery_code", &recovery[0]),
        )
        .await
    })
    .await;
}

/// Tries a wrong code: it is counted once of the challenge and once of the factor, and told of
/// once.
async fn counted_once(
    world: &World,
    fault: Fault,
    (person, challenge): (&Person, &str),
    (method, wrong): (&str, &str),
) -> bool {
    let before = times(&world.actions(&person.id).await, "code-verified");
    let (struck, first) = fault
        .strikes_a_refusal(
            world,
            world.verify(challenge, method, wrong),
            "code-invalid",
        )
        .await;
    let told = times(&world.actions(&person.id).await, "code-verified") - before;
    let counted = failures(world, person, method).await;
    // What was counted and could not be told of stays counted: nobody guesses for nothing. The
    // other way round there is nothing.
    let is_sound = if first.status == 401 {
        (told, counted) == (1, 1)
    } else {
        counted <= 1 && told as u64 <= counted
    };
    assert!(
        is_sound,
        "{method} {fault:?}: {told} told of, {counted} counted"
    );
    assert!(
        first.status == 401 || told == 0 || fault.may_hide_an_effect(),
        "{method} {fault:?}"
    );
    assert!(
        first.status == 503 || first.body["attempts_left"] == 4,
        "{method} {fault:?}: {}",
        first.body
    );
    let again = world
        .verify(challenge, method, wrong)
        .await
        .refused(401, "code-invalid");
    assert_eq!(
        again.body["attempts_left"],
        4 - counted,
        "{method} {fault:?}: the challenge counts as the factor does"
    );
    struck
}

#[tokio::test]
async fn a_wrong_code_of_a_text_is_counted_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let ann = somebody(world, fault).await;
        let (challenge, code) = world.challenge_and_code(&ann).await;
        let struck = counted_once(world, fault, (&ann, &challenge), ("sms", &another(&code))).await;
        let _ = world.verify(&challenge, "sms", &code).await.expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_wrong_code_of_an_app_is_counted_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (ann, app, _) = with_an_app(world, fault).await;
        let challenge = world.challenge(&ann).await;
        let code = app.code(world);
        let struck =
            counted_once(world, fault, (&ann, &challenge), ("totp", &another(&code))).await;
        let _ = world.verify(&challenge, "totp", &code).await.expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_wrong_recovery_code_is_counted_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (ann, _, recovery) = with_an_app(world, fault).await;
        let challenge = world.challenge(&ann).await;
        let struck = counted_once(
            world,
            fault,
            (&ann, &challenge),
            ("recovery_code", NO_RECOVERY_CODE),
        )
        .await;
        let _ = world
            .verify(&challenge, "recovery_code", &recovery[0])
            .await
            .expect(200);
        struck
    })
    .await;
}
