//! The cold start of `kba-session`.

use kba_session::{State, handle};
use shared::agreement::provider::{CachedSecret, Provider};
use shared::edge::{serve, start};
use shared::kernel::outbound::Outbound;
use shared::kernel::sdk::{SdkConfig, sdk_config, secrets_manager};
use shared::store::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start(&sdk).await?;
    let provider = provider(&app, &sdk);
    serve::run(State { app, provider }, handle).await
}

fn provider(app: &App, sdk: &SdkConfig) -> Option<Provider> {
    let id = app.config.provider_api_secret_id.clone()?;
    let secret = CachedSecret::api_secret(secrets_manager(sdk), id);
    Provider::new(Outbound::new(&app.config), &app.config, secret)
}
