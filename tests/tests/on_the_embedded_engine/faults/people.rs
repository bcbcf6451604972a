//! What people change of how they sign in, and what tells them of it: each change once, with one
//! mail to each address that it tells.

use local::Service;
use reqwest::Method;
use serde_json::json;
use tests::{Answer, Authenticator, PASSWORD, Person, World, codes, token_of};

use crate::faults::harness::{
    Fault, THAT_MAIL, each_of_the_table, each_that_mails, empty_the_inbox, fresh,
    mail_what_is_owed, mailed_once, side_by_side, times,
};

const NEW: &str = "a horse of another colour";

/// Somebody of their own for a fault, and a fresh token of theirs.
async fn somebody(world: &World, fault: Fault) -> (Person, String) {
    // Limits by client IP are not what is tried here.
    world.advance(3_600);
    let name = fresh(fault, "ann").to_lowercase();
    let more = json!({"email": "ann@example.com"});
    let person = world.user(&name, more).await;
    let token = world.token(&person).await;
    empty_the_inbox(world).await;
    (person, token)
}

/// The same with an app, and its recovery codes.
async fn with_an_app(world: &World, fault: Fault) -> (Person, String, Authenticator, Vec<String>) {
    let (person, token) = somebody(world, fault).await;
    let (app, recovery) = world.enrol(&token).await;
    empty_the_inbox(world).await;
    (person, token, app, recovery)
}

async fn told(world: &World, person: &Person, action: &str) -> usize {
    times(&world.actions(&person.id).await, action)
}

