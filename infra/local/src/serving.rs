//! A server in the background, and its end.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a request that still runs may take when the stack stops.
const GRACE: Duration = Duration::from_secs(2);

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Runs what `serve` makes of the signal to stop.
    pub fn run<F>(serve: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        Self {
            stop,
            task: tokio::spawn(serve(stopped)),
        }
    }

    /// Serves `router` on `listener`.
    pub fn router(listener: TcpListener, router: Router) -> Self {
        Self::run(|stopped| async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(listener, service)
                .with_graceful_shutdown(async { drop(stopped.await) });
            if let Err(error) = serving.await {
                tracing::error!(cause = %error, "server stopped with an error; restart the local stack");
            }
        })
    }

    /// Takes no more connections, and waits a little for those that are at work.
    pub async fn stop(mut self) {
        // Whoever does not listen any more has stopped already.
        let _ = self.stop.send(());
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
