//! What an operator does to an account, and a help desk to its users: all of a change or nothing of
//! it, and told of once.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, PASSWORD, Person, World};

use crate::faults::harness::{
    Fault, OF_THE_TABLE, THAT_MAIL, empty_the_inbox, fresh, mailed_once, side_by_side, times,
    written_since,
};

const NEW: &str = "a horse of another colour";

/// What was written, but for a mail that is still owed, which is sent and settled after the change,
/// and the log of notices: `mailed_once` says of both that they are told once.
async fn changes(world: &World, before: &BTreeMap<String, Value>) -> Vec<String> {
    let mut written = written_since(world, before).await;
    written.retain(|change| change != "+ OUTBOX MAIL" && !change.ends_with(" OUTBOX NOTICES"));
    written
}

/// Makes a request while something goes wrong: it writes all of this, or, where it is refused,
/// nothing. Whether it struck, what was answered, and whether it took effect.
async fn whole(
    world: &World,
    fault: Fault,
    before: &BTreeMap<String, Value>,
    ask: impl Future<Output = Answer>,
    all: &[&str],
) -> (bool, Answer, bool) {
    let (struck, first) = fault.strikes(world, ask).await;
    let written = changes(world, before).await;
    let is_done = first.status < 400 || (fault.may_hide_an_effect() && !written.is_empty());
    assert_eq!(
        written,
        if is_done { all } else { &[] },
        "{fault:?}: {}",
        first.body
    );
    (struck, first, is_done)
}

/// Asks again for what may be asked for twice: by now it is done, and was done once.
async fn once(
    world: &World,
    fault: Fault,
    before: &BTreeMap<String, Value>,
    again: impl Future<Output = Answer>,
    all: &[&str],
) -> Answer {
    let again = again.await;
    assert_eq!(
        changes(world, before).await,
        all,
        "{fault:?}: {}",
        again.body
    );
    again
}

fn name(fault: Fault, noun: &str) -> String {
    fresh(fault, noun).to_lowercase()
}

async fn told(world: &World, subject: &str, action: &str) -> usize {
    times(&world.actions(subject).await, action)
}

#[tokio::test]
async fn an_account_is_opened_whole() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let before = world.content().await;
        let open = || {
            world.operator(
                Method::POST,
                "/v1/accounts",
                Some(json!({"name": name(fault, "org"), "plan": "business"})),
            )
        };
        let all = ["+ ACCOUNT ACCOUNT", "+ AUDIT"];
        let (struck, first, _) = whole(world, fault, &before, open(), &all).await;
        // There is no key to it: whoever was told of none opens another.
        let opened = if first.status == 201 {
            first
        } else {
            open().await.expect(201)
        };
        let path = format!("/v1/accounts/{}", opened.text("id"));
        assert_eq!(
            world
                .operator(Method::GET, &path, None)
                .await
                .expect(200)
                .body,
            opened.body,
            "{fault:?}"
        );
        let audit = format!("/v1/audit?account={0}&subject={0}", opened.text("id"));
        let entries = world
            .operator(Method::GET, &audit, None)
            .await
            .expect(200)
            .body["entries"]
            .clone();
        assert_eq!(
            (entries.as_array().unwrap().len(), &entries[0]["action"]),
            (1, &json!("account-created")),
            "{fault:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn an_account_is_changed_once() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (before, path) = (
            world.content().await,
            format!("/v1/accounts/{}", world.account),
        );
        let patch = || {
            world.operator(
                Method::PATCH,
                &path,
                Some(json!({"name": name(fault, "org")})),
            )
        };
        let all = ["+ AUDIT", "~ ACCOUNT ACCOUNT"];
        let (struck, first, _) = whole(world, fault, &before, patch(), &all).await;
        let again = once(world, fault, &before, patch(), &all).await.expect(200);
        assert!(first.status >= 400 || first.body == again.body, "{fault:?}");
        assert_eq!(
            world
                .operator(Method::GET, &path, None)
                .await
                .expect(200)
                .body,
            again.body,
            "{fault:?}"
        );
        struck
    })
    .await;
}

