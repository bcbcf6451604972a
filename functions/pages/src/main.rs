//! The cold start of `pages`: it holds the one origin that it lets be framed.

use pages::{State, handle};
use shared::kernel::config::Config;
use shared::{store::start, web::http};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    let frame_origin = Config::from_env().provider_frame_origin();
    http::run(State { frame_origin }, handle).await
}
