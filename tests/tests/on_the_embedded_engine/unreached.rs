//! Who cannot be reached has taken nothing: no name, no connection in time, no TLS. That is a
//! refusal and no doubt: it is told, and attempted again, at once and by whoever asked.

use std::time::Duration;

use aws_sdk_secretsmanager::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
};
use shared::kernel::config::Config;
use shared::kernel::sdk::{SdkConfig, https_client, retries, timeouts};
use shared::messaging::courier::{Courier, NotSent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A courier whose senders are at `endpoint`.
fn courier(endpoint: &str) -> Courier {
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "local",
        )))
        .timeout_config(timeouts())
        .retry_config(retries())
        .http_client(https_client())
        .endpoint_url(endpoint)
        .build();
    Courier::new(&sdk, &Config::from_env())
}

async fn told_by(endpoint: &str) -> Result<(), NotSent> {
    courier(endpoint).sms("+12025550100", "x").await
}

/// Somebody who reads what comes, answers with `answer` and hangs up.
async fn who_answers(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut some = [0; 4_096];
            let _ = connection.read(&mut some).await;
            let _ = connection.write_all(answer).await;
        }
    });
    address.to_string()
}

#[tokio::test]
async fn who_has_no_address_has_taken_nothing() {
    assert_eq!(
        told_by("http://nowhere.invalid").await,
        Err(NotSent::Refused)
    );
}

#[tokio::test]
async fn who_speaks_no_tls_has_taken_nothing() {
    let address = who_answers(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(
        told_by(&format!("https://{address}")).await,
        Err(NotSent::Refused)
    );
}

/// Connections that nobody accepts are more than the queue has places for: no other comes about.
#[tokio::test]
async fn who_lets_nobody_connect_has_taken_nothing() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
    }
    assert_eq!(
        told_by(&format!("http://{address}")).await,
        Err(NotSent::Refused)
    );
}

#[tokio::test]
async fn who_hangs_up_once_it_was_asked_may_have_taken_it() {
    let address = who_answers(b"").await;
    assert_eq!(
        told_by(&format!("http://{address}")).await,
        Err(NotSent::Unknown)
    );
}