/// The ids of an account's keys.
async fn keys(world: &World) -> Vec<Value> {
    let path = format!("/v1/accounts/{}/api-keys", world.account);
    let listed = world
        .operator(Method::GET, &path, None)
        .await
        .expect(200)
        .body;
    listed["api_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["id"].clone())
        .collect()
}

async fn shown_settings(world: &World, key: &str) -> Answer {
    world
        .send(world.request(Method::GET, "/v1/settings").bearer_auth(key))
        .await
}

#[tokio::test]
async fn a_key_is_made_whole_and_opens() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (before, listed) = (world.content().await, keys(world).await.len());
        let path = format!("/v1/accounts/{}/api-keys", world.account);
        let make = || {
            world.operator(
                Method::POST,
                &path,
                Some(json!({"name": "portal", "scopes": ["settings:write"]})),
            )
        };
        let all = ["+ AUDIT", "+ KEYS KEY", "~ ACCOUNT ACCOUNT"];
        let (struck, first, is_done) = whole(world, fault, &before, make(), &all).await;
        assert_eq!(
            keys(world).await.len(),
            listed + usize::from(is_done),
            "{fault:?}"
        );
        // Shown once: whoever was shown none makes another, and revokes the one that is listed and
        // unknown.
        let made = if first.status == 201 {
            first
        } else {
            make().await.expect(201)
        };
        assert!(keys(world).await.contains(&made.body["id"]), "{fault:?}");
        let _ = shown_settings(world, &made.text("key")).await.expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_key_is_revoked_once_and_opens_nothing() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let path = format!("/v1/accounts/{}/api-keys", world.account);
        let body = json!({"name": "portal", "scopes": ["settings:write"]});
        let made = world
            .operator(Method::POST, &path, Some(body))
            .await
            .expect(201);
        let (before, path) = (world.content().await, format!("{path}/{}", made.text("id")));
        let revoke = || world.operator(Method::DELETE, &path, None);
        let all = ["+ AUDIT", "- KEYS KEY", "~ ACCOUNT ACCOUNT"];
        let (struck, _, is_done) = whole(world, fault, &before, revoke(), &all).await;
        let again = once(world, fault, &before, revoke(), &all).await;
        assert_eq!(again.status, if is_done { 404 } else { 204 }, "{fault:?}");
        let _ = shown_settings(world, &made.text("key"))
            .await
            .refused(401, "unauthorized");
        assert!(!keys(world).await.contains(&made.body["id"]), "{fault:?}");
        struck
    })
    .await;
}

/// The path of a user.
fn of(person: &Person) -> String {
    format!("/v1/users/{}", person.id)
}

#[tokio::test]
async fn a_user_is_made_whole() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let (before, username) = (world.content().await, name(fault, "ann"));
        let body = json!({"username": username, "kind": "external", "password": PASSWORD, "phone": "+12025550100",
            "sso_subject": name(fault, "subject")});
        let make = || world.backend(Method::POST, "/v1/users", Some(body.clone()));
        let all = ["+ AUDIT", "+ NAME NAME", "+ SSO SSO", "+ USER USER"];
        let (struck, first, is_done) = whole(world, fault, &before, make(), &all).await;
        let again = once(world, fault, &before, make(), &all).await;
        let found = match (first.status, is_done) {
            (201, _) => first,
            (_, false) => again.expect(201),
            (_, true) => {
                let _ = again.refused(409, "username-taken");
                let listed = world.backend(Method::GET, "/v1/users", None).await.expect(200).body["users"].clone();
                let place = listed.as_array().unwrap().iter().position(|user| user["username"] == username.as_str()).unwrap();
                Answer { body: listed[place].clone(), ..world.get("/health").await }
            }
        };
        let person = Person { id: found.text("id"), username };
        assert_eq!(world.backend(Method::GET, &of(&person), None).await.expect(200).body["username"], person.username.as_str());
        assert_eq!(told(world, &person.id, "user-created").await, 1, "{fault:?}");
        let _ = world.challenge(&person).await;
        struck
    })
    .await;
}

#[tokio::test]
async fn a_user_is_renamed_once_with_all_that_names_them() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        world.advance(3_600);
        let ann = world.user(&name(fault, "ann"), json!({"sso_subject": name(fault, "old")})).await;
        let (before, renamed) = (world.content().await, name(fault, "bea"));
        let body = json!({"username": renamed, "sso_subject": name(fault, "new"), "phone": "+12025550111"});
        let patch = async || world.backend(Method::PATCH, &of(&ann), Some(body.clone())).await;
        let all = ["+ AUDIT", "+ NAME NAME", "+ SSO SSO", "- NAME NAME", "- SSO SSO", "~ USER USER"];
        let (struck, first, _) = whole(world, fault, &before, patch(), &all).await;
        let again = once(world, fault, &before, patch(), &all).await.expect(200);
        assert!(first.status >= 400 || first.body == again.body, "{fault:?}");
        assert_eq!(world.backend(Method::GET, &of(&ann), None).await.expect(200).body, again.body, "{fault:?}");
        let _ = world.challenge(&Person { id: ann.id.clone(), username: renamed }).await;
        let _ = world.login(&ann.username, PASSWORD).await.refused(401, "invalid-credentials");
        struck
    })
    .await;
}

