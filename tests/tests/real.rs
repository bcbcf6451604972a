//! The flows against components that we did not write: moto's SES v2, SNS and Secrets Manager, and
//! whichever DynamoDB is named. `infra/scripts/real-components` starts what it needs. Nothing is
//! skipped: a variable that is missing is a failure.
//!
//! Alone in this file: it is built with the feature `real` alone.

use std::process::Command;
use tests::path;

use aws_sdk_secretsmanager::Client as Secrets;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use shared::agreement::kba::webhook;
use shared::agreement::provider::CachedSecret;
use shared::kernel::clock::{Clock, Span};
use shared::kernel::config::env;
use shared::kernel::keyring::{self, Keyrings};
use tests::agreements::{agreement, buy, complete, open, person, send_with};
use tests::{World, another};

fn named(variable: &str) -> String {
    env(variable).unwrap_or_else(|| panic!("{variable} is not set"))
}

/// A world whose messages go to moto.
async fn world() -> World {
    world_with(|_| {}).await
}

async fn world_with(change: impl FnOnce(&mut local::Options)) -> World {
    let _ = named("COUNTERSIGN_DYNAMODB_ENDPOINT");
    World::with(|options| {
        change(options);
        options.ses_endpoint = Some(named("COUNTERSIGN_SES_ENDPOINT"));
        options.sns_endpoint = Some(named("COUNTERSIGN_SNS_ENDPOINT"));
        options.config.mail_from = Some("no-reply@countersign.example".into());
    })
    .await
}

/// What moto took for sending, of one kind.
async fn taken(service: &str, kind: &str) -> Vec<Value> {
    let url = format!("{}/moto-api/data.json", named("COUNTERSIGN_SES_ENDPOINT"));
    let all: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    all[service][kind].as_array().cloned().unwrap_or_default()
}