#[tokio::test]
async fn an_app_is_begun_again_until_it_is_answered() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let (person, token) = somebody(&world, fault).await;
        let begin = || world.as_user(&token, Method::POST, "/v1/factors/totp", None);
        let (struck, first) = fault.strikes(&world, begin()).await;
        let again = begin().await.expect(201);
        let begun = told(&world, &person, "enrolment-begun").await;
        assert!(
            begun == 2 || (begun == 1 && first.status == 503),
            "{fault:?}"
        );
        // The last one is the one that can be confirmed.
        let app = Authenticator::reading(&again);
        let body = json!({"factor": again.text("factor"), "code": app.code(&world)});
        let _ = world
            .as_user(&token, Method::POST, "/v1/factors/totp/confirm", Some(body))
            .await
            .expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn an_app_is_confirmed_once_and_its_person_is_told_once() {
    let world = World::new().await;
    each_that_mails(async |fault| {
        let (person, token) = somebody(&world, fault).await;
        let begun = world
            .as_user(&token, Method::POST, "/v1/factors/totp", None)
            .await
            .expect(201);
        let app = Authenticator::reading(&begun);
        let body = json!({"factor": begun.text("factor"), "code": app.code(&world)});
        let confirm = || {
            world.as_user(
                &token,
                Method::POST,
                "/v1/factors/totp/confirm",
                Some(body.clone()),
            )
        };
        let (struck, first) = fault.strikes(&world, confirm()).await;
        let again = confirm().await;
        let done: Vec<&Answer> = [&first, &again]
            .into_iter()
            .filter(|answer| answer.status == 200)
            .collect();
        assert!(
            done.len() == 1 || (done.is_empty() && again.slug() == "not-found"),
            "{fault:?}: {}",
            again.body
        );
        assert_eq!(
            told(&world, &person, "factor-enrolled").await,
            1,
            "{fault:?}"
        );
        mailed_once(&world, fault, &["ann@example.com"]).await;
        // A code that confirmed it is used up; the next one is good.
        let challenge = world.challenge(&person).await;
        let _ = world
            .verify(&challenge, "totp", &app.code(&world))
            .await
            .expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn recovery_codes_are_made_and_the_last_that_were_shown_are_good() {
    let world = World::new().await;
    each_that_mails(async |fault| {
        let (person, token, _, before) = with_an_app(&world, fault).await;
        let make = || world.as_user(&token, Method::POST, "/v1/factors/recovery-codes", None);
        let (struck, first) = fault.strikes(&world, make()).await;
        let made = told(&world, &person, "recovery-codes-made").await;
        assert!(made == 1 || (made == 0 && first.status == 503), "{fault:?}");
        // Whoever was not shown any asks again, and is told of both.
        let shown = if first.status == 201 {
            first
        } else {
            make().await.expect(201)
        };
        let challenge = world.challenge(&person).await;
        let _ = world
            .verify(&challenge, "recovery_code", &before[0])
            .await
            .refused(401, "code-invalid");
        let _ = world
            .verify(&challenge, "recovery_code", &codes(&shown)[0])
            .await
            .expect(200);
        match told(&world, &person, "recovery-codes-made").await {
            1 => mailed_once(&world, fault, &["ann@example.com"]).await,
            _ => mail_what_is_owed(&world).await,
        }
        struck
    })
    .await;
}

#[tokio::test]
async fn an_app_is_removed_once_and_its_person_is_told_once() {
    let world = World::new().await;
    each_that_mails(async |fault| {
        let (person, token, ..) = with_an_app(&world, fault).await;
        let remove = || world.as_user(&token, Method::DELETE, "/v1/factors/totp", None);
        let (struck, first) = fault.strikes(&world, remove()).await;
        let again = remove().await;
        assert!(
            again.status == 204 || again.slug() == "not-found",
            "{fault:?}: {}",
            again.body
        );
        assert!(first.status == 204 || first.status == 503, "{fault:?}");
        assert_eq!(
            told(&world, &person, "factor-removed").await,
            1,
            "{fault:?}"
        );
        mailed_once(&world, fault, &["ann@example.com"]).await;
        struck
    })
    .await;
}

#[tokio::test]
async fn a_language_is_set_once() {
    let world = World::new().await;
    each_of_the_table(async |fault| {
        let (person, token) = somebody(&world, fault).await;
        let patch = || {
            world.as_user(
                &token,
                Method::PATCH,
                "/v1/me",
                Some(json!({"locale": "fr"})),
            )
        };
        let (struck, first) = fault.strikes(&world, patch()).await;
        let again = patch().await.expect(200);
        assert!(first.status >= 400 || first.body == again.body, "{fault:?}");
        assert_eq!(told(&world, &person, "user-changed").await, 1, "{fault:?}");
        struck
    })
    .await;
}

#[tokio::test]
async fn an_own_password_is_changed_once_and_its_person_is_told_once() {
    side_by_side(THAT_MAIL, async |world, fault| {
        let (person, token) = somebody(world, fault).await;
        let patch = || {
            world.as_user(
                &token,
                Method::PATCH,
                "/v1/me",
                Some(json!({"password": NEW, "current_password": PASSWORD})),
            )
        };
        let (struck, first) = fault.strikes(world, patch()).await;
        let done = told(world, &person, "user-changed").await;
        assert!(
            done == 1 || (done == 0 && first.status == 503),
            "{fault:?}: {done}"
        );
        assert!(
            done == 0 || first.status == 200 || fault.may_hide_an_effect(),
            "{fault:?}"
        );
        // Another device is asked for another password only where nobody changed it.
        if done == 0 {
            let _ = patch().await.expect(200);
        }
        mailed_once(world, fault, &["ann@example.com"]).await;
        assert_eq!(told(world, &person, "user-changed").await, 1, "{fault:?}");
        let _ = world
            .login(&person.username, PASSWORD)
            .await
            .refused(401, "invalid-credentials");
        let _ = world.login(&person.username, NEW).await.expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_password_mails_once_for_each_time_that_it_is_told_of() {
    // Everybody waits two seconds for an answer, whoever it was.
    side_by_side(THAT_MAIL, async |world, fault| {
        let (person, _) = somebody(world, fault).await;
        let body = json!({"account": world.account, "username": person.username});
        let ask = async {
            let answer = world.post("/v1/password/forgotten", body.clone()).await;
            if fault.service == Service::Ses {
                // Where the machine is busy there is no time left for the mail, and the clean-up
                // meets the fault.
                world.advance(61);
                let _ = world
                    .send(world.request(Method::POST, "/_local/cleanup"))
                    .await;
            }
            answer
        };
        let (struck, first) = fault.strikes(world, ask).await;
        if first.status == 503 {
            let _ = world.post("/v1/password/forgotten", body).await.expect(202);
        }
        // What took effect though nobody was told is told of and mailed as well: each has its link.
        match told(world, &person, "password-forgotten").await {
            1 => mailed_once(world, fault, &["ann@example.com"]).await,
            times => {
                assert!(
                    times == 2 && first.status == 503 && fault.may_hide_an_effect(),
                    "{fault:?}: {times}"
                );
                mail_what_is_owed(world).await;
            }
        }
        let token = token_of(&world.outbox().await.pop().unwrap());
        let _ = world
            .post("/v1/links/redeem", json!({"token": token}))
            .await
            .expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_new_password_is_set_once_and_its_person_is_told_once() {
    side_by_side(THAT_MAIL, async |world, fault| {
        let (person, _) = somebody(world, fault).await;
        let forgotten = json!({"account": world.account, "username": person.username});
        let _ = world
            .post("/v1/password/forgotten", forgotten)
            .await
            .expect(202);
        // Where the machine is busy there was no time left for the mail, and it is owed.
        mail_what_is_owed(world).await;
        let token = token_of(&world.outbox().await.pop().unwrap());
        let challenge = world
            .post("/v1/links/redeem", json!({"token": token}))
            .await
            .expect(200)
            .text("challenge");
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let _ = world
            .verify(&challenge, "sms", &world.last_code().await)
            .await
            .expect(200);
        empty_the_inbox(world).await;
        let set = || {
            world.post(
                "/v1/password",
                json!({"challenge": challenge, "password": NEW}),
            )
        };
        let (struck, first) = fault.strikes(world, set()).await;
        let again = set().await;
        assert!(
            again.status == 204 || again.slug() == "challenge-used",
            "{fault:?}: {}",
            again.body
        );
        assert!(
            first.status == 204 || first.status == 503,
            "{fault:?}: {}",
            first.body
        );
        assert_eq!(
            told(world, &person, "password-changed").await,
            1,
            "{fault:?}"
        );
        mailed_once(world, fault, &["ann@example.com"]).await;
        let _ = world
            .login(&person.username, PASSWORD)
            .await
            .refused(401, "invalid-credentials");
        let _ = world.login(&person.username, NEW).await.expect(200);
        struck
    })
    .await;
}
