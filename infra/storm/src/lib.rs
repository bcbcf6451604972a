//! A storm through the routes, judged from outside. Many clients with ordinary rights call every
//! route over HTTP, while calls to the table, the senders and the provider go wrong and workers
//! die; afterwards what was asked and answered, and what arrived in inboxes, is held against what
//! the contract promises. The judge knows nothing of how the service is made.
//!
//! | module | what it is |
//! | --- | --- |
//! | `front` | the front door: HTTP, addresses, workers that die, and time, which passes between requests |
//! | `sky` | the weather: what goes wrong, for how long |
//! | `ground` | the accounts, and who is there |
//! | `issuer` | the accounts' issuer of ID tokens |
//! | `clients` | who asks, and for what |
//! | `desk`, `log` | how a client asks, and how that is written down |
//! | `history` | what was asked and answered |
//! | `judge` | pure: what of a history breaks a promise |
//! | `aftermath` | once it is over: everything is let come to its end, and read |
//! | `process` | the service in this process |

mod aftermath;
mod clients;
mod desk;
mod front;
mod ground;
pub mod history;
mod issuer;
pub mod judge;
mod log;
mod outcome;
mod process;
mod sky;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use desk::{Desk, Place};
use front::Front;
use ground::Ground;
use issuer::Issuer;
use log::Log;
use reqwest::Client;
use shared::kernel::entropy::Entropy;
use sky::Sky;
use tokio::net::TcpListener;
use tokio::sync::RwLock;

pub use front::Service;
pub use outcome::Outcome;
pub use process::InProcess;

/// A storm.
#[derive(Clone, Copy, Debug)]
pub struct Forecast {
    /// What operations, faults and deaths are drawn from. Which of two clients is faster, the
    /// machine says.
    pub seed: u64,
    /// How many requests.
    pub operations: usize,
    /// How many clients at once.
    pub clients: u32,
    /// Within how long: then it is over, and was no such storm where fewer requests were reached.
    pub within: Option<Duration>,
}

/// Why a storm could not be gone through.
#[derive(Debug)]
pub struct Stranded(String);

impl Stranded {
    /// Why.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stranded {}

/// What a storm needs of the service that it goes over.
pub struct Scene {
    /// Where the door is opened: the service has to give this address as its own.
    pub listener: TcpListener,
    /// The service.
    pub service: Box<dyn Service>,
    /// Its clock.
    pub clock: shared::kernel::clock::Clock,
    /// What goes wrong under it.
    pub faults: local::Faults,
    /// What it sends.
    pub outbox: local::Outbox,
    /// The operator's key.
    pub operator: String,
    /// What the provider signs with.
    pub webhook: String,
}

/// Goes through a storm, and judges it.
pub async fn run(scene: Scene, forecast: Forecast) -> Result<Outcome, Stranded> {
    let Scene {
        listener,
        service,
        clock,
        faults,
        outbox,
        operator,
        webhook,
    } = scene;
    let address = listener
        .local_addr()
        .map_err(|error| Stranded::new(error.to_string()))?;
    let log = Log::new(clock.clone(), forecast.operations);
    let reading = tokio::spawn(log.clone().read_mail(outbox.follow()));
    let (front, serving) = Front::open(listener, service, clock);
    let http = Client::builder()
        .no_proxy()
        .build()
        .map_err(|error| Stranded::new(error.to_string()))?;
    let issuer = Issuer::start(log.now(), &Entropy::system()).await?;
    let (sky, ground) = (
        Sky::new(faults, forecast.seed),
        Ground::new(operator, webhook, issuer),
    );
    let place = Arc::new(Place {
        log,
        front,
        sky,
        ground,
        base_url: format!("http://{address}"),
        http,
        stage: RwLock::new(()),
    });
    let desk = |who, number: u64| {
        let seed = forecast.seed ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Desk {
            place: Arc::clone(&place),
            entropy: Entropy::seeded(seed),
            who,
            alone: false,
        }
    };
    place.ground.open(&desk("operator", u64::MAX / 2)).await?;
    place.sky.start();
    let reached = go(&desk, forecast, &place.log).await;
    let struck = place.sky.clear();
    aftermath::settle(&desk("auditor", u64::MAX / 2 + 1)).await?;
    let history = place.log.take();
    serving.abort();
    reading.abort();
    Ok(Outcome::of(forecast, reached, history, struck))
}

/// Lets the clients go until there were as many requests as were wanted, or time is up; answers
/// with how many there were.
async fn go(desk: &impl Fn(&'static str, u64) -> Desk, forecast: Forecast, log: &Log) -> usize {
    let clients = clients::go(desk, forecast.clients);
    tokio::pin!(clients);
    let time_is_up = async {
        match forecast.within {
            Some(within) => tokio::time::sleep(within).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = &mut clients => return log.len(),
        () = time_is_up => log.end(),
    }
    let reached = log.len();
    clients.await;
    reached
}
