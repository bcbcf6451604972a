//! The service in this process: the same handlers, behind the same events as in Lambda. A worker
//! that dies is one whose work is dropped.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::Response;
use expiry_cleanup::Batch;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use local::{Gateway, Incoming, Options, Stack, Worker};
use serde_json::{Value, json};
use shared::kernel::clock::{Clock, Timestamp};
use shared::messaging::courier::Courier;
use shared::store::app::App;
use tokio::net::TcpListener;

use crate::front::Service;
use crate::{Scene, Stranded};

/// When a storm begins, by the service's clock.
const BEGINNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The handlers in this process.
pub struct InProcess {
    gateway: Gateway,
    app: App,
    courier: Courier,
}

impl InProcess {
    /// A stack of its own, and the scene in it. The stack has to be kept for as long as the storm
    /// lasts.
    pub async fn start() -> Result<(Stack, Scene), Stranded> {
        Self::start_with(Options::ephemeral()).await
    }

    /// The same with these options, but for the clock and the address.
    pub async fn start_with(options: Options) -> Result<(Stack, Scene), Stranded> {
        let stranded = |error: &dyn std::fmt::Display| Stranded::new(error.to_string());
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((local, 0))
            .await
            .map_err(|error| stranded(&error))?;
        let address = listener.local_addr().map_err(|error| stranded(&error))?;
        let mut options = Options {
            clock: Clock::fixed_at(BEGINNING),
            ..options
        };
        options.config.base_url = Some(format!("http://{address}"));
        let stack = Stack::start(options)
            .await
            .map_err(|error| stranded(&error))?;
        let scene = Scene {
            listener,
            service: Box::new(Self::over(&stack)),
            clock: stack.clock().clone(),
            faults: stack.faults().clone(),
            outbox: stack.outbox().clone(),
            operator: stack.operator_key().expose().clone(),
            webhook: stack.provider().webhook_secret().expose().clone(),
        };
        Ok((stack, scene))
    }

    /// The handlers of a stack.
    pub fn over(stack: &Stack) -> Self {
        Self {
            gateway: stack.gateway().clone(),
            app: stack.app().clone(),
            courier: stack.courier().clone(),
        }
    }
}

impl Service for InProcess {
    fn answer<'a>(
        &'a self,
        incoming: Incoming,
        worker: &'a Worker,
    ) -> BoxFuture<'a, Option<Response<Body>>> {
        worker.run(self.gateway.answer(incoming)).boxed()
    }

    fn clean_up<'a>(&'a self, worker: &'a Worker) -> BoxFuture<'a, Option<Value>> {
        let run =
            async { json!(expiry_cleanup::run(&self.app, &self.courier, Batch::default()).await) };
        worker.run(run).boxed()
    }
}
