//! A function's handler in this process, by its own policy.
//!
//! A deployed function asks nobody by http, and nobody on this machine, whoever configured it: no
//! provider of questions and no issuer of ID tokens that a proof could start. What a function
//! writes once such a one has answered is driven through the same handler here, as the local stack
//! does it. Its requests to the table pass the guard as those of its bootstrap do, and its keys are
//! the same.

use std::future::Future;
use std::sync::Arc;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use serde_json::Value;
use shared::kernel::clock::Clock;
use shared::kernel::config::Config;
use shared::kernel::entropy::Entropy;
use shared::kernel::keyring::Keyrings;
use shared::store::app::App;
use shared::store::dynamo::Table;
use shared::web::http::{Call, Outcome};

use crate::Fault;
use crate::aws::SECRET;
use crate::event::Event;
use crate::world::World;

/// What `function` holds, with the local stack's leave to ask this machine.
pub(crate) async fn app(world: &World, function: &str) -> Result<App, Fault> {
    let table_name = world.stack.table().name().to_owned();
    let provider_url = Some(world.stack.provider().origin().to_owned());
    let config = Config {
        local: true,
        provider_url,
        table_name,
        ..Config::read(|_| None)
    };
    let credentials = || Credentials::new("bench", "bench", None, None, "bench");
    let dynamodb = world
        .guard
        .as_ref()
        .map_or_else(|| world.dynamodb.clone(), |guard| guard.endpoint(function));
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(dynamodb)
        .build();
    let secrets = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_secretsmanager::config::Region::from_static(
            "us-east-1",
        ))
        .credentials_provider(credentials())
        .endpoint_url(&world.aws.endpoint)
        .build();
    let secrets = aws_sdk_secretsmanager::Client::from_conf(secrets);
    let clock = Clock::system();
    let entropy = Entropy::system();
    Ok(App {
        table: Table::new(
            aws_sdk_dynamodb::Client::from_conf(dynamodb),
            config.table_name.clone(),
            entropy.clone(),
        ),
        entropy,
        keyrings: Keyrings::in_secret(secrets, SECRET.into(), clock.now()).await?,
        clock,
        config,
    })
}

/// The status and the body that `handle` answers an event with.
pub(crate) async fn ask<F>(
    event: &Event,
    handle: impl FnOnce(Arc<Call>) -> F,
) -> Result<(u16, Value), Fault>
where
    F: Future<Output = Outcome>,
{
    let request = lambda_http::request::from_str(&event.json().to_string())?;
    let answer = shared::edge::serve::answer(request, Clock::system().now(), handle).await;
    Ok((
        answer.status().as_u16(),
        serde_json::from_slice(answer.body().as_ref())?,
    ))
}
