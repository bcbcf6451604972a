//! The cold start of `factors`.

use factors::{State, handle};
use shared::kernel::sdk::sdk_config;
use shared::messaging::courier::Courier;
use shared::store::app::App;
use shared::{store::start, web::http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start(&sdk).await?;
    let courier = Courier::new(&sdk, &app.config);
    http::run(State { app, courier }, handle).await
}
