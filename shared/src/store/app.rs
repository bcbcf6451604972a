//! What every function holds: the sources of time, randomness, keys and configuration, and the
//! table. Made once, at cold start.

use aws_config::SdkConfig;

use crate::kernel::clock::Clock;
use crate::kernel::config::Config;
use crate::kernel::entropy::Entropy;
use crate::kernel::keyring::Keyrings;
use crate::kernel::sdk::secrets_manager;
use crate::store::dynamo::Table;

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
    /// The keys; none in a function that was started without.
    pub keyrings: Keyrings,
}

/// A cold start that failed. The runtime reports it and attempts again.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

impl App {
    /// The cold start of a function that uses keys: keyring and connection in parallel.
    pub async fn start(sdk: &SdkConfig) -> Result<Self, StartError> {
        let app = Self::unwarmed(sdk);
        let secret_id = app
            .config
            .keyring_secret_id
            .clone()
            .ok_or("KEYRING_SECRET_ID is not set")?;
        let secrets = secrets_manager(sdk);
        let (keyrings, ()) = tokio::join!(
            Keyrings::in_secret(secrets, secret_id, app.clock.now()),
            app.table.warm()
        );
        Ok(Self {
            keyrings: keyrings?,
            ..app
        })
    }

    /// The cold start of a function that uses none
    /// ([`crate::web::http::routes::Function::holds_keys`]): its role cannot read the keyring.
    pub async fn start_without_keys(sdk: &SdkConfig) -> Self {
        let app = Self::unwarmed(sdk);
        app.table.warm().await;
        app
    }

    fn unwarmed(sdk: &SdkConfig) -> Self {
        let config = Config::from_env();
        let entropy = Entropy::system();
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(sdk),
            config.table_name.clone(),
            entropy.clone(),
        );
        Self {
            clock: Clock::system(),
            entropy,
            config,
            table,
            keyrings: Keyrings::none(),
        }
    }

    /// The same without keys, as the function has it that holds none.
    #[must_use]
    pub fn without_keys(&self) -> Self {
        Self {
            keyrings: Keyrings::none(),
            ..self.clone()
        }
    }
}
