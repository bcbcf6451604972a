//! Who knows a username, and nothing else: guesses at the password, asks for a link after a
//! forgotten one, and types what nobody was given. Each time from an address that nobody has seen.

use futures_util::future::join_all;
use serde_json::json;

use crate::desk::{Ask, Desk};
use crate::ground::{Prey, address};

/// Goes from one username to the next.
pub(crate) async fn go(desk: Desk) {
    while desk.goes_on() {
        let Some(prey) = desk.place.ground.prey(&desk.entropy) else {
            desk.linger(20).await;
            continue;
        };
        let source = address(desk.place.ground.next(), 0, &desk.entropy);
        match desk.below(100) {
            0..30 => guess(&desk, &prey, source, 6 + desk.below(20)).await,
            30..33 => forget(&desk, &prey, source).await,
            33..45 => make_up(&desk, source).await,
            _ => desk.linger(60).await,
        }
    }
}

/// Guesses, some at a time: whatever is refused is tried again, as whoever wants to lock a door
/// does.
async fn guess(desk: &Desk, prey: &Prey, source: std::net::IpAddr, times: u32) {
    for _ in 0..=times / 4 {
        let body = json!({"account": prey.account.id, "username": prey.username, "password": "Password123"});
        let ask = Ask::new("POST /v1/login")
            .with(body)
            .about(&prey.id)
            .from(source);
        join_all((0..4).map(|_| desk.ask(ask.clone()))).await;
        desk.linger(desk.below(12)).await;
    }
}

async fn forget(desk: &Desk, prey: &Prey, source: std::net::IpAddr) {
    let body = json!({"account": prey.account.id, "username": prey.username});
    desk.ask(
        Ask::new("POST /v1/password/forgotten")
            .with(body)
            .about(&prey.id)
            .from(source),
    )
    .await;
}

/// Tries what nobody was given: everywhere it is unknown.
async fn make_up(desk: &Desk, source: std::net::IpAddr) {
    let nobodys = format!(
        "chl_{}",
        shared::kernel::secret::encode(desk.entropy.bytes::<48>())
    );
    let Some(account) = desk.one_of(desk.place.ground.accounts()) else {
        return;
    };
    let ask = match desk.below(5) {
        0 => Ask::new("POST /v1/codes").with(json!({"challenge": nobodys, "method": "sms"})),
        1 => Ask::new("POST /v1/codes/verify")
            .with(json!({"challenge": nobodys, "method": "sms", "code": "123456"})),
        2 => Ask::new("POST /v1/links/redeem").with(json!({"token": nobodys})),
        3 => Ask::new("POST /v1/login").with(json!({"account": account.id, "id_token": nobodys})),
        _ => Ask::new("GET /v1/me").by(&nobodys),
    };
    desk.ask(ask.from(source)).await;
}
