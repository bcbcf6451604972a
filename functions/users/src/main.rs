//! The cold start of `users`.

use shared::app::App;
use shared::courier::Courier;
use shared::sdk::sdk_config;
use shared::{http, start};
use users::{State, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start_without_keys(&sdk).await;
    let courier = Courier::new(&sdk, &app.config);
    http::run(State { app, courier }, handle).await
}
