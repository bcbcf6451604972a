//! A request of which an earlier attempt takes effect later than anybody could tell: it is answered
//! from what was written down, and never from what this attempt had drawn.

use std::sync::Arc;

use lambda_http::{Body, Request, Response};
use local::{Mode, Service};
use reqwest::Method;
use serde_json::{Value, json};
use tests::World;
use tests::agreements::{agreement, person, quota, with_kba};

/// The event of a sending with the Idempotency-Key `k`, under this request id.
fn event(world: &World, request_id: &str, body: &Value) -> Request {
    let event = json!({
        "version": "2.0", "routeKey": "POST /v1/agreements", "rawPath": "/v1/agreements", "rawQueryString": "",
        "headers": {"authorization": format!("Bearer {}", world.key), "content-type": "application/json", "idempotency-key": "\"k\""},
        "body": body.to_string(), "isBase64Encoded": false,
        "requestContext": {
            "accountId": "000000000000", "apiId": "local", "domainName": "api.example", "domainPrefix": "api", "requestId": request_id,
            "routeKey": "POST /v1/agreements", "stage": "$default", "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 0,
            "http": {"method": "POST", "path": "/v1/agreements", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": ""},
        },
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

async fn send(world: &World, request_id: &str, body: &Value) -> Response<Body> {
    let (app, courier) = (world.stack.app().clone(), world.stack.courier().clone());
    let (now, state) = (
        app.clock.now(),
        Arc::new(agreements::State { app, courier }),
    );
    shared::edge::serve::answer(event(world, request_id, body), now, |call| {
        agreements::handle(state, call)
    })
    .await
}

fn read(answer: &Response<Body>) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

/// One try has read that nothing was sent yet; then another takes effect; then nobody says what
/// became of the first one's write.
async fn overtaken(world: &World, request_ids: [&str; 2], body: &Value) -> [Response<Body>; 2] {
    let faults = world.stack.faults();
    // The first request to the table reads the key and the account, the second whether this was
    // sent before.
    let held = faults.hold(Service::Dynamodb, 1);
    let later = async {
        held.arrived().await;
        let other = send(world, request_ids[1], body).await;
        faults.set(Service::Dynamodb, Mode::Refused, 0, 3);
        held.let_go();
        other
    };
    let (first, other) = tokio::join!(send(world, request_ids[0], body), later);
    assert_eq!(faults.struck(), 3);
    [first, other]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_try_took_effect_the_recipients_that_are_answered_exist() {
    for request_ids in [["one", "one"], ["one", "another"]] {
        let world = with_kba(100).await;
        let body = agreement(&json!([person(1, "kba"), person(2, "none")]));
        let [first, other] = Box::pin(overtaken(&world, request_ids, &body)).await;
        assert_eq!(
            (first.status().as_u16(), other.status().as_u16()),
            (201, 201),
            "{:?}",
            first.body()
        );
        assert_eq!(read(&first), read(&other), "{request_ids:?}");
        let replayed = first.headers().get("idempotency-replayed").is_some();
        assert_eq!(
            replayed,
            request_ids[0] != request_ids[1],
            "a request's own attempt is no replay"
        );
        let path = format!("/v1/agreements/{}", read(&first)["id"].as_str().unwrap());
        for recipient in read(&first)["recipients"].as_array().unwrap() {
            let path = format!("{path}/recipients/{}", recipient["id"].as_str().unwrap());
            let _ = world
                .backend(Method::POST, &format!("{path}/resend"), None)
                .await
                .expect(202);
        }
        assert_eq!(quota(&world).await, (99, 1, 0));
    }
}
