//! What every function holds: the sources of time, randomness, keys and configuration, and the table. Made once, at cold start.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::clock::Clock;
use crate::config::Config;
use crate::dynamo::Table;
use crate::entropy::Entropy;
use crate::keyring::Keyrings;

/// What every function holds.
#[derive(Clone, Debug)]
pub struct App {
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// What the deployment decided.
    pub config: Config,
    /// The table.
    pub table: Table,
    /// The keys.
    pub keyrings: Keyrings,
}

/// A cold start that failed. The runtime reports it and tries again.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// The SDK's configuration: one HTTP client for all clients, bounded in time.
pub async fn sdk_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts()).retry_config(retries()).load().await
}

/// A request that has no answer after this long is repeated; an operation that has none is given up before API Gateway gives us up.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build()
}

/// Three tries, as is the SDK's default, said here because what we write relies on it being safe. The wait before the second is drawn
/// from 50 ms and not from a second: somebody is waiting for the answer.
pub fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(1))
}

impl App {
    /// The cold start of a function: keyring and connection in parallel.
    pub async fn start(sdk: &SdkConfig) -> Result<Self, StartError> {
        let config = Config::from_env();
        let clock = Clock::system();
        let table = Table::new(aws_sdk_dynamodb::Client::new(sdk), config.table_name.clone());
        let secret_id = config.keyring_secret_id.clone().ok_or("KEYRING_SECRET_ID is not set")?;
        let secrets = aws_sdk_secretsmanager::Client::new(sdk);
        let (keyrings, ()) = tokio::join!(Keyrings::in_secret(secrets, secret_id, clock.now()), table.warm());
        Ok(Self { clock, entropy: Entropy::system(), config, table, keyrings: keyrings? })
    }
}
