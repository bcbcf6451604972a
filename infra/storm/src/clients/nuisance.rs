//! Who is signed in and uses what is said to be the own number and mailbox as a weapon: SMS that
//! somebody pays for, mails to strangers, and what strangers may have sent. And who does so from
//! another account.

use std::net::IpAddr;

use serde_json::json;

use super::proof::offered;
use super::user::Person;
use crate::desk::{Ask, Desk};
use crate::ground::{Prey, address, phone};

/// How many SMS are asked for: more than an account may send to a country in an hour, where
/// nobody verifies them.
const TEXTS: u32 = 120;
/// How often in a row they are refused before it is given up.
const PERSISTENCE: u32 = 4;

/// Signs in, is a nuisance, and begins anew.
pub(crate) async fn spam(desk: Desk, number: u32) {
    while desk.goes_on() {
        desk.linger(desk.below(80)).await;
        let Some(account) = desk.place.ground.home(number) else {
            return;
        };
        let Some(mut person) = Person::arrive(&desk, account).await else {
            continue;
        };
        let source = person.place();
        person.sign_in(source).await;
        // The person, too, asks at the desk of whoever rushes.
        let rushed = desk.rush(async |desk| {
            person.desk = desk.clone();
            if desk.happens(50) {
                texts(desk, &mut person, source).await;
            } else {
                mails(desk, &mut person, source).await;
            }
        });
        rushed.await;
    }
}

/// Says of one number after another that it is the own, and has codes sent to it: from another
/// address when one has had its share, until it is refused wherever it comes from.
async fn texts(desk: &Desk, person: &mut Person, mut source: IpAddr) {
    let mut refused = 0;
    for _ in 0..TEXTS {
        if !desk.goes_on() || refused > PERSISTENCE {
            return;
        }
        let new = Ask::new("POST /v1/factors/sms")
            .with(json!({"phone": phone(desk.place.ground.next())}));
        let claimed = person.claims(new, source).await;
        let told = person.login(&person.prey.password, source).await;
        let sent = match told
            .good("/challenge")
            .filter(|_| offered(&told).contains(&"sms".to_owned()))
        {
            Some(challenge) => {
                let body = json!({"challenge": challenge, "method": "sms"});
                desk.ask(
                    Ask::new("POST /v1/codes")
                        .with(body)
                        .about(&person.prey.id)
                        .from(source),
                )
                .await
                .status()
                    == 202
            }
            None => false,
        };
        if claimed || sent {
            refused = 0;
        } else {
            refused += 1;
            source = address(desk.place.ground.next(), 0, &desk.entropy);
        }
    }
}

/// Says over and over that somebody's mailbox is the own, from one address after another; and
/// causes notices to the own in between, by recovery codes, which who has an app has made.
async fn mails(desk: &Desk, person: &mut Person, source: IpAddr) {
    person.change_app(source).await;
    let Some(prey) = desk.place.ground.prey(&desk.entropy) else {
        return;
    };
    for _ in 0..8 {
        if !desk.goes_on() {
            return;
        }
        let elsewhere = address(desk.place.ground.next(), 0, &desk.entropy);
        person
            .claims(
                Ask::new("POST /v1/factors/email").with(json!({"email": prey.email})),
                elsewhere,
            )
            .await;
        person.make_recovery_codes(source).await;
    }
}

/// From another account: gives somebody of its own the number of a person here, and has codes sent
/// to it.
pub(crate) async fn rival(desk: Desk) {
    while desk.goes_on() {
        desk.linger(20 + desk.below(100)).await;
        let (Some(account), Some(prey)) = (
            desk.place.ground.rival(),
            desk.place.ground.prey(&desk.entropy),
        ) else {
            continue;
        };
        let Some(mut person) = Person::arrive(&desk, account).await else {
            continue;
        };
        if !has_number_of(&desk, &mut person, &prey).await {
            continue;
        }
        let source = person.place();
        for _ in 0..7 {
            let told = person.login(&person.prey.password, source).await;
            let Some(challenge) = told.good("/challenge") else {
                break;
            };
            let body = json!({"challenge": challenge, "method": "sms"});
            desk.ask(
                Ask::new("POST /v1/codes")
                    .with(body)
                    .about(&person.prey.id)
                    .from(source),
            )
            .await;
        }
    }
}

/// The back end of the other account enters the number.
async fn has_number_of(desk: &Desk, person: &mut Person, prey: &Prey) -> bool {
    let Prey { id, account, .. } = &person.prey;
    let ask = Ask::new("PATCH /v1/users/{id}")
        .at(format!("/v1/users/{id}"))
        .by(&account.key)
        .about(id);
    desk.ask(ask.with(json!({"phone": prey.phone})))
        .await
        .status()
        == 200
}
