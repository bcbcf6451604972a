//! The cold start of `pages`: it holds nothing.

use shared::{http, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start::logs();
    http::run((), pages::handle).await
}
