//! What the storm goes over: accounts, their keys, and who is there.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::json;
use shared::kernel::entropy::Entropy;

use crate::Stranded;
use crate::desk::{Ask, Desk};
use crate::issuer::Issuer;

/// How the names of the accounts begin; a number follows, by which messages tell in whose name they
/// are.
pub(crate) const ORGANISATION: &str = "Storm ";
/// How many accounts people are in; one more is their rivals'.
const HOMES: usize = 3;
/// The account that sends no codes by mail: who has a mailbox there and nothing else has no factor
/// yet, or none any more.
const WITHOUT_MAIL: usize = 2;
/// Geographic area codes of the United States, in each of which a hundred numbers are set aside for
/// fiction.
const AREAS: [u16; 60] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225,
    228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281,
    301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321,
    323, 325, 330,
];
/// Where a mailed link of the back end leads on to.
pub(crate) const PORTAL: &str = "https://portal.storm.example/in";
/// What each account has to begin with.
const STOCK: u32 = 60;
const SCOPES: [&str; 7] = [
    "settings:write",
    "users:write",
    "agreements:write",
    "links:write",
    "tokens:redeem",
    "audit:read",
    "quota:read",
];

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub id: String,
    pub key: String,
    /// What it was called first.
    pub name: String,
}

/// Another name for the account that was called `name` first, by which it is known all the same.
pub(crate) fn another_name(name: &str, number: u32) -> String {
    format!("{name}, called {number}")
}

/// Somebody, as far as others may know: their username and where they are reached; and, for who has
/// stolen it, the password.
#[derive(Clone, Debug)]
pub(crate) struct Prey {
    pub id: String,
    pub account: Account,
    pub username: String,
    pub password: String,
    pub phone: String,
    pub email: String,
}

/// Who is there, who ever was, and who waits for a code, which whoever looks over a shoulder sees.
#[derive(Debug, Default)]
struct People {
    there: Vec<Prey>,
    ever: Vec<(String, Account)>,
    waiting: BTreeSet<String>,
}

/// The ground.
#[derive(Debug)]
pub(crate) struct Ground {
    pub operator: String,
    /// What the provider signs with.
    pub webhook: String,
    /// Who vouches for people, to every account.
    pub issuer: Issuer,
    accounts: OnceLock<Vec<Account>>,
    people: Mutex<People>,
    next: AtomicU32,
}

impl Ground {
    /// Bare ground.
    pub fn new(operator: String, webhook: String, issuer: Issuer) -> Self {
        Self {
            operator,
            webhook,
            issuer,
            accounts: OnceLock::new(),
            people: Mutex::default(),
            next: AtomicU32::new(1),
        }
    }

    /// Opens the accounts.
    pub async fn open(&self, desk: &Desk) -> Result<(), Stranded> {
        let mut accounts = Vec::new();
        for number in 0..=HOMES {
            accounts.push(self.account(desk, number).await?);
        }
        self.accounts
            .set(accounts)
            .map_err(|_| Stranded::new("the ground was opened before"))
    }

    async fn account(&self, desk: &Desk, number: usize) -> Result<Account, Stranded> {
        let name = format!("{ORGANISATION}{number}");
        let body = json!({"name": name, "plan": "enterprise"});
        let made = desk
            .ask(Ask::new("POST /v1/accounts").by(&self.operator).with(body))
            .await;
        let id = made
            .good("/id")
            .ok_or_else(|| Stranded::new("no account was opened"))?;
        let keys = Ask::new("POST /v1/accounts/{account}/api-keys")
            .at(format!("/v1/accounts/{id}/api-keys"));
        let made = desk
            .ask(
                keys.by(&self.operator)
                    .about(&id)
                    .with(json!({"name": "storm", "scopes": SCOPES})),
            )
            .await;
        let key = made
            .good("/key")
            .ok_or_else(|| Stranded::new("no key was made"))?;
        let settings = json!({
            "second_factor": {"methods": {"sms": true, "totp": true, "email": number != WITHOUT_MAIL}},
            "sso": self.issuer.settings(), "kba": {"enabled": true}, "links": {"redirect_uris": [PORTAL]},
            "contacts": ["ops@storm.example"], "quota": {"low_balance": 20},
        });
        let set = desk
            .ask(
                Ask::new("PATCH /v1/settings")
                    .by(&key)
                    .about(&id)
                    .with(settings),
            )
            .await;
        let stock = json!({"account": id, "transactions": STOCK});
        let sold = Ask::new("POST /v1/quota/topups")
            .by(&self.operator)
            .about(&id)
            .keyed(format!("stock-{number}"))
            .with(stock);
        let sold = desk.ask(sold).await;
        match (set.status(), sold.status()) {
            (200, 201) => Ok(Account { id, key, name }),
            _ => Err(Stranded::new(format!(
                "an account was not set up: {:?}, {:?}",
                set.answer, sold.answer
            ))),
        }
    }