/// The last mail to an address, as moto took it.
async fn last_mail(to: &str) -> String {
    let mails = taken("ses", "Message").await;
    let mail = mails
        .iter()
        .rfind(|mail| mail["destinations"]["ToAddresses"][0] == to);
    mail.unwrap_or_else(|| panic!("nothing was mailed to {to}"))["body"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The token of the link in the last mail to an address.
async fn last_link(to: &str) -> String {
    let text = last_mail(to).await;
    let token = text
        .split("/link#")
        .nth(1)
        .unwrap_or_else(|| panic!("no link in {text}"));
    token
        .split(|letter: char| !letter.is_ascii_alphanumeric() && !"_-.".contains(letter))
        .next()
        .unwrap()
        .to_owned()
}

/// The code in the last text to a number.
async fn last_code(to: &str) -> String {
    let texts = taken("sns", "SMS").await;
    let text = texts
        .iter()
        .rfind(|text| text["phone_number"] == to)
        .unwrap();
    last_digits(text["message"].as_str().unwrap(), 6)
}

/// moto's Secrets Manager.
fn secrets() -> Secrets {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .endpoint_url(named("COUNTERSIGN_SECRETS_ENDPOINT"));
    Secrets::from_conf(config.build())
}

fn last_digits(text: &str, length: usize) -> String {
    text.rsplit(|c: char| !c.is_ascii_digit())
        .find(|run| run.len() == length)
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_code_by_sms_goes_through_sns() {
    let world = world().await;
    let ann = world.user("ann", json!({"phone": "+12025550171"})).await;
    let challenge = world.challenge(&ann).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let texts = taken("sns", "SMS").await;
    let text = texts
        .iter()
        .rfind(|text| text["phone_number"] == "+12025550171")
        .unwrap();
    let code = last_digits(text["message"].as_str().unwrap(), 6);
    let _ = world
        .verify(&challenge, "sms", &another(&code))
        .await
        .refused(401, "code-invalid");
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(world.actions(&ann.id).await.len(), 5);
}

#[tokio::test]
async fn a_code_by_mail_goes_through_ses() {
    let world = world().await;
    let _ = world
        .settings(json!({"second_factor": {"methods": {"email": true}}}))
        .await;
    let ben = world
        .user("ben", json!({"email": "ben.of.moto@example.com"}))
        .await;
    let challenge = world.challenge(&ben).await;
    let _ = world.issue(&challenge, "email").await.expect(202);
    let mails = taken("ses", "Message").await;
    let mail = mails
        .iter()
        .rfind(|mail| mail["destinations"]["ToAddresses"][0] == "ben.of.moto@example.com")
        .unwrap();
    assert_eq!(mail["source"], "no-reply@countersign.example");
    let code = last_digits(mail["body"].as_str().unwrap(), 8);
    assert_eq!(
        world
            .verify(&challenge, "email", &code)
            .await
            .expect(200)
            .body["acr"],
        "two-factor-email"
    );
}

#[tokio::test]
async fn the_keyring_that_the_command_made_is_read_from_secrets_manager() {
    let now = Clock::system().now();
    let keyrings = Keyrings::in_secret(secrets(), named("COUNTERSIGN_KEYRING_SECRET_ID"), now)
        .await
        .unwrap();
    let keyring = keyrings.current(now).await;
    let sealed = keyring.seal(b"secret", b"context", now).unwrap();
    assert_eq!(
        keyring.open(&sealed, b"context").unwrap().expose(),
        b"secret"
    );
    let later = now.plus(shared::kernel::keyring::REREAD_AFTER);
    assert_eq!(
        keyrings
            .current(later)
            .await
            .open(&sealed, b"context")
            .unwrap()
            .expose(),
        b"secret"
    );
    assert_eq!(keyring.public_keys().count(), 1);
}

#[tokio::test]
async fn a_forgotten_password_is_mailed_through_ses_and_told_of() {
    let world = world().await;
    let (mail, phone) = ("forgetful@moto.example", "+12025550172");
    let _ = world
        .user("forgetful", json!({"email": mail, "phone": phone}))
        .await;
    let asked = json!({"account": world.account, "username": "forgetful"});
    let _ = world
        .post("/v1/password/forgotten", asked)
        .await
        .expect(202);
    let challenge = open(&world, &last_link(mail).await)
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let proved = world
        .verify(&challenge, "sms", &last_code(phone).await)
        .await
        .expect(200);
    let new = json!({"challenge": proved.text("challenge"), "password": "another horse battery"});
    let _ = world.post("/v1/password", new).await.expect(204);
    let _ = world
        .login("forgetful", "another horse battery")
        .await
        .expect(200);
    assert!(
        !last_mail(mail).await.contains("/link#"),
        "the last mail tells that the password is new"
    );
}

#[tokio::test]
async fn a_link_goes_through_ses_its_code_through_sns_and_both_mailboxes_are_told_of_a_change() {
    let world = world().await;
    let (mail, other, phone) = (
        "linked@moto.example",
        "linked.anew@moto.example",
        "+12025550174",
    );
    let linked = world
        .user("linked", json!({"email": mail, "phone": phone}))
        .await;
    let _ = world
        .backend(Method::POST, "/v1/links", Some(json!({"user": linked.id})))
        .await
        .expect(202);
    let challenge = open(&world, &last_link(mail).await)
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let proved = world
        .verify(&challenge, "sms", &last_code(phone).await)
        .await
        .expect(200);
    assert_eq!(proved.body["acr"], "two-factor");
    let token = proved.text("access_token");
    let begun = world
        .as_user(
            &token,
            Method::POST,
            "/v1/factors/email",
            Some(json!({"email": other})),
        )
        .await
        .expect(202);
    let length = usize::try_from(begun.body["code_length"].as_u64().unwrap()).unwrap();
    let body = json!({"factor": begun.text("factor"), "code": last_digits(&last_mail(other).await, length)});
    let _ = world
        .as_user(
            &token,
            Method::POST,
            "/v1/factors/email/confirm",
            Some(body),
        )
        .await
        .expect(200);
    // Neither of them holds the way in that the first mail was: the new one has its code alone, and
    // the one before is told.
    for mailbox in [mail, other] {
        let told = last_mail(mailbox).await;
        assert!(!told.contains("/link#") && told.contains("Alder"), "{told}");
    }
}

#[tokio::test]
async fn an_agreements_mails_go_through_ses_and_a_recipients_code_through_sns() {
    let world = world().await;
    let _ = world
        .settings(json!({"kba": {"enabled": true, "max_attempts": 1}}))
        .await;
    buy(&world, 10).await;
    let (texted, asked) = (person(181, "sms"), person(182, "kba"));
    let sent = send_with(&world, "\"moto\"", &agreement(&json!([texted])))
        .await
        .expect(201);
    let challenge = open(&world, &last_link("r181@example.com").await)
        .await
        .expect(200)
        .text("challenge");
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let code = last_code("+12025550181").await;
    assert_eq!(
        world
            .verify(&challenge, "sms", &code)
            .await
            .expect(200)
            .body["acr"],
        "two-factor"
    );
    let first = last_link("r181@example.com").await;
    let _ = complete(&world, &sent, 0).await.expect(200);
    let _ = open(&world, &last_link("r181@example.com").await)
        .await
        .expect(200);
    assert_ne!(
        last_link("r181@example.com").await,
        first,
        "the signed agreement has a link of its own"
    );

    let sent = send_with(&world, "\"failed\"", &agreement(&json!([asked])))
        .await
        .expect(201);
    let challenge = open(&world, &last_link("r182@example.com").await)
        .await
        .expect(200)
        .text("challenge");
    let session = world.session(&challenge).await;
    world.provider_says(&session, "failed").await;
    let told = last_mail("sales@alder.example").await;
    assert!(
        told.contains("Person 182") && told.contains("Lease"),
        "{told}"
    );
    let path = format!("/v1/agreements/{}", sent.text("id"));
    assert_eq!(
        world
            .backend(Method::GET, &path, None)
            .await
            .expect(200)
            .body["status"],
        "cancelled"
    );
}

#[tokio::test]
async fn the_providers_secrets_are_read_from_secrets_manager_and_read_again_when_they_change() {
    let client = secrets();
    let whsec = |fill: u8| format!("whsec_{}", STANDARD.encode([fill; 32]));
    let keep = async |name: &str, value: String| {
        let _ = client.create_secret().name(name).send().await;
        client
            .put_secret_value()
            .secret_id(name)
            .secret_string(value)
            .send()
            .await
            .unwrap();
    };
    keep("countersign-provider-api", " prv_one\n".into()).await;
    keep(
        "countersign-provider-webhook",
        json!([whsec(1)]).to_string(),
    )
    .await;
    let now = Clock::system().now();
    let api = CachedSecret::api_secret(client.clone(), "countersign-provider-api".into());
    assert_eq!(api.current(now).await.unwrap().expose(), "prv_one");
    let held = CachedSecret::webhook_secrets(client.clone(), "countersign-provider-webhook".into());
    let signed_with = async |fill: u8, at| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[fill; 32]);
        let timestamp = shared::kernel::clock::Timestamp::as_secs(at).to_string();
        let tag = aws_lc_rs::hmac::sign(&key, format!("msg_1.{timestamp}.{{}}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(tag));
        let headers = webhook::Headers {
            id: "msg_1",
            timestamp: &timestamp,
            signature: &signature,
        };
        held.current(at)
            .await
            .unwrap()
            .verify(headers, b"{}", at)
            .is_ok()
    };
    assert!(signed_with(1, now).await && !signed_with(2, now).await);
    keep(
        "countersign-provider-webhook",
        json!([whsec(2), whsec(1)]).to_string(),
    )
    .await;
    let later = now.plus(Span::minutes(10));
    assert!(
        signed_with(1, later).await && signed_with(2, later).await,
        "while both are there, both hold"
    );
    keep(
        "countersign-provider-webhook",
        json!([whsec(2)]).to_string(),
    )
    .await;
    let later = later.plus(Span::minutes(10));
    assert!(!signed_with(1, later).await && signed_with(2, later).await);
    keep("countersign-provider-api", String::from("prv_two")).await;
    assert_eq!(api.current(later).await.unwrap().expose(), "prv_two");
}

/// The key that a token is signed with.
fn key_of(token: &str) -> String {
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_rotation_signs_nobody_out_of_an_environment_that_runs() {
    let (client, name) = (secrets(), "countersign-keyring-in-use");
    let now = Clock::system().now();
    let made = keyring::make(
        now.minus(Span::hours(5)),
        &shared::kernel::entropy::Entropy::system(),
    )
    .unwrap();
    client
        .create_secret()
        .name(name)
        .secret_string(made.expose())
        .send()
        .await
        .unwrap();
    let keyrings = Keyrings::in_secret(client.clone(), name.into(), now)
        .await
        .unwrap();
    let world = world_with(|options| {
        options.keyrings = Some(keyrings);
        options.clock = Clock::fixed_at(now);
    })
    .await;
    let phone = "+12025550173";
    let ann = world.user("ann", json!({"phone": phone})).await;
    let signed_in = async || {
        let challenge = world.challenge(&ann).await;
        let _ = world.issue(&challenge, "sms").await.expect(202);
        let code = last_code(phone).await;
        world
            .verify(&challenge, "sms", &code)
            .await
            .expect(200)
            .text("access_token")
    };
    let me = async |token: &str| {
        world
            .send(world.request(Method::GET, "/v1/me").bearer_auth(token))
            .await
    };
    let before = signed_in().await;
    let _ = me(&before).await.expect(200);

    let operate = Command::new(named("COUNTERSIGN_OPERATE"))
        .args([
            "--endpoint-url",
            &named("COUNTERSIGN_SECRETS_ENDPOINT"),
            "keyring",
            "rotate",
            "--secret-id",
            name,
        ])
        .output()
        .unwrap();
    assert!(
        operate.status.success(),
        "{}",
        String::from_utf8_lossy(&operate.stderr)
    );

    // A code that was sent before the keyring is read again is checked after, and so is a token.
    world.advance(9 * 60);
    let challenge = world.challenge(&ann).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    world.advance(2 * 60);
    let after = world
        .verify(&challenge, "sms", &last_code(phone).await)
        .await
        .expect(200)
        .text("access_token");
    assert_eq!(
        key_of(&after),
        key_of(&before),
        "a new key is published before anything is signed with it"
    );
    let _ = me(&before).await.expect(200);
    let published = world.get("/.well-known/jwks.json").await.expect(200).body;
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);

    world.advance(3 * 3600);
    let anew = signed_in().await;
    assert_ne!(key_of(&anew), key_of(&before));
    let _ = me(&anew).await.expect(200);
    assert!(
        published["keys"]
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["kid"] == key_of(&anew))
    );
}

/// Runs a command on the table: what it printed where it succeeded, what it complained of where it
/// did not.
fn operate(arguments: &[&str]) -> Result<String, String> {
    let endpoint = named("COUNTERSIGN_DYNAMODB_ENDPOINT");
    let output = Command::new(named("COUNTERSIGN_OPERATE"))
        .args(["--endpoint-url", &endpoint])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

#[tokio::test]
async fn a_ledger_is_spread_set_right_and_held_against_itself_by_the_commands() {
    let world = world().await;
    let _ = world.settings(json!({"kba": {"enabled": true}})).await;
    buy(&world, 10).await;
    let _ = send_with(
        &world,
        "\"operate\"",
        &agreement(&json!([person(183, "kba")])),
    )
    .await
    .expect(201);
    let (table, account) = (world.stack.table().name(), world.account.as_str());
    let shards = |shards| {
        operate(&[
            "quota",
            "shards",
            "--table",
            table,
            "--account",
            account,
            "--shards",
            shards,
        ])
    };
    assert!(shards("9").unwrap_err().contains("1 to 8 shards"));
    assert!(shards("4").unwrap().contains("has 4 shards"));
    let correct = |transactions| {
        let what = [
            "--id",
            "ticket-1",
            "--transactions",
            transactions,
            "--reason",
            "entered twice",
        ];
        operate(
            &[
                ["quota", "correct", "--table", table, "--account", account].as_slice(),
                &what,
            ]
            .concat(),
        )
    };
    assert!(correct("-1").unwrap().contains("-1 transactions, entered"));
    assert!(correct("-1").unwrap().contains("was entered before"));
    assert!(correct("-2").unwrap_err().contains("another number"));
    assert_eq!(
        tests::agreements::quota(&world).await,
        (8, 1, 0),
        "a correction counts once"
    );
    let reconcile =
        |account: &[&str]| operate(&[["reconcile", "--table", table].as_slice(), account].concat());
    for of in [[].as_slice(), &["--account", account]] {
        let told = reconcile(of).unwrap();
        assert!(
            told.contains("9 = 8 + 1 + 0") && told.contains("1 accounts, 0 that do not agree"),
            "{told}"
        );
    }
    let shard = shared::store::dynamo::keys::balance(account.parse().unwrap(), 2);
    let spoilt = shared::store::dynamo::Update::of(shard).add(path("available"), 1);
    world
        .stack
        .table()
        .transact(vec![spoilt.into()])
        .await
        .unwrap();
    let told = reconcile(&[]).unwrap_err();
    assert!(
        told.contains("DOES NOT AGREE") && told.contains("1 accounts, 1 that do not agree"),
        "{told}"
    );
}

#[tokio::test]
async fn a_report_is_verified_by_the_command_with_the_file_and_the_keys_alone() {
    let world = world().await;
    let sent = send_with(
        &world,
        "\"verify\"",
        &agreement(&json!([person(184, "none")])),
    )
    .await
    .expect(201);
    let path = format!("/v1/agreements/{}/audit", sent.text("id"));
    let keep = |name: &str, text: &str| {
        let file = format!("{}/{}-{name}", env!("CARGO_TARGET_TMPDIR"), world.account);
        std::fs::write(&file, text).unwrap();
        file
    };
    let jwks = keep(
        "jwks.json",
        &world
            .get("/.well-known/jwks.json")
            .await
            .expect(200)
            .body
            .to_string(),
    );
    let verify = |file: &str| operate(&["verify-report", "--file", file, "--jwks", &jwks]);
    let mut report = world
        .backend(Method::GET, &path, None)
        .await
        .expect(200)
        .body;
    let told = verify(&keep("report.json", &report.to_string())).unwrap();
    assert!(told.contains("1 entries as they were signed"), "{told}");
    report["agreement"]["title"] = json!("Sale");
    let told = verify(&keep("altered.json", &report.to_string())).unwrap_err();
    assert!(told.contains("is not what was signed"), "{told}");
    for accept in ["text/csv", "text/html"] {
        let request = world
            .request(Method::GET, &path)
            .bearer_auth(&world.key)
            .header("accept", accept);
        let told = verify(&keep(
            "report.other",
            &request.send().await.unwrap().text().await.unwrap(),
        ))
        .unwrap_err();
        assert!(
            told.contains("cannot be verified") && told.contains("export the report as JSON"),
            "{told}"
        );
        assert!(
            !told.contains("is not what was signed"),
            "a genuine export is accused of nothing: {told}"
        );
    }
}

#[tokio::test]
async fn what_the_provider_signs_with_a_secret_that_was_just_added_is_taken() {
    let client = secrets();
    let name = "countersign-provider-added";
    let whsec = |fill: u8| format!("whsec_{}", STANDARD.encode([fill; 32]));
    let keep = async |secrets: Value| {
        let _ = client.create_secret().name(name).send().await;
        client
            .put_secret_value()
            .secret_id(name)
            .secret_string(secrets.to_string())
            .send()
            .await
            .unwrap();
    };
    keep(json!([whsec(1)])).await;
    let held = CachedSecret::webhook_secrets(client.clone(), name.into());
    let world = world_with(|options| options.callback_secrets = Some(held)).await;
    let asked = world.asked(1, |_| {}).await;
    let session = world.session(&asked.challenges[0]).await;
    let tell = async |fill: u8, id: &str| {
        let at = world.stack.clock().now();
        let data = json!({"session": session, "outcome": "failed"});
        let body =
            json!({"type": "kba.session.completed", "timestamp": at.to_rfc3339(), "data": data})
                .to_string();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[fill; 32]);
        let tag = aws_lc_rs::hmac::sign(&key, format!("{id}.{}.{body}", at.as_secs()).as_bytes());
        let request = world
            .request(Method::POST, "/v1/kba/callback")
            .header("content-type", "application/json");
        let request = request
            .header("webhook-id", id)
            .header("webhook-timestamp", at.as_secs());
        world
            .send(
                request
                    .header("webhook-signature", format!("v1,{}", STANDARD.encode(tag)))
                    .body(body),
            )
            .await
    };
    let _ = tell(2, "msg_1").await.refused(401, "signature-invalid");
    keep(json!([whsec(2), whsec(1)])).await;
    // It was read just before: whoever forges cannot have it read each time.
    world.advance(29);
    let _ = tell(2, "msg_1").await.refused(401, "signature-invalid");
    world.advance(1);
    let _ = tell(2, "msg_1").await.expect(204);
    assert_eq!(world.recipient(&asked, 0).await.kba.attempts, 1);
    let _ = tell(1, "msg_2").await.expect(204);
    let _ = tell(3, "msg_3").await.refused(401, "signature-invalid");
}
