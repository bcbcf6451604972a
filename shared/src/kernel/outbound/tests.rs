use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// For what has no end.
const QUICK: Limits = Limits {
    total: Duration::from_millis(200),
    body_max: 1000,
};
/// For what is answered, however busy this machine is.
const PATIENT: Limits = Limits {
    total: Duration::from_secs(30),
    ..QUICK
};

fn config(local: bool) -> Config {
    Config {
        local,
        ..Config::read(|_| None)
    }
}

/// A server on this machine that gives every connection `answer`, and counts them.
async fn server(answer: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/keys", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
                // What is not whole yet stays so for as long as the other side waits.
                let _ = stream.read(&mut request).await;
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn an_answer_is_read_whole_and_a_redirect_is_an_answer() {
    let (address, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let client = Outbound::new(&config(true));
    assert_eq!(
        client.get(&address, PATIENT).await,
        Ok(OutboundResponse {
            status: 200,
            body: b"{}".to_vec()
        })
    );
    let moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (address, connections) = server(moved).await;
    assert_eq!(client.get(&address, PATIENT).await.unwrap().status, 302);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_does_not_end_is_given_up() {
    let client = Outbound::new(&config(true));
    let large: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2000)).into_boxed_str());
    let (address, _) = server(large.as_bytes()).await;
    assert_eq!(
        client.get(&address, PATIENT).await,
        Err(OutboundError::TooLarge)
    );
    let (address, _) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{").await;
    assert_eq!(
        client.get(&address, QUICK).await,
        Err(OutboundError::TooSlow)
    );
    let (address, _) = server(b"").await;
    assert_eq!(
        client.post(&address, &[], b"{}".to_vec(), QUICK).await,
        Err(OutboundError::TooSlow)
    );
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(
        Outbound::new(&config(true)).get(&address, QUICK).await,
        Err(OutboundError::Unreachable)
    );
}

#[tokio::test]
async fn a_deployment_neither_goes_by_http_nor_to_its_own_network() {
    let (address, connections) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let client = Outbound::new(&config(false));
    let port = address.rsplit(':').next().unwrap();
    let texts = [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "127.1",
        "localhost",
        "a.localhost.",
    ];
    for host in texts {
        for scheme in ["http", "https"] {
            let address = format!("{scheme}://{host}:{port}");
            assert_eq!(
                client.get(&address, QUICK).await,
                Err(OutboundError::NotAllowed),
                "{address}"
            );
        }
    }
    for address in [
        "http://example.com",
        "ftp://example.com",
        "https://user@example.com",
        "https://:x@example.com",
        "file:///etc",
        "",
    ] {
        assert_eq!(
            client.get(address, QUICK).await,
            Err(OutboundError::NotAllowed),
            "{address}"
        );
    }
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_leads_nowhere() {
    let guarded = Guarded { local: false };
    assert!(guarded.resolve_dns("localhost").await.is_err());
    let (public, private): (IpAddr, IpAddr) =
        ("1.1.1.1".parse().unwrap(), "10.0.0.1".parse().unwrap());
    assert_eq!(guarded.checked(vec![public]).unwrap(), [public]);
    assert!(guarded.checked(vec![public, private]).is_err());
    assert!(Guarded { local: true }.checked(vec![private]).is_ok());
}