    /// All accounts: the last one is the rivals'.
    pub fn accounts(&self) -> &[Account] {
        self.accounts.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// The account in which people are, of client `number`.
    pub fn home(&self, number: u32) -> Option<Account> {
        self.accounts()
            .get(usize::try_from(number).unwrap_or_default() % HOMES)
            .cloned()
    }

    /// The rivals' account.
    pub fn rival(&self) -> Option<Account> {
        self.accounts().last().cloned()
    }

    /// Whether an account sends codes by mail.
    pub fn mails_codes(&self, account: &Account) -> bool {
        self.accounts()
            .get(WITHOUT_MAIL)
            .is_none_or(|without| without.id != account.id)
    }

    /// A number that was not given before.
    pub fn next(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Somebody has come.
    pub fn arrived(&self, id: &str, account: &Account) {
        self.people().ever.push((id.to_owned(), account.clone()));
    }

    /// Everybody who ever came to an account.
    pub fn ever(&self, account: &Account) -> Vec<Arc<str>> {
        self.people()
            .ever
            .iter()
            .filter(|(_, of)| of.id == account.id)
            .map(|(id, _)| Arc::from(id.as_str()))
            .collect()
    }

    /// Somebody may be hunted from now on.
    pub fn settle(&self, prey: Prey) {
        self.people().there.push(prey);
    }

    /// The same person has changed.
    pub fn change(&self, prey: Prey) {
        if let Some(known) = self
            .people()
            .there
            .iter_mut()
            .find(|known| known.id == prey.id)
        {
            *known = prey;
        }
    }

    /// Somebody is gone.
    pub fn leave(&self, id: &str) {
        self.people().there.retain(|known| known.id != id);
    }

    /// Whether somebody waits for a code to be typed.
    pub fn wait(&self, id: &str, waits: bool) {
        let waiting = &mut self.people().waiting;
        let _ = if waits {
            waiting.insert(id.to_owned())
        } else {
            waiting.remove(id)
        };
    }

    /// Somebody who is there.
    pub fn prey(&self, entropy: &Entropy) -> Option<Prey> {
        let people = self.people();
        let drawn = entropy.below(u32::try_from(people.there.len()).unwrap_or_default().max(1));
        people
            .there
            .get(usize::try_from(drawn).unwrap_or_default())
            .cloned()
    }

    /// Somebody who waits for a code.
    pub fn waiting(&self) -> Option<Prey> {
        let people = self.people();
        people
            .there
            .iter()
            .find(|prey| people.waiting.contains(&prey.id))
            .cloned()
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The phone of somebody with this number.
pub(crate) fn phone(number: u32) -> String {
    let place = usize::try_from(number / 100).unwrap_or_default() % AREAS.len();
    format!(
        "+1{}55501{:02}",
        AREAS.get(place).copied().unwrap_or(202),
        number % 100
    )
}

/// What the issuer knows somebody with this number by.
pub(crate) fn subject(number: u32) -> String {
    format!("subject-{number}")
}

/// The mail address of somebody with this number.
pub(crate) fn email(number: u32) -> String {
    format!("p{number}@storm.example")
}

/// An address of somebody with this number, of two: IPv4 for some, IPv6 for others, and there any
/// of their own network.
pub(crate) fn address(number: u32, place: u8, entropy: &Entropy) -> IpAddr {
    let [_, high, middle, low] = number.to_be_bytes();
    if number.is_multiple_of(3) {
        let host = u16::from_be_bytes(entropy.bytes());
        let words = [
            0x2001,
            0xdb8,
            u16::from(place),
            u16::from_be_bytes([middle, low]),
            0,
            0,
            0,
            host,
        ];
        return IpAddr::V6(Ipv6Addr::from(words));
    }
    IpAddr::V4(Ipv4Addr::new(
        if place == 0 { 10 } else { 11 },
        high,
        middle,
        low,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_numbers_and_addresses_of_their_own() {
        let phones: std::collections::BTreeSet<_> = (0..6_000).map(phone).collect();
        assert_eq!(phones.len(), 6_000);
        assert_eq!(phone(7), "+12015550107");
        let entropy = Entropy::seeded(1);
        assert_eq!(address(1, 0, &entropy), address(1, 0, &entropy));
        assert_ne!(address(1, 0, &entropy), address(1, 1, &entropy));
        // Other addresses of one network.
        assert!(
            matches!(address(3, 0, &entropy), IpAddr::V6(one) if one.octets()[..8] == [0x20, 1, 0xd, 0xb8, 0, 0, 0, 3])
        );
    }
}
