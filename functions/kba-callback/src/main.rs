//! The cold start of `kba-callback`.

use kba_callback::{State, handle};
use shared::agreement::kba::webhook::Secrets;
use shared::agreement::provider::CachedSecret;
use shared::edge::{serve, start};
use shared::kernel::sdk::{SdkConfig, sdk_config, secrets_manager};
use shared::messaging::courier::Courier;
use shared::store::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start_without_keys(&sdk).await;
    let courier = Courier::new(&sdk, &app.config);
    let secrets = secrets(&app, &sdk);
    serve::run(
        State {
            app,
            courier,
            secrets,
        },
        handle,
    )
    .await
}

fn secrets(app: &App, sdk: &SdkConfig) -> Option<CachedSecret<Secrets>> {
    let id = app.config.provider_webhook_secret_id.clone()?;
    Some(CachedSecret::webhook_secrets(secrets_manager(sdk), id))
}
