//! How AWS refuses, in each service's wire format.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::faults::Service;

const TOO_MUCH: &str = "Rate exceeded";

/// The service's own answer to too many calls.
pub(crate) fn throttled(service: Service) -> Result<HttpResponse, ConnectorError> {
    match service {
        Service::Dynamodb => dynamodb(json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
            "message": TOO_MUCH,
        })),
        Service::Ses | Service::Provider | Service::Issuer => {
            let mut response = response(429, "application/json", json!({ "message": TOO_MUCH }).to_string())?;
            response.headers_mut().insert("x-amzn-errortype", "TooManyRequestsException");
            Ok(response)
        }
        Service::Sns => response(400, "text/xml", sns_error("Throttling", TOO_MUCH)),
    }
}

/// Whether a call may meet another transaction: only writes do.
pub(crate) fn can_conflict(request: &HttpRequest) -> bool {
    let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
    matches!(operation, Some("TransactWriteItems" | "UpdateItem" | "PutItem" | "DeleteItem"))
}

/// DynamoDB's answer where another transaction holds an item.
pub(crate) fn conflict(request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    if request.headers().get("x-amz-target").is_some_and(|target| target.ends_with(".TransactWriteItems")) {
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let parts = body.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len);
        // The first item is the one that is held.
        let reason = |index| match index {
            0 => json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" }),
            _ => json!({ "Code": "None" }),
        };
        return dynamodb(json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
            "CancellationReasons": (0..parts).map(reason).collect::<Vec<_>>(),
        }));
    }
    dynamodb(json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        "message": "Transaction is ongoing for the item",
    }))
}

/// An error of SNS's query protocol.
pub(crate) fn sns_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    )
}

#[expect(clippy::needless_pass_by_value, reason = "each caller makes the value for this")]
fn dynamodb(body: Value) -> Result<HttpResponse, ConnectorError> {
    response(400, "application/x-amz-json-1.0", body.to_string())
}

fn response(status: u16, content_type: &'static str, body: String) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", content_type);
    Ok(response)
}
