//! Identifiers: a prefix that says what is named, then 26 characters of Crockford's base 32 over a
//! time and 80 random bits (the ULID layout), so that a listing by id is a listing by age.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kernel::clock::Timestamp;
use crate::kernel::entropy::Entropy;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// What an id names; the prefix is part of the text.
pub trait IdKind {
    /// `acc`, `usr`, ...
    const PREFIX: &'static str;
}

/// An id of one kind. Ids of two kinds are not confused: they are two types.
pub struct Id<K> {
    raw: u128,
    kind: PhantomData<fn() -> K>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $id:ident $prefix:literal;)*) => {$(
        #[doc = concat!("What `", $prefix, "_` ids name.")]
        #[derive(Clone, Copy, Debug)]
        pub enum $kind {}
        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $id = Id<$kind>;
    )*};
}

kinds! {
    /// A client organisation.
    AccountKind AccountId "acc";
    /// Somebody who signs in.
    UserKind UserId "usr";
    /// An API key, named by the start of its fingerprint.
    KeyKind KeyId "key";
    /// An authenticator app.
    FactorKind FactorId "fac";
    /// An agreement, named by its account and its sender's idempotency key.
    AgreementKind AgreementId "agr";
    /// A recipient of an agreement.
    RecipientKind RecipientId "rcp";
    /// A session of knowledge-based authentication.
    SessionKind SessionId "kba";
    /// A one-time link: what the audit names it by, and no part of its token.
    LinkKind LinkId "link";
    /// A purchase of prepaid transactions.
    TopupKind TopupId "top";
    /// A request, where API Gateway gave none.
    RequestKind RequestId "req";
}

impl<K: IdKind> Id<K> {
    /// A new id.
    pub fn new(now: Timestamp, entropy: &Entropy) -> Self {
        let random: [u8; 10] = entropy.bytes();
        let random = random
            .iter()
            .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        let millis = u128::from(now.as_millis().unsigned_abs() & ((1 << 48) - 1));
        Self::from_raw(millis << 80 | random)
    }

    /// When it was made, as an id of [`Id::new`] says.
    pub fn made_at(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.raw >> 80).unwrap_or_default())
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_raw(u128::from_be_bytes(bytes))
    }

    /// The 16 bytes, as tokens carry them.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.raw.to_be_bytes()
    }

    const fn from_raw(raw: u128) -> Self {
        Self {
            raw,
            kind: PhantomData,
        }
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        (0..LENGTH).rev().try_for_each(|place| {
            let digit = (self.raw >> (place * 5)) as usize & 31;
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            fmt::Write::write_char(f, char::from(letter))
        })
    }
}

/// The text is no id of this kind.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidId;

impl<K: IdKind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or(InvalidId)?;
        let (first, _) = digits.as_bytes().split_first().ok_or(InvalidId)?;
        // 26 digits of five bits are 130: the first must fit in the remaining three.
        if digits.len() != LENGTH || *first > b'7' {
            return Err(InvalidId);
        }
        let digit = |byte: u8| {
            ALPHABET
                .iter()
                .position(|letter| *letter == byte)
                .ok_or(InvalidId)
        };
        digits
            .bytes()
            .try_fold(0_u128, |sum, byte| Ok(sum << 5 | digit(byte)? as u128))
            .map(Self::from_raw)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.raw.cmp(&other.raw)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|InvalidId| {
            serde::de::Error::custom(format_args!(
                "must be an id that begins with `{}_`",
                K::PREFIX
            ))
        })
    }
}

impl<K: IdKind> utoipa::PartialSchema for Id<K> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!(
                "^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
                K::PREFIX
            )))
            .examples([serde_json::json!(format!(
                "{}_01jd3v7c3kq2m8x5t9r4w6y0ab",
                K::PREFIX
            ))])
            .into()
    }
}

impl<K: IdKind> utoipa::ToSchema for Id<K> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("{}Id", K::PREFIX).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back(bytes: [u8; 16]) {
            let id = AccountId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<AccountId>(), Ok(id));
            prop_assert_eq!(id.to_bytes(), bytes);
        }

        #[test]
        fn what_is_no_id_is_refused_without_a_panic(text: String) {
            if let Ok(id) = text.parse::<UserId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = AccountId::from_bytes([9; 16]).to_string();
        assert_eq!(id.parse::<UserId>(), Err(InvalidId));
    }

    #[test]
    fn ids_sort_by_age() {
        let entropy = Entropy::seeded(3);
        let older = UserId::new(Timestamp::from_millis(1_000), &entropy).to_string();
        let newer = UserId::new(Timestamp::from_millis(1_001), &entropy).to_string();
        assert!(older < newer);
    }
}
