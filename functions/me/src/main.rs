//! The cold start of `me`.

use shared::edge::{serve, start};
use shared::kernel::sdk::sdk_config;
use shared::store::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let app = App::start(&sdk_config()).await?;
    serve::run(app, me::handle).await
}
