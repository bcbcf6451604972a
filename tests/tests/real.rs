//! The flows against components that we did not write: moto's SES v2, SNS and Secrets Manager, and whichever DynamoDB is named.
//! Built with the feature `real` alone; `infra/scripts/real-components` starts what it needs. Nothing is skipped: a variable that
//! is missing is a failure.

use serde_json::{Value, json};
use shared::config::env;
use shared::keyring::Keyrings;
use tests::{World, another};

fn named(variable: &str) -> String {
    env(variable).unwrap_or_else(|| panic!("{variable} is not set"))
}

/// A world whose messages go to moto.
async fn world() -> World {
    let _ = named("COUNTERSIGN_DYNAMODB_ENDPOINT");
    World::with(|options| {
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

fn last_digits(text: &str, length: usize) -> String {
    text.rsplit(|c: char| !c.is_ascii_digit()).find(|run| run.len() == length).unwrap().to_owned()
}

#[tokio::test]
async fn a_code_by_sms_goes_through_sns() {
    let world = world().await;
    let ann = world.user("ann", json!({"phone": "+12025550171"})).await;
    let challenge = world.challenge(&ann).await;
    let _ = world.issue(&challenge, "sms").await.expect(202);
    let texts = taken("sns", "SMS").await;
    let text = texts.iter().rfind(|text| text["phone_number"] == "+12025550171").unwrap();
    let code = last_digits(text["message"].as_str().unwrap(), 6);
    let _ = world.verify(&challenge, "sms", &another(&code)).await.refused(401, "code-invalid");
    let _ = world.verify(&challenge, "sms", &code).await.expect(200);
    assert_eq!(world.actions(&ann.id).await.len(), 5);
}

#[tokio::test]
async fn a_code_by_mail_goes_through_ses() {
    let world = world().await;
    let _ = world.settings(json!({"second_factor": {"methods": {"email": true}}})).await;
    let ben = world.user("ben", json!({"email": "ben.of.moto@example.com"})).await;
    let challenge = world.challenge(&ben).await;
    let _ = world.issue(&challenge, "email").await.expect(202);
    let mails = taken("ses", "Message").await;
    let mail = mails.iter().rfind(|mail| mail["destinations"]["ToAddresses"][0] == "ben.of.moto@example.com").unwrap();
    assert_eq!(mail["source"], "no-reply@countersign.example");
    let code = last_digits(mail["body"].as_str().unwrap(), 8);
    assert_eq!(world.verify(&challenge, "email", &code).await.expect(200).body["acr"], "two-factor-email");
}

#[tokio::test]
async fn the_keyring_that_the_command_made_is_read_from_secrets_manager() {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .endpoint_url(named("COUNTERSIGN_SECRETS_ENDPOINT"))
        .build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let now = shared::clock::Clock::system().now();
    let keyrings = Keyrings::in_secret(client, named("COUNTERSIGN_KEYRING_SECRET_ID"), now).await.unwrap();
    let keyring = keyrings.current(now).await;
    let sealed = keyring.seal(b"secret", b"context", now).unwrap();
    assert_eq!(keyring.open(&sealed, b"context").unwrap().expose(), b"secret");
    let later = now.plus(shared::keyring::REREAD_AFTER);
    assert_eq!(keyrings.current(later).await.open(&sealed, b"context").unwrap().expose(), b"secret");
    assert_eq!(keyring.public_keys().count(), 1);
}
