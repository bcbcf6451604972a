//! Members of a JSON Merge Patch: one that is not there is left alone, one that is `null` is taken
//! away.

use serde::{Deserialize, Deserializer};

/// A member that may be taken away. With `#[serde(default)]`: without it, one that is not there
/// would be missed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Member<T> {
    /// It is not in the patch.
    #[default]
    Untouched,
    /// It is `null`.
    Removed,
    /// It has a new value.
    Set(T),
}

impl<T> Member<T> {
    /// What comes of `before`.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Untouched => before,
            Self::Removed => None,
            Self::Set(after) => Some(after),
        }
    }

    /// The same with another value. One that `change` makes nothing of is left untouched.
    pub fn filter_map<U>(self, change: impl FnOnce(T) -> Option<U>) -> Member<U> {
        match self {
            Self::Untouched => Member::Untouched,
            Self::Removed => Member::Removed,
            Self::Set(value) => change(value).map_or(Member::Untouched, Member::Set),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Removed, Self::Set))
    }
}

/// Reads a member that may be left out and not taken away: for `#[serde(default, deserialize_with =
/// "given")]`. An `Option` alone would take `null` for a member that is not there.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Patch {
        #[serde(default, deserialize_with = "given")]
        name: Option<String>,
        #[serde(default)]
        phone: Member<String>,
    }

    #[test]
    fn what_is_not_there_is_told_from_null() {
        let read = |text| serde_json::from_str::<Patch>(text);
        assert_eq!(
            read("{}").unwrap(),
            Patch {
                name: None,
                phone: Member::Untouched
            }
        );
        assert_eq!(read(r#"{"phone":null}"#).unwrap().phone, Member::Removed);
        assert_eq!(
            read(r#"{"phone":"1"}"#).unwrap().phone,
            Member::Set("1".into())
        );
        assert!(read(r#"{"name":null}"#).is_err());
    }
}
