//! Who has got hold of a password: opens challenges by the dozen, has codes sent, and guesses at
//! them; best while the person waits for a code. From addresses where the person never was.

use futures_util::future::join_all;
use serde_json::json;

use super::another;
use crate::desk::{Ask, Desk};
use crate::ground::{Prey, address};

/// How many sign-ins are begun: more than are kept.
const CROWD: u32 = 64;
/// How many at once: an attempt counts as a failure until it turns out to be right, and too many of
/// those bring on a delay.
const AT_ONCE: u32 = 4;

/// Goes from one person to the next.
pub(crate) async fn go(desk: Desk) {
    while desk.goes_on() {
        desk.linger(10 + desk.below(60)).await;
        let ground = &desk.place.ground;
        let Some(prey) = ground.waiting().or_else(|| ground.prey(&desk.entropy)) else {
            continue;
        };
        let source = address(desk.place.ground.next(), 0, &desk.entropy);
        if desk.happens(45) {
            desk.rush(async |desk| crowd(desk, &prey, source).await)
                .await;
        } else {
            guess(&desk, &prey, source).await;
        }
    }
}

fn login(prey: &Prey, source: std::net::IpAddr) -> Ask {
    let body =
        json!({"account": prey.account.id, "username": prey.username, "password": prey.password});
    Ask::new("POST /v1/login")
        .with(body)
        .about(&prey.id)
        .from(source)
}

/// Begins so many sign-ins that there is no room for the person's own.
async fn crowd(desk: &Desk, prey: &Prey, source: std::net::IpAddr) {
    for _ in 0..=CROWD / AT_ONCE {
        if desk.goes_on() {
            join_all((0..AT_ONCE).map(|_| desk.ask(login(prey, source)))).await;
        }
    }
}

/// Has codes sent, and guesses at each.
async fn guess(desk: &Desk, prey: &Prey, source: std::net::IpAddr) {
    for _ in 0..=desk.below(3) {
        let Some(challenge) = desk.ask(login(prey, source)).await.good("/challenge") else {
            return;
        };
        let method = if desk.happens(70) { "sms" } else { "email" };
        if desk.happens(60) {
            let body = json!({"challenge": challenge, "method": method});
            desk.ask(
                Ask::new("POST /v1/codes")
                    .with(body)
                    .about(&prey.id)
                    .from(source),
            )
            .await;
        }
        let guess = another(&desk.entropy.digits(6));
        let body = json!({"challenge": challenge, "method": method, "code": guess});
        let ask = Ask::new("POST /v1/codes/verify")
            .with(body)
            .about(&prey.id)
            .from(source);
        join_all((0..desk.below(6)).map(|_| desk.ask(ask.clone()))).await;
    }
}
