//! The cold start of `tokens`.

use shared::kernel::sdk::sdk_config;
use shared::store::app::App;
use shared::{store::start, web::http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let app = App::start(&sdk_config()).await?;
    http::run(app, tokens::handle).await
}
