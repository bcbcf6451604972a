//! Who sends agreements. Each is sent, goes its way in the hands of its recipients, and comes to an
//! end or is left to its time. What is of one agreement happens together, as it does: the last
//! signature, an answer of the provider and a change of mind in one moment.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::signer::{Booth, Signer};
use crate::desk::{Ask, Desk};
use crate::ground::{Account, address, phone};

const METHODS: [&str; 6] = ["kba", "kba", "kba", "sms", "email", "none"];

/// Sends one agreement after another.
pub(crate) async fn go(desk: Desk, number: u32) {
    while desk.goes_on() {
        let Some(account) = desk.place.ground.home(number) else {
            return;
        };
        if desk.happens(12) {
            forget(&desk, &account).await;
            continue;
        }
        let Some(mut deal) = Deal::send(&desk, account).await else {
            continue;
        };
        if desk.happens(65) {
            deal.go_to_the_end().await;
        } else {
            deal.drift().await;
        }
    }
}

/// Sends some that nobody looks at any more, until their time is over together.
async fn forget(desk: &Desk, account: &Account) {
    for _ in 0..4 {
        if desk.goes_on() {
            Deal::send(desk, account.clone()).await;
        }
    }
}

/// An agreement on its way.
struct Deal {
    desk: Desk,
    account: Account,
    id: String,
    signers: Vec<Signer>,
}

impl Deal {
    /// Sends it: for a quarter of an hour, a day, or as long as is usual.
    async fn send(desk: &Desk, account: Account) -> Option<Self> {
        let number = desk.place.ground.next();
        let drafted: Vec<(Value, String)> = (0..=desk.below(2)).map(|_| recipient(desk)).collect();
        let mut body = json!({
            "title": format!("Lease {number}"), "sender": {"email": format!("sender{number}@storm.example")},
            "recipients": drafted.iter().map(|(recipient, _)| recipient.clone()).collect::<Vec<_>>(),
        });
        let members = body.as_object_mut()?;
        match desk.below(10) {
            0..5 => drop(members.insert("expires_in".into(), json!(900))),
            5..8 => drop(members.insert("expires_in".into(), json!(86_400))),
            _ => {}
        }
        if desk.happens(30) {
            members.insert("group".into(), json!(format!("group-{}", number % 3)));
        }
        let ask = Ask::new("POST /v1/agreements")
            .by(&account.key)
            .about(&account.id)
            .keyed(format!("deal-{number}"))
            .with(body);
        if desk.happens(8) {
            desk.twice(ask.clone()).await;
        }
        let told = desk.insist(ask).await;
        let id = told.good("/id")?;
        let listed = told
            .value("/recipients")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let signers = listed
            .zip(drafted)
            .filter_map(|(listed, (_, email))| signer(desk, listed, email))
            .collect();
        Some(Self {
            desk: desk.clone(),
            account,
            id,
            signers,
        })
    }

    /// All prove themselves, and all but the last complete; then the last one, in the way of
    /// whatever else happens at the finish.
    async fn go_to_the_end(&mut self) {
        let Self {
            desk,
            account,
            id,
            signers,
        } = self;
        let booth = Booth {
            desk,
            account,
            agreement: id,
        };
        join_all(signers.iter_mut().map(|signer| booth.prove(signer))).await;
        let Some((last, others)) = signers.split_last_mut() else {
            return;
        };
        for other in others.iter() {
            booth.complete(other).await;
        }
        if last.method == "kba" && desk.happens(80) {
            // They come again before they sign, and are asked again.
            booth.open(last).await;
            booth.begin(last).await;
        }
        finish(&booth, last).await;
        self.afterwards().await;
    }

    /// This and that happens, some of it at once.
    async fn drift(&mut self) {
        for _ in 0..4 + self.desk.below(8) {
            if !self.desk.goes_on() {
                return;
            }
            let Self {
                desk,
                account,
                id,
                signers,
            } = self;
            let booth = Booth {
                desk,
                account,
                agreement: id,
            };
            join_all(signers.iter_mut().map(|signer| act(&booth, signer))).await;
            if desk.happens(4) {
                booth.cancel().await;
            }
        }
        self.afterwards().await;
    }

    /// The sender looks, and some recipient comes to view what was signed.
    async fn afterwards(&mut self) {
        let Self {
            desk,
            account,
            id,
            signers,
        } = self;
        let path = format!("/v1/agreements/{id}");
        desk.ask(
            Ask::new("GET /v1/agreements/{id}")
                .at(path)
                .by(&account.key)
                .about(id),
        )
        .await;
        let booth = Booth {
            desk,
            account,
            agreement: id,
        };
        if let Some(first) = signers.first_mut().filter(|_| desk.happens(40)) {
            booth.open(first).await;
        }
        if desk.happens(15) {
            booth.report().await;
        }
    }
}

