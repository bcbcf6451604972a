//! The cold start of `login`.

use login::{State, handle};
use shared::app::App;
use shared::outbound::Outbound;
use shared::sdk::sdk_config;
use shared::sso::IssuerKeys;
use shared::{http, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let app = App::start(&sdk_config()).await?;
    let issuers = IssuerKeys::new(Outbound::new(&app.config));
    http::run(State { app, issuers }, handle).await
}
