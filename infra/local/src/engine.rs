//! The embedded DynamoDB: another engine under the same wire protocol, on a port of its own.

use std::path::Path;

use dynoxide::Database;
use tokio::net::TcpListener;

use crate::StartError;
use crate::serving::Serving;

/// A running engine.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Where it answers.
    pub endpoint: String,
    /// The server.
    pub serving: Serving,
}

impl Engine {
    /// Starts the engine over the file `path`, or in memory.
    pub async fn start(path: Option<&Path>) -> Result<Self, StartError> {
        let path = path.map(|path| path.to_string_lossy().into_owned());
        let opened = tokio::task::spawn_blocking(move || {
            path.map_or_else(Database::memory, |path| Database::new(&path))
        });
        let opened = opened
            .await
            .map_err(|error| StartError::Engine(error.to_string()))?;
        let database = opened.map_err(|error| StartError::Engine(error.to_string()))?;
        let (listener, endpoint) = internal_port().await?;
        let serving = Serving::run(|stopped| async move {
            let stopped = async { drop(stopped.await) };
            if let Err(cause) =
                dynoxide::server::serve_with_shutdown(listener, database, stopped).await
            {
                tracing::error!(
                    cause,
                    "embedded DynamoDB stopped with an error; restart the local stack"
                );
            }
        });
        Ok(Self { endpoint, serving })
    }
}

/// A port that only this machine reaches, and its address.
pub(crate) async fn internal_port() -> Result<(TcpListener, String), StartError> {
    let refused = |cause: std::io::Error| StartError::Listen {
        address: "127.0.0.1:0".into(),
        cause: cause.to_string(),
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, format!("http://{address}")))
}