/// The last one completes, and what else can happen in that moment does: the provider tells of a
/// failure, the sender asks something else, or cancels.
async fn finish(booth: &Booth<'_>, last: &Signer) {
    let (mut changed, desk) = (last.clone(), booth.desk);
    let failed = async {
        if desk.happens(65) {
            desk.linger(desk.below(2)).await;
            booth.answered(last, Some("failed")).await;
        }
    };
    let mind = async {
        if desk.happens(45) {
            let to = if last.method == "kba" { "sms" } else { "kba" };
            booth.change(&mut changed, to).await;
        }
    };
    let cancelled = async {
        if desk.happens(8) {
            booth.cancel().await;
        }
    };
    tokio::join!(booth.complete(last), failed, mind, cancelled);
}

/// One thing that happens to a recipient.
async fn act(booth: &Booth<'_>, signer: &mut Signer) {
    let desk = booth.desk;
    match desk.below(100) {
        0..28 => booth.prove(signer).await,
        28..38 => booth.open(signer).await,
        38..50 => booth.begin(signer).await,
        50..70 => booth.answered(signer, None).await,
        70..76 => {
            let to = desk.one_of(&METHODS).copied().unwrap_or("none");
            booth.change(signer, to).await;
        }
        76..84 => booth.complete(signer).await,
        84..88 => booth.resend(signer).await,
        88..90 => booth.reopen(signer).await,
        _ => desk.linger(20).await,
    }
}

impl Booth<'_> {
    async fn cancel(&self) {
        let ask = Ask::new("POST /v1/agreements/{id}/cancel")
            .at(format!("/v1/agreements/{}/cancel", self.agreement));
        let ask = ask
            .by(&self.account.key)
            .about(self.agreement)
            .with(json!({"reason": "the terms have changed"}));
        self.desk
            .ask(ask.keyed(self.desk.place.ground.next()))
            .await;
    }

    async fn resend(&self, signer: &Signer) {
        let ask = self.of_recipient(
            "POST /v1/agreements/{id}/recipients/{recipient}/resend",
            signer,
            "/resend",
        );
        self.desk
            .ask(ask.keyed(self.desk.place.ground.next()))
            .await;
    }

    async fn reopen(&self, signer: &Signer) {
        self.desk
            .ask(self.of_recipient(
                "POST /v1/agreements/{id}/recipients/{recipient}/reopen",
                signer,
                "/reopen",
            ))
            .await;
    }

    /// The report, or a part of it; or a link to it, which somebody without a key follows.
    async fn report(&self) {
        let path = format!("/v1/agreements/{}/audit", self.agreement);
        let read = Ask::new("GET /v1/agreements/{id}/audit")
            .about(self.agreement)
            .header("accept", "application/json");
        if self.desk.happens(60) {
            let query = if self.desk.happens(50) { "?part=1" } else { "" };
            self.desk
                .ask(read.at(format!("{path}{query}")).by(&self.account.key))
                .await;
            return;
        }
        let made = Ask::new("POST /v1/agreements/{id}/audit/links")
            .at(format!("{path}/links"))
            .by(&self.account.key);
        let Some(url) = self.desk.ask(made.about(self.agreement)).await.text("/url") else {
            return;
        };
        let Some((page, token)) = url.split_once('#') else {
            return;
        };
        let page = page.split_once("/report").map_or("", |(_, rest)| rest);
        self.desk
            .ask(Ask::new("GET /report/{id}").at(format!("/report{page}")))
            .await;
        self.desk.ask(read.at(path).by(token)).await;
    }
}

/// A recipient to be, and the mail address.
fn recipient(desk: &Desk) -> (Value, String) {
    let number = desk.place.ground.next();
    let email = format!("signer{number}@storm.example");
    let method = desk.one_of(&METHODS).copied().unwrap_or("none");
    let body = json!({"email": email, "name": "Ann", "country": "US", "phone": phone(number), "authentication": method});
    (body, email)
}

fn signer(desk: &Desk, listed: &Value, email: String) -> Option<Signer> {
    let text = |name: &str| listed.pointer(name)?.as_str().map(str::to_owned);
    let source = address(desk.place.ground.next(), 0, &desk.entropy);
    let (id, method) = (text("/id")?, text("/authentication")?);
    Some(Signer {
        id,
        email,
        source,
        method,
        challenge: None,
        sessions: Vec::new(),
    })
}
