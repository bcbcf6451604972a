//! The cold start of `login`.

use login::{State, handle};
use shared::edge::{serve, start};
use shared::kernel::outbound::Outbound;
use shared::kernel::sdk::sdk_config;
use shared::signin::sso::IssuerKeys;
use shared::store::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let app = App::start(&sdk_config()).await?;
    let issuers = IssuerKeys::new(Outbound::new(&app.config));
    serve::run(State { app, issuers }, handle).await
}
