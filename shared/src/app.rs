//! What every function holds: the sources of time, randomness, keys and configuration, and the table. Made once, at cold start.

use aws_config::SdkConfig;

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
