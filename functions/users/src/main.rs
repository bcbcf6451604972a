//! The cold start of `users`.

use shared::edge::{serve, start};
use shared::kernel::sdk::sdk_config;
use shared::messaging::courier::Courier;
use shared::store::app::App;
use users::{State, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start_without_keys(&sdk).await;
    let courier = Courier::new(&sdk, &app.config);
    serve::run(State { app, courier }, handle).await
}