#[tokio::test]
async fn a_user_is_given_a_password_whole_and_told_of_it_once() {
    side_by_side(THAT_MAIL, async |world, fault| {
        world.advance(3_600);
        let ann = world
            .user(&name(fault, "ann"), json!({"email": "ann@example.com"}))
            .await;
        empty_the_inbox(world).await;
        let before = world.content().await;
        let patch = async || {
            world
                .backend(Method::PATCH, &of(&ann), Some(json!({"password": NEW})))
                .await
        };
        let all = ["+ AUDIT", "~ NAME NAME", "~ USER USER"];
        let (struck, _, is_done) = whole(world, fault, &before, patch(), &all).await;
        if !is_done {
            let _ = patch().await.expect(200);
        }
        assert_eq!(told(world, &ann.id, "user-changed").await, 1, "{fault:?}");
        mailed_once(world, fault, &["ann@example.com"]).await;
        let _ = world
            .login(&ann.username, PASSWORD)
            .await
            .refused(401, "invalid-credentials");
        let _ = world.login(&ann.username, NEW).await.expect(200);
        struck
    })
    .await;
}

#[tokio::test]
async fn a_user_is_deleted_once_with_all_that_names_them() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        let subject = json!({"sso_subject": name(fault, "subject")});
        let ann = world.user(&name(fault, "ann"), subject.clone()).await;
        let before = world.content().await;
        let delete = async || world.backend(Method::DELETE, &of(&ann), None).await;
        let all = ["+ AUDIT", "- NAME NAME", "- SSO SSO", "- USER USER"];
        let (struck, _, is_done) = whole(world, fault, &before, delete(), &all).await;
        let again = once(world, fault, &before, delete(), &all).await;
        assert_eq!(again.status, if is_done { 404 } else { 204 }, "{fault:?}");
        let _ = world
            .backend(Method::GET, &of(&ann), None)
            .await
            .refused(404, "not-found");
        // Both names are anybody's to take.
        let _ = world.user(&ann.username, subject).await;
        struck
    })
    .await;
}

#[tokio::test]
async fn a_user_is_unlocked_whole() {
    side_by_side(OF_THE_TABLE, async |world, fault| {
        world.advance(3_600);
        let ann = world.user(&name(fault, "ann"), json!({})).await;
        let challenge = world.challenge(&ann).await;
        let _ = world
            .verify(&challenge, "sms", "000000")
            .await
            .refused(401, "code-invalid");
        let _ = world
            .login(&ann.username, "a wrong password")
            .await
            .refused(401, "invalid-credentials");
        let before = world.content().await;
        let unlock = async || {
            world
                .backend(Method::POST, &format!("{}/unlock", of(&ann)), None)
                .await
        };
        let all = ["+ AUDIT", "- NAME FAILURES", "~ USER USER"];
        let (struck, first, is_done) = whole(world, fault, &before, unlock(), &all).await;
        let is_refused = first.status != 200;
        let shown = if is_refused {
            unlock().await.expect(200)
        } else {
            first
        };
        assert_eq!(shown.body["locks"], json!([]), "{fault:?}");
        // Each unlocking is told of: where the first was not answered, there was another.
        let expected = usize::from(is_done) + usize::from(is_refused);
        assert_eq!(
            told(world, &ann.id, "user-unlocked").await,
            expected,
            "{fault:?}"
        );
        struck
    })
    .await;
}

#[tokio::test]
async fn an_app_is_reset_once_and_its_person_is_told_once() {
    side_by_side(THAT_MAIL, async |world, fault| {
        world.advance(3_600);
        let ann = world
            .user(&name(fault, "ann"), json!({"email": "ann@example.com"}))
            .await;
        let token = world.token(&ann).await;
        let _ = world.enrol(&token).await;
        empty_the_inbox(world).await;
        let path = format!("{}/factors/totp", of(&ann));
        let reset = || world.send(world.request(Method::DELETE, &path).bearer_auth(&world.key));
        let (struck, first) = fault.strikes(world, reset()).await;
        let done = told(world, &ann.id, "factor-reset").await;
        assert!(
            done == 1 || (done == 0 && first.status == 503),
            "{fault:?}: {done}"
        );
        assert!(
            first.status != 503 || done == 0 || fault.may_hide_an_effect(),
            "{fault:?}"
        );
        if done == 0 {
            let _ = reset().await.expect(204);
        }
        mailed_once(world, fault, &["ann@example.com"]).await;
        assert_eq!(told(world, &ann.id, "factor-reset").await, 1, "{fault:?}");
        assert_eq!(
            world
                .as_user(&token, Method::GET, "/v1/me", None)
                .await
                .status,
            401,
            "{fault:?}: what was open is over"
        );
        struck
    })
    .await;
}
