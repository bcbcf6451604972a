//! The real SDK clients, pointed at this machine. Under them, the SDK's own HTTP client with faults
//! let in: above it, the SDK's own retries and time-outs run as they do in AWS.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::{
    ConfigBag, Credentials, Region, RuntimeComponents, SharedCredentialsProvider,
};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use shared::kernel::config::Config;
use shared::kernel::outbound::Outbound;
use shared::kernel::sdk::{retries, timeouts};

use crate::apart::Apart;
use crate::faults::{Faults, Held};
use crate::holding::Met;
use crate::plan::{Mode, Nature, Service, Strike};
use crate::worker::Worker;
use crate::{refusals, torn};

/// How long the moment is in which a read is torn: long enough for others to write.
const GAP: Duration = Duration::from_millis(8);

/// Makes clients that share one pool of connections.
#[derive(Debug)]
pub(crate) struct Sdk {
    http: SharedHttpClient,
    faults: Faults,
}

impl Sdk {
    /// Clients that meet `faults`, and whose calls are made [apart](Apart) or not.
    pub fn new(faults: Faults, apart: bool) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        Self {
            http: if apart {
                SharedHttpClient::new(Apart(http))
            } else {
                http
            },
            faults,
        }
    }

    /// The client for configured addresses, as `service` is reached by it.
    pub fn outbound(&self, service: Service, config: &Config) -> Outbound {
        let inner = Outbound::connector(config);
        Outbound::over(
            SharedHttpConnector::new(Faulty {
                inner,
                service,
                faults: self.faults.clone(),
            }),
            config,
        )
    }

    /// Connections to `service` by themselves, without a client.
    pub fn connector(&self, service: Service) -> SharedHttpConnector {
        let inner = SharedHttpConnector::new(Connector::builder().build_http());
        SharedHttpConnector::new(Faulty {
            inner,
            service,
            faults: self.faults.clone(),
        })
    }

    /// The configuration of a client of `service` at `endpoint`.
    pub fn config(&self, service: Service, endpoint: &str) -> SdkConfig {
        let http = Faulty {
            inner: self.http.clone(),
            service,
            faults: self.faults.clone(),
        };
        // Any key will do here; nobody checks the signature.
        let credentials = Credentials::new("local", "local", None, None, "local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .timeout_config(timeouts())
            .retry_config(retries())
            .http_client(SharedHttpClient::new(http))
            .endpoint_url(endpoint)
            .build()
    }
}

/// The HTTP client of one service.
#[derive(Debug)]
struct Faulty<T> {
    inner: T,
    service: Service,
    faults: Faults,
}

impl HttpClient for Faulty<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Faulty {
            inner,
            service: self.service,
            faults: self.faults.clone(),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        bag: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, bag)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Faulty<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let Some(worker) = Worker::at_work() else {
            return self.carried(request);
        };
        worker.mark(&mut request);
        let answer = self.carried(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            worker.outlives_a_call().await;
            answer
        })
    }
}

impl Faulty<SharedHttpConnector> {
    /// The call is carried to the service, unless something goes wrong with it.
    fn carried(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_repeat =
            self.service == Service::Dynamodb && self.faults.holdings().is_repeat(&request);
        if self.service == Service::Dynamodb && refusals::is_transaction(&request) && !is_repeat {
            let short = self.faults.short_of_units(|| refusals::body(&request));
            if !short.is_empty() {
                return HttpConnectorFuture::ready(refusals::cancelled(
                    &request,
                    "ThrottlingError",
                    &short,
                ));
            }
        }
        if self.service == Service::Dynamodb {
            self.faults.note(&request);
        }
        if let Some(held) = self
            .faults
            .gate(self.service, refusals::operation(&request), || {
                refusals::width(&request)
            })
        {
            return self.gated(request, held);
        }
        let nature = refusals::nature(&request);
        match self.faults.meet(
            self.service,
            Nature {
                can_conflict: nature.can_conflict && !is_repeat,
                ..nature
            },
        ) {
            Some(strike) => self.struck(request, strike),
            None => self.handed_on(request, None),
        }
    }

