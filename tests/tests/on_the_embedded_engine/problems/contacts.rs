//! What somebody is refused who says that a phone or a mail address is theirs.

use local::{Mode, Service};
use serde_json::{Value, json};
use shared::web::http::{Operation, Slug};
use tests::{PASSWORD, Person, another};

use crate::problems::kba::recipients_token;
use crate::problems::sign_in::LATER;
use crate::problems::walk::{Walk, with};

/// One of the two kinds of contacts, and its routes.
struct ContactKind {
    method: &'static str,
    field: &'static str,
    sender: Service,
    enrol: Operation,
    confirm: Operation,
    remove: Operation,
}

const KINDS: [ContactKind; 2] = [
    ContactKind {
        method: "sms",
        field: "phone",
        sender: Service::Sns,
        enrol: Operation::EnrolPhone,
        confirm: Operation::ConfirmPhone,
        remove: Operation::RemovePhone,
    },
    ContactKind {
        method: "email",
        field: "email",
        sender: Service::Ses,
        enrol: Operation::EnrolMailbox,
        confirm: Operation::ConfirmMailbox,
        remove: Operation::RemoveMailbox,
    },
];

impl ContactKind {
    fn path(&self) -> String {
        format!("/v1/factors/{}", self.method)
    }

    fn end(&self) -> String {
        format!("/v1/factors/{}/confirm", self.method)
    }

    /// A contact of this kind, by number.
    fn contact(&self, number: u32) -> Value {
        let contact = if self.field == "phone" {
            format!("+1303555{:04}", 100 + number)
        } else {
            format!("n{number}@example.org")
        };
        json!({ self.field: contact })
    }

    /// Signs in by this method, an hour after whatever was sent before.
    async fn sign_in(&self, walk: &mut Walk, person: &Person) {
        walk.world.advance(LATER);
        let challenge = walk.world.challenge(person).await;
        let _ = walk.world.issue(&challenge, self.method).await.expect(202);
        let code = walk.world.last_code().await;
        walk.token = walk
            .world
            .verify(&challenge, self.method, &code)
            .await
            .expect(200)
            .text("access_token");
    }

    async fn begun(&self, walk: &Walk, number: u32) -> (String, String) {
        let begun = walk
            .world
            .send(
                walk.ask(self.enrol, &self.path())
                    .json(&self.contact(number)),
            )
            .await
            .expect(202);
        (begun.text("factor"), walk.world.last_code().await)
    }
}

/// What the routes of phones and mail addresses refuse.
pub async fn errors_of_contacts(walk: &mut Walk) {
    let _ = walk
        .world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    for kind in &KINDS {
        let none = if kind.method == "sms" {
            "email"
        } else {
            "phone"
        };
        let person = walk
            .world
            .user(&format!("by-{}", kind.method), json!({ none: null }))
            .await;
        kind.sign_in(walk, &person).await;
        errors_of_anybody(walk, kind).await;
        errors_of_sending(walk, kind).await;
        kind.sign_in(walk, &person).await;
        errors_of_a_code(walk, kind).await;
        kind.sign_in(walk, &person).await;
        errors_of_limits(walk, kind, &person).await;
        kind.sign_in(walk, &person).await;
        errors_of_changes(walk, kind).await;
    }
    errors_of_a_first_sign_in(walk).await;
}

async fn errors_of_anybody(walk: &mut Walk, kind: &ContactKind) {
    let none = json!({"factor": "fac_00000000000000000000000000", "code": "123456"});
    let recipients = recipients_token(&walk.world).await;
    let (path, end) = (kind.path(), kind.end());
    for (operation, path, body) in [
        (kind.enrol, &path, Some(kind.contact(0))),
        (kind.confirm, &end, Some(none.clone())),
        (kind.remove, &path, None),
    ] {
        let body = body.as_ref();
        walk.refuses_without_a_table(operation, path, body).await;
        walk.refuses(
            operation,
            Slug::Unauthorized,
            with(walk.anonymous(operation, path), body),
        )
        .await;
        let by_recipient = walk.anonymous(operation, path).bearer_auth(&recipients);
        walk.refuses(operation, Slug::Forbidden, with(by_recipient, body))
            .await;
        let odd = format!("{path}?colour=red");
        walk.refuses(
            operation,
            Slug::InvalidRequest,
            with(walk.ask(operation, &odd), body),
        )
        .await;
        walk.refuses_what_is_sent(operation, path).await;
    }
    walk.refuses_body(
        kind.enrol,
        Slug::InvalidRequest,
        &path,
        json!({ kind.field: "12" }),
    )
    .await;
    walk.refuses_body(
        kind.confirm,
        Slug::InvalidRequest,
        &end,
        json!({"factor": "app", "code": "123456"}),
    )
    .await;
    walk.refuses_body(kind.confirm, Slug::NotFound, &end, none)
        .await;
    walk.refuses(kind.remove, Slug::LastFactor, walk.ask(kind.remove, &path))
        .await;
}

