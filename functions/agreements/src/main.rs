//! The cold start of `agreements`.

use agreements::{State, handle};
use shared::edge::{serve, start};
use shared::kernel::contact;
use shared::kernel::sdk::sdk_config;
use shared::messaging::courier::Courier;
use shared::store::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start(&sdk).await?;
    let courier = Courier::new(&sdk, &app.config);
    contact::preload_metadata();
    serve::run(State { app, courier }, handle).await
}