    /// The call takes effect, or reads for the first time, and its answer waits until it is let go.
    fn gated(&self, request: HttpRequest, held: Held) -> HttpConnectorFuture {
        if let Some(young) = held.tears.filter(|_| refusals::nature(&request).can_tear) {
            let inner = self.inner.clone();
            return HttpConnectorFuture::new(async move {
                torn::read(inner, request, young, held.wait()).await
            });
        }
        let answer = self.handed_on(request, None);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            held.wait().await;
            answer
        })
    }

    /// The call goes wrong.
    fn struck(
        &self,
        request: HttpRequest,
        Strike { mode, lasting }: Strike,
    ) -> HttpConnectorFuture {
        tracing::info!(service = ?self.service, ?mode, "injected a fault");
        if let Some(worker) = Worker::at_work() {
            worker.meets(self.service, mode, &request);
        }
        match mode {
            Mode::Refused => {
                HttpConnectorFuture::ready(Err(broken(std::io::ErrorKind::ConnectionRefused)))
            }
            Mode::Throttled => HttpConnectorFuture::ready(refusals::throttled(self.service)),
            Mode::Failed => HttpConnectorFuture::ready(refusals::failed(self.service)),
            // The first item is the one that is held.
            Mode::Conflict => HttpConnectorFuture::ready(refusals::conflict(&request, &[0])),
            Mode::Torn => HttpConnectorFuture::new(torn::read(
                self.inner.clone(),
                request,
                0,
                tokio::time::sleep(GAP),
            )),
            Mode::Hold => self.handed_on(request, Some(lasting)),
            Mode::Lost => self.answered(request, async move |_| {
                tokio::time::sleep(lasting).await;
                Err(broken(std::io::ErrorKind::ConnectionReset))
            }),
            Mode::Unsettled => self.answered(request, async |_| refusals::in_progress()),
            Mode::Slow => self.answered(request, async move |answer| {
                tokio::time::sleep(lasting).await;
                Ok(answer)
            }),
        }
    }

    /// Hands the call on, and answers with what becomes of its answer.
    fn answered<F>(
        &self,
        request: HttpRequest,
        becomes: impl FnOnce(HttpResponse) -> F + Send + 'static,
    ) -> HttpConnectorFuture
    where
        F: Future<Output = Result<HttpResponse, ConnectorError>> + Send + 'static,
    {
        let answer = self.handed_on(request, None);
        HttpConnectorFuture::new(async move { becomes(answer.await?).await })
    }

    /// Hands the call on to the service. A transaction that holds its items runs to its end,
    /// whether or not somebody waits for it.
    fn handed_on(&self, request: HttpRequest, lasting: Option<Duration>) -> HttpConnectorFuture {
        if self.service != Service::Dynamodb {
            return self.inner.call(request);
        }
        match self.faults.holdings().meet(&request, lasting) {
            Met::Nothing => self.inner.call(request),
            Met::Conflict(places) => {
                HttpConnectorFuture::ready(refusals::conflict(&request, &places))
            }
            Met::UnderWay => HttpConnectorFuture::ready(refusals::in_progress()),
            Met::Held(hold) => {
                let inner = self.inner.clone();
                let running = tokio::spawn(async move {
                    tokio::time::sleep(hold.lasting).await;
                    let answer = inner.call(request).await;
                    drop(hold);
                    answer
                });
                HttpConnectorFuture::new(async move {
                    running
                        .await
                        .map_err(|error| ConnectorError::other(error.into(), None))?
                })
            }
        }
    }
}

fn broken(kind: std::io::ErrorKind) -> ConnectorError {
    ConnectorError::io(std::io::Error::from(kind).into())
}