async fn errors_of_sending(walk: &mut Walk, kind: &ContactKind) {
    let (enrol, path) = (kind.enrol, kind.path());
    walk.fail(kind.sender, Mode::Refused, 0);
    walk.refuses_body(enrol, Slug::SenderUnavailable, &path, kind.contact(0))
        .await;
    walk.mend();
    // A request whose end is not yet written down is still running, as far as anybody can tell.
    let with_key = |walk: &Walk, body: Value| {
        walk.ask(enrol, &path)
            .header("idempotency-key", "\"k1\"")
            .json(&body)
    };
    walk.fail(Service::Dynamodb, Mode::Refused, 2);
    let _ = walk
        .world
        .send(with_key(walk, kind.contact(0)))
        .await
        .expect(202);
    walk.mend();
    walk.refuses(
        enrol,
        Slug::IdempotencyConflict,
        with_key(walk, kind.contact(0)),
    )
    .await;
    walk.refuses(
        enrol,
        Slug::IdempotencyKeyReused,
        with_key(walk, kind.contact(1)),
    )
    .await;
    walk.refuses(
        enrol,
        Slug::InvalidRequest,
        walk.ask(enrol, &path)
            .header("idempotency-key", "\"\"")
            .json(&kind.contact(0)),
    )
    .await;
    walk.refuses_body(enrol, Slug::ResendTooSoon, &path, kind.contact(0))
        .await;
    if kind.method == "sms" {
        walk.refuses_body(
            enrol,
            Slug::DestinationNotAllowed,
            &path,
            json!({"phone": "+33612345678"}),
        )
        .await;
    }
}

async fn errors_of_a_code(walk: &mut Walk, kind: &ContactKind) {
    let (confirm, end) = (kind.confirm, kind.end());
    let (factor, old) = kind.begun(walk, 1).await;
    let body = |code: &str| json!({"factor": factor, "code": code});
    walk.world.advance(30);
    let (_, code) = kind.begun(walk, 1).await;
    walk.refuses_body(confirm, Slug::CodeSuperseded, &end, body(&old))
        .await;
    for _ in 0..4 {
        walk.refuses_body(confirm, Slug::CodeInvalid, &end, body(&another(&code)))
            .await;
    }
    walk.refuses_body(confirm, Slug::TooManyAttempts, &end, body(&code))
        .await;
    walk.world.advance(60);
    let (factor, code) = kind.begun(walk, 2).await;
    walk.world.advance(300);
    walk.refuses_body(
        confirm,
        Slug::CodeExpired,
        &end,
        json!({"factor": factor, "code": code}),
    )
    .await;
    // Five minutes are over for whatever is begun now.
    let stale = Slug::FreshSecondFactorRequired;
    walk.refuses_body(kind.enrol, stale, &kind.path(), kind.contact(3))
        .await;
    let none = json!({"factor": "fac_00000000000000000000000000", "code": "123456"});
    walk.refuses_body(confirm, stale, &end, none).await;
    walk.refuses(kind.remove, stale, walk.ask(kind.remove, &kind.path()))
        .await;
}

