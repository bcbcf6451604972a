//! The SDK's configuration in Lambda: what its environment says, and nothing that is looked for
//! elsewhere.
//!
//! The SDK's own loader asks profiles, SSO, web identities and the instance's metadata as well. A
//! function has none of them: the chain would cost every cold start time and every binary several
//! hundred kilobytes.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::kernel::config::env;

pub use aws_config::SdkConfig;

/// The SDK's configuration: one HTTP client for all clients, bounded in time.
pub fn sdk_config() -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .service_config(Endpoints)
        .timeout_config(timeouts())
        .retry_config(retries())
        .http_client(https_client());
    config.set_region(env("AWS_REGION").map(Region::new));
    config.set_endpoint_url(env("AWS_ENDPOINT_URL"));
    config.build()
}

/// The one HTTP client that all of an SDK's clients share: what is asked of the library's own
/// defaults would be another feature, and another build of everything above it.
pub fn https_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// `AWS_ENDPOINT_URL_<SERVICE>`: another endpoint than AWS's own, as the SDKs have it.
#[derive(Debug)]
struct Endpoints;

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        env(&format!(
            "{}_{}",
            key.env(),
            key.service_id().to_ascii_uppercase().replace(' ', "_")
        ))
    }
}

/// A client of Secrets Manager. It is asked when a function starts, and now and then after: an
/// attempt has all the time of the operation, since one that is slow would be as slow the second
/// time, and a function without its keys answers nobody.
pub fn secrets_manager(sdk: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    let patient = timeouts()
        .to_builder()
        .operation_attempt_timeout(OPERATION)
        .build();
    let config = aws_sdk_secretsmanager::config::Builder::from(sdk)
        .timeout_config(patient)
        .build();
    aws_sdk_secretsmanager::Client::from_conf(config)
}

/// How long an operation may take, all its attempts together.
const OPERATION: Duration = Duration::from_secs(5);

/// DynamoDB's, and what every other client begins with: it inherits each of them that it does not
/// say itself, the attempt's too.
///
/// A request that has no answer after this long is repeated; an operation that has none is given up
/// before API Gateway gives us up.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(OPERATION)
        .build()
}

/// Three attempts, as is the SDK's default, said here because what we write relies on it being
/// safe. The wait before the second is drawn from 50 ms and not from a second: somebody is waiting
/// for the answer.
pub fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(1))
}
