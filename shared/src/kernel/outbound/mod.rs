//! Requests to addresses that somebody configured: an account its issuer's keys, a deployment its
//! KBA provider.
//!
//! Such a request is bounded in time and size, follows no redirect, uses no proxy, and goes to the
//! public internet by https alone. The address is looked at after it was resolved, by the resolver
//! that the connection is made with: a name that changes its mind between the look and the
//! connection gains nothing. Only the local stack may go by http, and to this machine.

mod address;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use url::{Host, Url};

use crate::kernel::cause;
use crate::kernel::config::Config;

pub use address::is_public;

/// How far a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole exchange: name, connection, TLS, and the last byte of the answer.
    pub total: Duration,
    /// The largest answer that is read.
    pub body_max: usize,
}

impl Limits {
    /// What somebody who waits for an answer of ours can stand, and what a document of keys needs:
    /// who is slow is not taken for down.
    pub const DEFAULT: Self = Self {
        total: Duration::from_secs(6),
        body_max: 128 * 1024,
    };
}

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The status. A redirect is an answer like any other.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// A body may hold a secret.
impl fmt::Debug for OutboundResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// Why there is no answer. The cause is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundError {
    /// The address is none that this service talks to. Nothing was sent.
    NotAllowed,
    /// Nobody could be reached, or the exchange broke off: what was sent may have taken effect.
    Unreachable,
    /// It took too long: what was sent may have taken effect.
    TooSlow,
    /// The answer is larger than it may be.
    TooLarge,
}

/// The client. It connects, and reads the roots of trust, when it is first used.
#[derive(Clone, Debug)]
pub struct Outbound {
    connector: SharedHttpConnector,
    local: bool,
}

impl Outbound {
    /// The client of a deployment.
    pub fn new(config: &Config) -> Self {
        Self::over(Self::connector(config), config)
    }

    /// The connections of [`Outbound::new`]: for a caller that stands between, as the local stack's
    /// faults do.
    pub fn connector(config: &Config) -> SharedHttpConnector {
        SharedHttpConnector::new(Lazy {
            resolver: Guarded {
                local: config.local,
            },
            made: Arc::default(),
        })
    }

    /// The client over these connections.
    pub const fn over(connector: SharedHttpConnector, config: &Config) -> Self {
        Self {
            connector,
            local: config.local,
        }
    }

    /// `GET`.
    pub async fn get(
        &self,
        address: &str,
        limits: Limits,
    ) -> Result<OutboundResponse, OutboundError> {
        self.send(
            "GET",
            address,
            &[("accept", "application/json")],
            SdkBody::empty(),
            limits,
        )
        .await
    }

    /// `POST` of a JSON body. Header names are in lower case.
    pub async fn post(
        &self,
        address: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        limits: Limits,
    ) -> Result<OutboundResponse, OutboundError> {
        let all = [
            &[
                ("accept", "application/json"),
                ("content-type", "application/json"),
            ],
            headers,
        ]
        .concat();
        self.send("POST", address, &all, SdkBody::from(body), limits)
            .await
    }

    async fn send(
        &self,
        method: &str,
        address: &str,
        headers: &[(&str, &str)],
        body: SdkBody,
        limits: Limits,
    ) -> Result<OutboundResponse, OutboundError> {
        let url = allowed(address, self.local)?;
        let mut request = HttpRequest::new(body);
        let made = request
            .set_method(method)
            .and_then(|()| request.set_uri(url.as_str()));
        made.map_err(|_| OutboundError::NotAllowed)?;
        for (name, value) in headers {
            // Whatever is no header's value cannot have been meant.
            let set = request
                .headers_mut()
                .try_insert((*name).to_owned(), (*value).to_owned());
            set.map_err(|_| OutboundError::NotAllowed)?;
        }
        match tokio::time::timeout(limits.total, self.exchange(request, limits.body_max)).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError::TooSlow),
        }
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        body_max: usize,
    ) -> Result<OutboundResponse, OutboundError> {
        let response = self.connector.call(request).await.map_err(|error| {
            tracing::info!(
                cause = cause(&error),
                "outbound HTTP request got no response; the caller's log line says what follows"
            );
            if error.is_timeout() {
                OutboundError::TooSlow
            } else {
                OutboundError::Unreachable
            }
        })?;
        let status = response.status().as_u16();
        let mut stream = ByteStream::new(response.into_body());
        let mut body = Vec::new();
        while let Some(part) = stream.next().await {
            let part = part.map_err(|_| OutboundError::Unreachable)?;
            if body.len() + part.len() > body_max {
                return Err(OutboundError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(OutboundResponse { status, body })
    }
}

/// Whether an account may configure `address`, as far as its text tells: what a name resolves to is
/// looked at with each connection.
pub fn may_be_configured(address: &str, local: bool) -> bool {
    allowed(address, local).is_ok()
}

/// The address, if its text is one that may be asked. An address given as a number never meets the
/// resolver: it is judged here.
fn allowed(address: &str, local: bool) -> Result<Url, OutboundError> {
    let url = Url::parse(address).map_err(|_| OutboundError::NotAllowed)?;
    let public = match url.host() {
        Some(Host::Domain(name)) => local || !is_this_machine(name),
        Some(Host::Ipv4(v4)) => local || address::is_public(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => local || address::is_public(IpAddr::V6(v6)),
        None => false,
    };
    let scheme = url.scheme() == "https" || (local && url.scheme() == "http");
    let bare = url.username().is_empty() && url.password().is_none();
    if public && scheme && bare {
        Ok(url)
    } else {
        Err(OutboundError::NotAllowed)
    }
}

/// RFC 6761: such a name is this machine, whatever a resolver says.
fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Connections that are made with the first request: a function that never asks pays nothing.
#[derive(Debug)]
struct Lazy {
    resolver: Guarded,
    made: Arc<OnceLock<SharedHttpConnector>>,
}

impl HttpConnector for Lazy {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let made = self.made.get_or_init(|| {
            let settings = HttpConnectorSettings::builder()
                .connect_timeout(CONNECT)
                .build();
            let builder = Connector::builder().connector_settings(settings);
            let builder = builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            SharedHttpConnector::new(builder.build_with_resolver(self.resolver))
        });
        made.call(request)
    }
}

/// The resolver that hands out public addresses alone. A name that leads anywhere else leads
/// nowhere.
#[derive(Clone, Copy, Debug)]
struct Guarded {
    local: bool,
}

impl ResolveDns for Guarded {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0))
                .await
                .map_err(ResolveDnsError::new)?;
            self.checked(found.map(|socket| socket.ip()).collect())
        })
    }
}

impl Guarded {
    fn checked(self, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, ResolveDnsError> {
        if self.local || found.iter().all(|address| address::is_public(*address)) {
            Ok(found)
        } else {
            Err(ResolveDnsError::new(
                "the name leads to an address that is not public",
            ))
        }
    }
}

#[cfg(test)]
mod tests;