async fn errors_of_limits(walk: &mut Walk, kind: &ContactKind, person: &Person) {
    let user = walk.world.stored(person).await;
    let own = json!({ kind.field: if kind.field == "phone" { user.phone } else { user.email } });
    // Of the five in ten minutes that one's own contact is sent, one went to sign in. What is
    // proved has nothing to wait for.
    for _ in 0..4 {
        let begun = walk
            .world
            .send(walk.ask(kind.enrol, &kind.path()).json(&own))
            .await
            .expect(202);
        let body = json!({"factor": begun.text("factor"), "code": walk.world.last_code().await});
        let _ = walk
            .world
            .send(walk.ask(kind.confirm, &kind.end()).json(&body))
            .await
            .expect(200);
    }
    walk.refuses_body(kind.enrol, Slug::TooManySends, &kind.path(), own.clone())
        .await;
    for _ in 0..2 {
        let challenge = walk.world.challenge(person).await;
        for _ in 0..5 {
            let _ = walk
                .world
                .verify(&challenge, kind.method, "000000")
                .await
                .refused(401, "code-invalid");
        }
    }
    walk.refuses_body(kind.enrol, Slug::TooManyAttempts, &kind.path(), own)
        .await;
}

async fn errors_of_changes(walk: &mut Walk, kind: &ContactKind) {
    let token = walk.token.clone();
    let _ = walk.world.enrol(&token).await;
    let removed = walk.world.send(walk.ask(kind.remove, &kind.path())).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    walk.refuses(
        kind.remove,
        Slug::NotFound,
        walk.ask(kind.remove, &kind.path()),
    )
    .await;
    walk.refuses(
        Operation::RemoveApp,
        Slug::LastFactor,
        walk.ask(Operation::RemoveApp, "/v1/factors/totp"),
    )
    .await;
    for number in 0..2 {
        let (factor, code) = kind.begun(walk, 30 + number).await;
        let body = json!({"factor": factor, "code": code});
        let _ = walk
            .world
            .send(walk.ask(kind.confirm, &kind.end()).json(&body))
            .await
            .expect(200);
    }
    walk.refuses_body(
        kind.enrol,
        Slug::TooManyChanges,
        &kind.path(),
        kind.contact(32),
    )
    .await;
    walk.refuses(
        kind.remove,
        Slug::TooManyChanges,
        walk.ask(kind.remove, &kind.path()),
    )
    .await;
}

async fn errors_of_a_first_sign_in(walk: &mut Walk) {
    let [kind, _] = &KINDS;
    let (path, end) = (kind.path(), kind.end());
    let _ = walk
        .world
        .user("newcomer", json!({"phone": null, "email": null}))
        .await;
    let begin = |challenge: &str| json!({"challenge": challenge, "phone": "+13035550199"});
    let challenge = walk
        .world
        .login("newcomer", PASSWORD)
        .await
        .expect(200)
        .text("challenge");
    let begun = walk.world.post(&path, begin(&challenge)).await.expect(202);
    let code = walk.world.last_code().await;
    let confirm = |challenge: &str| json!({"challenge": challenge, "factor": begun.text("factor"), "code": code});
    walk.refuses_body(
        kind.enrol,
        Slug::ChallengeUnknown,
        &path,
        begin("chl_x.y.z"),
    )
    .await;
    walk.refuses_body(
        kind.confirm,
        Slug::ChallengeUnknown,
        &end,
        confirm("chl_x.y.z"),
    )
    .await;
    let _ = walk
        .world
        .settings(json!({"second_factor": {"methods": {"sms": false}}}))
        .await;
    walk.refuses_body(kind.enrol, Slug::MethodNotEnabled, &path, begin(&challenge))
        .await;
    walk.refuses_body(
        kind.confirm,
        Slug::MethodNotEnabled,
        &end,
        confirm(&challenge),
    )
    .await;
    let _ = walk
        .world
        .settings(json!({"second_factor": {"methods": {"sms": true}}}))
        .await;
    let _ = walk.world.post(&end, confirm(&challenge)).await.expect(200);
    walk.refuses_body(kind.enrol, Slug::ChallengeUsed, &path, begin(&challenge))
        .await;
    walk.refuses_body(kind.confirm, Slug::ChallengeUsed, &end, confirm(&challenge))
        .await;
    let over = walk
        .world
        .login("newcomer", PASSWORD)
        .await
        .expect(200)
        .text("challenge");
    walk.world.advance(600);
    walk.refuses_body(kind.enrol, Slug::ChallengeExpired, &path, begin(&over))
        .await;
    walk.refuses_body(kind.confirm, Slug::ChallengeExpired, &end, confirm(&over))
        .await;
}
