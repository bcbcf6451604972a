//! Calls that take no time of a paused clock.
//!
//! A paused clock of tokio's jumps to the next timer as soon as its runtime has nothing to do, and
//! waiting for a socket is nothing to do. It stands still while a blocking task runs: so each call
//! is made in one, on a runtime of its own, and its answer is there whole when that ends. What
//! takes time is then what waits by itself: a transaction that holds its items, a sender that is
//! slow, whoever attempts something again later. What comes of that does not depend on how fast
//! this machine is, or what else it does.

use std::sync::LazyLock;

use aws_sdk_dynamodb::config::{ConfigBag, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};

/// Where the calls are made. It is never dropped: a runtime may not be, within another.
static ELSEWHERE: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
});

/// An HTTP client whose calls are made elsewhere.
#[derive(Debug)]
pub(crate) struct Apart<T>(pub T);

impl HttpClient for Apart<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Apart(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        bag: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, bag)
    }
}

impl HttpConnector for Apart<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.0.clone();
        let called = tokio::task::spawn_blocking(move || {
            let elsewhere = ELSEWHERE
                .as_ref()
                .map_err(|error| ConnectorError::other(error.to_string().into(), None))?;
            elsewhere.block_on(async move { whole(inner.call(request).await?).await })
        });
        HttpConnectorFuture::new(async move {
            called
                .await
                .map_err(|error| ConnectorError::other(error.into(), None))?
        })
    }
}

/// The answer, with all of its body.
async fn whole(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let bytes = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
    *response.body_mut() = SdkBody::from(bytes);
    Ok(response)
}
