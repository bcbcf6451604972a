//! Who works on a request, as far as that shows from outside: under which trace its calls go out,
//! what befalls them, and after which of them it dies. Lambda ends an environment whenever it
//! likes; whatever a worker had begun is then as its last call left it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::watch;

use crate::plan::{Mode, Service};

/// The header that carries a trace from one service to the next, as AWS's own SDKs pass it on in
/// Lambda.
pub const TRACE: &str = "x-amzn-trace-id";

tokio::task_local! {
    static AT_WORK: Worker;
}

/// Who works on one request; all clones are one.
#[derive(Clone, Debug)]
pub struct Worker(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    trace: String,
    dies_after: Option<u32>,
    calls: AtomicU32,
    dying: watch::Sender<bool>,
    struck: Mutex<Vec<Struck>>,
}

/// A call that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// Whom it was made to.
    pub service: Service,
    /// How it went wrong.
    pub mode: Mode,
    /// Whether the SDK did not repeat it: the last attempt, or one that is not repeated.
    pub was_last: bool,
}

impl Worker {
    /// A worker whose calls go out under `trace`, and who dies when so many of them have been made:
    /// they took effect, and it never learns of the last one's answer.
    pub fn new(trace: impl Into<String>, dies_after: Option<u32>) -> Self {
        let (calls, struck) = Default::default();
        let (dying, _) = watch::channel(false);
        Self(Arc::new(Inside {
            trace: trace.into(),
            dies_after,
            calls,
            dying,
            struck,
        }))
    }

    /// Lets it do `work`; nothing comes of that if it dies.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.dies() => None,
            done = self.does(work) => Some(done),
        }
    }

    /// Lets it do `work`, which stands still once it dies.
    pub(crate) async fn does<T>(&self, work: impl Future<Output = T>) -> T {
        AT_WORK.scope(self.clone(), work).await
    }

    /// Under which its calls go out.
    pub fn trace(&self) -> &str {
        &self.0.trace
    }

    /// Waits until it is to die.
    pub async fn dies(&self) {
        // Its own sender is never dropped while this waits.
        let _ = self.0.dying.subscribe().wait_for(|dying| *dying).await;
    }

    /// What befell its calls.
    pub fn struck(&self) -> Vec<Struck> {
        self.0
            .struck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Who works on what runs here, if that is known.
    pub(crate) fn at_work() -> Option<Self> {
        AT_WORK.try_with(Clone::clone).ok()
    }

    /// Puts the trace on a call.
    pub(crate) fn mark(&self, request: &mut HttpRequest) {
        request.headers_mut().insert(TRACE, self.0.trace.clone());
    }

    /// Notes that a call goes wrong.
    pub(crate) fn meets(&self, service: Service, mode: Mode, request: &HttpRequest) {
        let struck = Struck {
            service,
            mode,
            was_last: is_last(request),
        };
        self.0
            .struck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(struck);
    }

    /// Counts a call that has been made. If it was the last, nobody is there to read its answer.
    pub(crate) async fn outlives_a_call(&self) {
        let made = self.0.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if self.0.dies_after == Some(made) {
            self.0.dying.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}

/// Whether the SDK says that it will not repeat this request: `amz-sdk-request: attempt=3; max=3`.
fn is_last(request: &HttpRequest) -> bool {
    let Some(header) = request.headers().get("amz-sdk-request") else {
        return true;
    };
    let field = |name: &str| {
        header
            .split(';')
            .find_map(|part| part.trim().strip_prefix(name)?.parse::<u32>().ok())
    };
    field("attempt=")
        .zip(field("max="))
        .is_none_or(|(attempt, max)| attempt >= max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    async fn call() -> u32 {
        let worker = Worker::at_work().expect("somebody works here");
        worker.outlives_a_call().await;
        1
    }

    #[tokio::test]
    async fn a_worker_dies_after_so_many_calls_and_before_the_last_ones_answer() {
        let work = || async { call().await + call().await };
        assert_eq!(Worker::new("t", None).run(work()).await, Some(2));
        assert_eq!(Worker::new("t", Some(3)).run(work()).await, Some(2));
        assert_eq!(Worker::new("t", Some(2)).run(work()).await, None);
        assert_eq!(Worker::new("t", Some(1)).run(work()).await, None);
    }

    #[test]
    fn a_call_is_the_last_where_the_sdk_repeats_it_no_more() {
        let request = |header: Option<&'static str>| {
            let mut request = HttpRequest::new(SdkBody::empty());
            header.map(|header| request.headers_mut().insert("amz-sdk-request", header));
            request
        };
        assert!(!is_last(&request(Some("attempt=1; max=3"))));
        assert!(is_last(&request(Some("attempt=3; max=3"))));
        assert!(is_last(&request(None)));
    }
}
