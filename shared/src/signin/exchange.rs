//! The one-time code that a link's `redirect_uri` is given: the portal's back end exchanges it for
//! the token, once and within a minute. So the token is never in an address, and never in the
//! browser that came by the link.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::{AccountId, LinkId, UserId};
use crate::kernel::secret::{self, Fingerprint, Secret};
use crate::signin::access_token::Proof;
use crate::signin::link::OpenedLink;
use crate::signin::user::{Method, User};
use crate::store::audit::Event;
use crate::store::dynamo::{Condition, Failure, Key, Path, Put, Update, Write, keys};

/// How long a code is good.
pub const LIFETIME: Span = Span::seconds(60);
/// How long it is kept once it is over, so that a late or repeated exchange is told which it was.
const KEPT: Span = Span::hours(1);

const ACCOUNT: Path = Path::new("account");
const EXPIRES_AT: Path = Path::new("expires_at");
const USED_AT: Path = Path::new("used_at");

const PREFIX: &str = "otc_";
/// The longest text that is looked up.
const LENGTH_MAX: usize = 128;

/// What a code stands for, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The account whose back end may exchange it.
    pub account: AccountId,
    /// Who proved themselves.
    pub user: UserId,
    /// The link that they came by.
    pub link: LinkId,
    /// The second factor.
    pub method: Method,
    /// When that was.
    pub proved_at: Timestamp,
    /// The user's generation of proofs then.
    pub generation: u64,
    /// When the code ends.
    pub expires_at: Timestamp,
    /// When it was exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

/// Why a code is not exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeRefusal {
    /// There is none such in this account.
    Unknown,
    /// Its minute is over, or its user is no longer let in.
    Expired,
    /// It was exchanged.
    Used,
}

/// Draws a code.
pub fn draw(entropy: &Entropy) -> Secret<String> {
    Secret::new(format!("{PREFIX}{}", secret::encode(entropy.bytes::<32>())))
}

/// Where what `code` stands for is kept; nowhere, if it has not the form of a code.
pub fn key(code: &Secret<String>) -> Option<Key> {
    let text = code.expose();
    let fits = text.starts_with(PREFIX) && text.len() <= LENGTH_MAX;
    fits.then(|| keys::exchange(&Fingerprint::of(text.as_bytes()).encode()))
}

/// `redirect_uri` with the code, beside whatever query it has of its own.
pub fn address(redirect_uri: &str, code: &Secret<String>) -> String {
    // What is registered was parsed when it was registered.
    Url::parse(redirect_uri).map_or_else(
        |_| redirect_uri.to_owned(),
        |mut url| {
            url.query_pairs_mut().append_pair("code", code.expose());
            url.into()
        },
    )
}

impl Exchange {
    /// What the completion of a challenge that `link` opened stands for.
    pub fn new(user: &User, link: &OpenedLink, method: Method, now: Timestamp) -> Self {
        let expires_at = now.plus(LIFETIME);
        let (account, generation) = (user.account, user.token_epoch);
        Self {
            account,
            user: user.id,
            link: link.id,
            method,
            proved_at: now,
            generation,
            expires_at,
            used_at: None,
        }
    }

    /// The write that stores it.
    pub fn create(&self, code: &Secret<String>) -> Result<Put, Failure> {
        let key = keys::exchange(&Fingerprint::of(code.expose().as_bytes()).encode());
        Ok(Put::create(key, self)?.due(self.expires_at.plus(KEPT)))
    }

    /// Whether `account` may exchange it, given its user as it stands now.
    pub fn admits(
        &self,
        account: AccountId,
        user: Option<&User>,
        now: Timestamp,
    ) -> Result<(), ExchangeRefusal> {
        if self.account != account {
            Err(ExchangeRefusal::Unknown)
        } else if self.used_at.is_some() {
            Err(ExchangeRefusal::Used)
        } else if self.expires_at <= now || !user.is_some_and(|user| self.lets_in(user)) {
            Err(ExchangeRefusal::Expired)
        } else {
            Ok(())
        }
    }

    fn lets_in(&self, user: &User) -> bool {
        user.account == self.account && user.honours(self.generation)
    }

    /// The writes that exchange it, and tell of it: under the conditions of [`Exchange::admits`],
    /// of which the head of the user's chain stands for the user's generation.
    pub fn redeem(
        &self,
        key: Key,
        user: &User,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let update = user.touch().when(User::is_enabled());
        let mut writes = user.change(update, [event], now)?;
        writes.push(self.consume(key, now).into());
        Ok(writes)
    }

    fn consume(&self, key: Key, now: Timestamp) -> Update {
        Update::of(key)
            .set(USED_AT, now)
            .when(Condition::item_exists())
            .when(USED_AT.is_absent())
            .when(EXPIRES_AT.is_above(now))
            .when(ACCOUNT.is(self.account.to_string()))
    }

    /// How the person proved themselves.
    pub fn proof(&self) -> Proof {
        Proof::link_then(self.method, self.proved_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn exchange() -> Exchange {
        let stored = json!({
            "account": "acc_00000000000000000000000001", "user": "usr_00000000000000000000000001",
            "link": "link_00000000000000000000000001", "method": "sms", "proved_at": NOW, "generation": 3, "expires_at": NOW.plus(LIFETIME),
        });
        serde_json::from_value(stored).unwrap()
    }

    fn user(disabled: bool) -> User {
        let user = json!({
            "id": "usr_00000000000000000000000001", "account": "acc_00000000000000000000000001", "username": "ann",
            "kind": "internal", "disabled": disabled, "created_at": 0, "version": 1, "token_epoch": 3,
        });
        serde_json::from_value(user).unwrap()
    }

    #[test]
    fn a_code_is_for_its_account_once_and_for_a_minute() {
        let (exchange, other) = (exchange(), AccountId::from_bytes([9; 16]));
        let (ann, disabled) = (user(false), user(true));
        let later = User {
            token_epoch: 4,
            ..ann.clone()
        };
        let admits = |exchange: &Exchange, user, now| exchange.admits(exchange.account, user, now);
        assert_eq!(admits(&exchange, Some(&ann), NOW), Ok(()));
        assert_eq!(
            exchange.admits(other, Some(&ann), NOW),
            Err(ExchangeRefusal::Unknown)
        );
        assert_eq!(
            admits(&exchange, Some(&ann), exchange.expires_at),
            Err(ExchangeRefusal::Expired)
        );
        assert_eq!(
            admits(&exchange, Some(&disabled), NOW),
            Err(ExchangeRefusal::Expired)
        );
        assert_eq!(admits(&exchange, None, NOW), Err(ExchangeRefusal::Expired));
        assert_eq!(
            admits(&exchange, Some(&later), NOW),
            Err(ExchangeRefusal::Expired)
        );
        let used = Exchange {
            used_at: Some(NOW),
            ..exchange
        };
        assert_eq!(admits(&used, Some(&ann), NOW), Err(ExchangeRefusal::Used));
    }

    #[test]
    fn an_address_keeps_its_own_query() {
        let code = Secret::new("otc_x".to_owned());
        for (registered, address) in [
            (
                "https://portal.example/in",
                "https://portal.example/in?code=otc_x",
            ),
            (
                "https://portal.example/in?tenant=a%20b",
                "https://portal.example/in?tenant=a%20b&code=otc_x",
            ),
            (
                "https://portal.example",
                "https://portal.example/?code=otc_x",
            ),
            (
                "http://127.0.0.1:8080/cb?",
                "http://127.0.0.1:8080/cb?code=otc_x",
            ),
        ] {
            assert_eq!(super::address(registered, &code), address);
        }
    }
}
