//! The account that a request is about: once it is read, its pages may read the answer.

use super::Account;
use crate::kernel::ids::AccountId;
use crate::store::dynamo::{Failure, Item, Key, KeyOf, Wanted, keys};
use crate::web::http::Call;

/// The account that a call is about, to be read.
#[derive(Debug)]
pub struct Concerned<'a> {
    call: &'a Call,
    account: KeyOf<Account>,
}

impl Account {
    /// The account that `call` is about, to be read. Whatever is answered from then on, a refusal
    /// too, the account's origins may read (CORS). They are set here and nowhere else.
    pub fn concerned(call: &Call, id: AccountId) -> Concerned<'_> {
        let account = keys::account(id).holding();
        Concerned { call, account }
    }
}

impl Wanted for Concerned<'_> {
    type Found = Option<Account>;

    fn enter(&self, keys: &mut Vec<Key>) {
        self.account.enter(keys);
    }

    fn take(self, items: &mut impl Iterator<Item = Option<Item>>) -> Result<Self::Found, Failure> {
        let account = self.account.take(items)?;
        if let Some(account) = &account {
            self.call.allow_origins(account.settings()?.origins);
        }
        Ok(account)
    }
}
