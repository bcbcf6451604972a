//! Reads that say what they look for: whoever asks says with each key as what its item is read.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::{Failure, Item, Key, Table, read};

/// The key of an item of this type.
#[derive(Debug)]
pub struct KeyOf<T> {
    key: Key,
    of: PhantomData<fn() -> T>,
}

impl Key {
    /// The same key, of an item that is read as a `T`.
    pub const fn holding<T>(self) -> KeyOf<T> {
        KeyOf {
            key: self,
            of: PhantomData,
        }
    }
}

/// The key of an item of this type, where no item is as good as an empty one.
#[derive(Debug)]
pub struct OrDefault<T>(KeyOf<T>);

impl<T> KeyOf<T> {
    /// The same, where the type's default stands for an item that is not there.
    pub const fn or_default(self) -> OrDefault<T> {
        OrDefault(self)
    }
}

/// What is to be read in one request: a [`KeyOf`], a [`Key`] of an item that stays as it is stored,
/// what a noun makes of several, some of these as a tuple or a `Vec`, or one that may not be
/// wanted.
pub trait Wanted {
    /// What is found: each item, if it is there.
    type Found;

    /// Enters the keys, in order.
    fn enter(&self, keys: &mut Vec<Key>);

    /// Takes what was found at the keys, in that order.
    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure>;
}

impl<T: DeserializeOwned> Wanted for KeyOf<T> {
    type Found = Option<T>;

    fn enter(&self, keys: &mut Vec<Key>) {
        keys.push(self.key.clone());
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        items.next().flatten().map(read).transpose()
    }
}

impl<T: DeserializeOwned + Default> Wanted for OrDefault<T> {
    type Found = T;

    fn enter(&self, keys: &mut Vec<Key>) {
        self.0.enter(keys);
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        self.0.take(items).map(Option::unwrap_or_default)
    }
}

/// The item as it is stored.
impl Wanted for Key {
    type Found = Option<Item>;

    fn enter(&self, keys: &mut Vec<Key>) {
        keys.push(self.clone());
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        Ok(items.next().flatten())
    }
}

/// What may not be wanted is not found then.
impl<T, W: Wanted<Found = Option<T>>> Wanted for Option<W> {
    type Found = Option<T>;

    fn enter(&self, keys: &mut Vec<Key>) {
        if let Some(wanted) = self {
            wanted.enter(keys);
        }
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        self.map_or(Ok(None), |wanted| wanted.take(items))
    }
}

impl<W: Wanted> Wanted for Vec<W> {
    type Found = Vec<W::Found>;

    fn enter(&self, keys: &mut Vec<Key>) {
        for wanted in self {
            wanted.enter(keys);
        }
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        self.into_iter().map(|wanted| wanted.take(items)).collect()
    }
}

/// Nothing is wanted.
impl Wanted for () {
    type Found = ();

    fn enter(&self, _: &mut Vec<Key>) {}

    fn take(self, _: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        Ok(())
    }
}

macro_rules! wanted_together {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Wanted),*> Wanted for ($($name,)*) {
            type Found = ($($name::Found,)*);

            fn enter(&self, keys: &mut Vec<Key>) {
                $(self.$place.enter(keys);)*
            }

            fn take(
                self,
                items: &mut impl Iterator<Item = Option<Item>>,
            ) -> Result<Self::Found, Failure> {
                Ok(($(self.$place.take(items)?,)*))
            }
        }
    };
}
wanted_together!(A 0, B 1);
wanted_together!(A 0, B 1, C 2);
wanted_together!(A 0, B 1, C 2, D 3);
wanted_together!(A 0, B 1, C 2, D 3, E 4);

impl Table {
    /// What is wanted, as it stands now, in one request: `GetItem` for one key, `BatchGetItem` for
    /// more, none for no key. Several items are each as at a moment of its own: that is no
    /// snapshot. All of them are decoded before anything is judged: one that cannot be read fails
    /// the request.
    pub async fn find<W: Wanted>(&self, wanted: W) -> Result<W::Found, Failure> {
        let items = match <[Key; 1]>::try_from(keys_of(&wanted)) {
            Ok([key]) => vec![self.get(key).await?],
            Err(keys) => self.get_all(keys).await?,
        };
        found(wanted, items)
    }

    /// The same, by `BatchGetItem` however many keys there are: a request whose keys depend on who
    /// asks is then of one kind, and its time tells nobody how many there were.
    pub async fn find_batch<W: Wanted>(&self, wanted: W) -> Result<W::Found, Failure> {
        let items = self.get_all(keys_of(&wanted)).await?;
        found(wanted, items)
    }

    /// What stands at the keys of a listing, in that order. The index follows the table with a
    /// delay: what it names may be gone already. An empty page costs no request.
    pub async fn find_listed<T: DeserializeOwned>(
        &self,
        listed: Vec<Key>,
    ) -> Result<Vec<T>, Failure> {
        let items = self.get_all(listed).await?;
        items.into_iter().flatten().map(read).collect()
    }

    /// What is wanted, as it stands at one instant. A conflict is to be tried again.
    pub async fn find_snapshot<W: Wanted>(&self, wanted: W) -> Result<W::Found, Failure> {
        let items = self.get_snapshot(keys_of(&wanted)).await?;
        found(wanted, items)
    }
}

/// What was wanted, of the items at its keys. What it takes is what it has entered.
fn found<W: Wanted>(wanted: W, items: Vec<Option<Item>>) -> Result<W::Found, Failure> {
    let mut items = items.into_iter();
    let found = wanted.take(&mut items)?;
    debug_assert!(items.next().is_none(), "more was entered than taken");
    Ok(found)
}

fn keys_of(wanted: &impl Wanted) -> Vec<Key> {
    let mut keys = Vec::new();
    wanted.enter(&mut keys);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dynamo::document;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Named {
        name: String,
    }

    fn key(address: &str) -> Key {
        super::super::keys::client_ip_sends(address)
    }

    fn item(name: &str) -> Option<Item> {
        document(&named(name)).unwrap().as_m().ok().cloned()
    }

    fn named(name: &str) -> Named {
        let name = name.to_owned();
        Named { name }
    }

    #[test]
    fn each_finds_what_stands_at_its_own_keys() {
        let wanted = (
            key("a").holding::<Named>(),
            None::<KeyOf<Named>>,
            vec![key("b").holding::<Named>(), key("c").holding()],
            (key("d").holding::<Named>().or_default(), Some(key("e"))),
            (),
        );
        assert_eq!(
            keys_of(&wanted),
            [key("a"), key("b"), key("c"), key("d"), key("e")]
        );
        let items = vec![item("Ann"), item("Bob"), None, None, item("Eve")];
        let (a, unwanted, several, (d, e), ()) = found(wanted, items).unwrap();
        assert_eq!((a, unwanted), (Some(named("Ann")), None));
        assert_eq!(several, [Some(named("Bob")), None]);
        assert_eq!((d, e), (Named::default(), item("Eve")));
    }

    #[test]
    fn an_item_that_cannot_be_read_fails_the_request() {
        let wanted = (key("a").holding::<Named>(), key("b").holding::<Named>());
        assert!(found(wanted, vec![item("Ann"), Some(Item::new())]).is_err());
    }
}
