//! The cold start of `agreements`.

use agreements::{State, handle};
use shared::app::App;
use shared::courier::Courier;
use shared::sdk::sdk_config;
use shared::user::contact;
use shared::{http, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let sdk = sdk_config();
    let app = App::start(&sdk).await?;
    let courier = Courier::new(&sdk, &app.config);
    contact::unpack_ahead();
    http::run(State { app, courier }, handle).await
}
