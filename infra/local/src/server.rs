//! The public port: `/_local/*` here, all else to the functions.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::control::Control;
use crate::event::Incoming;
use crate::gateway::{BODY_MAX, Gateway, message};

/// What the public port leads to.
#[derive(Debug)]
pub(crate) struct Doors {
    pub gateway: Gateway,
    pub control: Control,
}

/// The public port's router.
pub(crate) fn router(doors: Doors) -> Router {
    Router::new().fallback(take).with_state(Arc::new(doors))
}

async fn take(
    State(doors): State<Arc<Doors>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    // Behind a listener of both families an IPv4 peer shows as `::ffff:...`.
    let peer = peer.ip().to_canonical();
    let incoming = Incoming {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        peer,
    };
    match incoming.uri.path().strip_prefix("/_local") {
        Some(path) if path.is_empty() || path.starts_with('/') => {
            doors.control.answer(path, &incoming).await
        }
        _ => doors.gateway.answer(incoming).await,
    }
}

async fn read(body: Body) -> Result<Bytes, Response<Body>> {
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(message(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Request Entity Too Large",
        )),
        Err(_) => Err(message(StatusCode::BAD_REQUEST, "Bad Request")),
    }
}
