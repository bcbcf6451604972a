//! How AWS refuses, in each service's wire format.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::plan::{Nature, Service};

const TOO_MUCH: &str = "Rate exceeded";
const FAULT: &str = "An internal error occurred";

/// The service's own answer to too many calls.
pub(crate) fn throttled(service: Service) -> Result<HttpResponse, ConnectorError> {
    match service {
        Service::Dynamodb => dynamodb(json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
            "message": TOO_MUCH,
        })),
        Service::Ses | Service::Provider | Service::Issuer => {
            let mut response = response(
                429,
                "application/json",
                json!({ "message": TOO_MUCH }).to_string(),
            )?;
            response
                .headers_mut()
                .insert("x-amzn-errortype", "TooManyRequestsException");
            Ok(response)
        }
        Service::Sns => response(400, "text/xml", sns_error("Throttling", TOO_MUCH)),
    }
}

/// The service's own answer where something of its own went wrong: it did nothing, and does not say
/// so.
pub(crate) fn failed(service: Service) -> Result<HttpResponse, ConnectorError> {
    match service {
        Service::Sns => response(500, "text/xml", sns_error("InternalError", FAULT)),
        Service::Dynamodb | Service::Ses | Service::Provider | Service::Issuer => {
            let mut response = response(
                500,
                "application/json",
                json!({ "message": FAULT }).to_string(),
            )?;
            response
                .headers_mut()
                .insert("x-amzn-errortype", "InternalServiceErrorException");
            Ok(response)
        }
    }
}

/// Which of DynamoDB's operations is asked for.
pub(crate) fn operation(request: &HttpRequest) -> Option<&str> {
    request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.rsplit('.').next())
}

/// By what the SDK knows a call, which is the same each time that it asks for it.
pub(crate) fn invocation(request: &HttpRequest) -> &str {
    let name = request.headers().get("amz-sdk-invocation-id");
    name.unwrap_or_default()
}

/// What may befall a call. Writes may meet another transaction, and reads of several items at one
/// instant; reads of several items one after another may be torn.
pub(crate) fn nature(request: &HttpRequest) -> Nature {
    let operation = operation(request);
    let writes = matches!(
        operation,
        Some("TransactWriteItems" | "TransactGetItems" | "UpdateItem" | "PutItem" | "DeleteItem")
    );
    Nature {
        can_conflict: writes,
        can_tear: matches!(operation, Some("BatchGetItem" | "Query")),
        is_transaction: operation == Some("TransactWriteItems"),
    }
}

/// Whether it reads items in the order of their keys.
pub(crate) fn is_query(request: &HttpRequest) -> bool {
    operation(request) == Some("Query")
}

/// How many items a batch names.
pub(crate) fn width(request: &HttpRequest) -> usize {
    let tables = body(request)
        .get("RequestItems")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    tables
        .values()
        .filter_map(|table| table.get("Keys")?.as_array())
        .map(Vec::len)
        .sum()
}

/// Whether it is a transaction that writes.
pub(crate) fn is_transaction(request: &HttpRequest) -> bool {
    operation(request) == Some("TransactWriteItems")
}

/// What is asked for.
pub(crate) fn body(request: &HttpRequest) -> Value {
    serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default()
}

/// DynamoDB's answer to a transaction that is cancelled because of the items at these places.
pub(crate) fn cancelled(
    request: &HttpRequest,
    code: &str,
    places: &[usize],
) -> Result<HttpResponse, ConnectorError> {
    let parts = body(request)
        .get("TransactItems")
        .and_then(Value::as_array)
        .map_or(1, Vec::len);
    let reason = |place| {
        if places.contains(&place) {
            json!({ "Code": code, "Message": "The item cannot be written now" })
        } else {
            json!({ "Code": "None" })
        }
    };
    dynamodb(json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{code}]"),
        "CancellationReasons": (0..parts).map(reason).collect::<Vec<_>>(),
    }))
}

/// DynamoDB's answer where another transaction holds the items at these places.
pub(crate) fn conflict(
    request: &HttpRequest,
    places: &[usize],
) -> Result<HttpResponse, ConnectorError> {
    if operation(request).is_some_and(|name| name.starts_with("Transact")) {
        return cancelled(request, "TransactionConflict", places);
    }
    dynamodb(json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        "message": "Transaction is ongoing for the item",
    }))
}

/// DynamoDB's answer to a transaction that it was asked for before and has not done with.
pub(crate) fn in_progress() -> Result<HttpResponse, ConnectorError> {
    dynamodb(json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionInProgressException",
        "Message": "The transaction with the given request token is already in progress.",
    }))
}

/// An error of SNS's query protocol.
pub(crate) fn sns_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    )
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "each caller makes the value for this"
)]
fn dynamodb(body: Value) -> Result<HttpResponse, ConnectorError> {
    response(400, "application/x-amz-json-1.0", body.to_string())
}

fn response(
    status: u16,
    content_type: &'static str,
    body: String,
) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", content_type);
    Ok(response)
}
