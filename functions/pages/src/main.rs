//! The cold start of `pages`: it holds the one origin that it lets be framed.

use pages::{State, handle};
use shared::edge::{serve, start};
use shared::kernel::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let frame_origin = Config::from_env().provider_frame_origin();
    serve::run(State { frame_origin }, handle).await
}
