//! The cold start of `quota`.

use shared::app::App;
use shared::sdk::sdk_config;
use shared::{http, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let app = App::start_without_keys(&sdk_config()).await;
    http::run(app, quota::handle).await
}
