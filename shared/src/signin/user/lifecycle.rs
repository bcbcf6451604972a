//! How a user comes and goes, and what an administrator lifts of the factors.

use std::collections::BTreeMap;

use super::attribute::RESET_AT;
use super::credential::{self, Credential};
use super::factor::clear;
use super::known::{Known, Origin};
use super::refused::RefusalReport;
use super::{Factor, Method, User, UserKind, attempts, sso_subject};
use crate::kernel::clock::Timestamp;
use crate::kernel::ids::{AccountId, UserId};
use crate::signin::reserved;
use crate::store::audit::{Chain, Event, Head};
use crate::store::dynamo::{Condition, Delete, Failure, Put, Stored, Write, keys};

impl User {
    /// A new user, of whom nothing else is known. The maps stand ready, because an update can only
    /// reach into one that is there.
    pub fn new(
        id: UserId,
        account: AccountId,
        username: String,
        kind: UserKind,
        now: Timestamp,
    ) -> Self {
        let factor = |method: Method| (method.name().to_owned(), Factor::default());
        Self {
            id,
            account,
            username,
            name: None,
            kind,
            group: None,
            email: None,
            phone: None,
            phone_country: None,
            phone_since: None,
            email_since: None,
            phone_verified: false,
            email_verified: false,
            pending_sms: None,
            pending_email: None,
            phone_changes: Vec::new(),
            email_changes: Vec::new(),
            sends: reserved::Log::default(),
            locale: None,
            sso_subject: None,
            sso_issuer: None,
            disabled: false,
            created_at: now,
            version: 1,
            had_factor: false,
            reset_at: None,
            token_epoch: 0,
            spared: None,
            password_version: 0,
            app: None,
            enrolment: None,
            recovery: None,
            factors: Method::ALL.into_iter().map(factor).collect(),
            challenges: BTreeMap::new(),
            link_generation: 0,
            known: Known::default(),
            refusals: RefusalReport::default(),
            head: Head::default(),
        }
    }

    /// The writes of a new user, under the conditions that nobody has the id, the username or the
    /// subject; the user's head is what it is from then on. Whatever was tried with the username
    /// before, nobody had it.
    pub fn create(
        &mut self,
        password_hash: Option<String>,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(self.account, self.id, &self.head);
        chain.append(event, now)?;
        chain.head().clone_into(&mut self.head);
        let user = Put::create(keys::user(self.id), self)?;
        let credential = Credential::of(self, password_hash).claim(self)?;
        let user = user.listed(keys::users(self.account), self.id.to_string());
        let mut writes = vec![user.into(), credential.into()];
        writes.extend(chain.writes()?);
        writes.extend(sso_subject::claim(self)?.map(Write::from));
        writes.extend(attempts::begin_anew(self.account, &self.username).map(Write::from));
        Ok(writes)
    }

    /// The writes that delete the user as they were read, with the username and the subject. The
    /// audit entries stay, and what strangers tried with the name.
    pub fn delete(&self, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
        let mut chain = Chain::of(self.account, self.id, &self.head);
        chain.append(event, now)?;
        let user = Delete::of(keys::user(self.id))
            .when(Condition::item_exists())
            .when(chain.unmoved());
        let mut writes = vec![
            user.into(),
            credential::release(self).into(),
            attempts::end_known(self.account, &self.username).into(),
        ];
        writes.extend(chain.writes()?);
        writes.extend(sso_subject::release(self).map(Write::from));
        Ok(writes)
    }

    /// The user once an administrator has lifted the delays and locks of the password and of every
    /// factor, and the writes that lift them.
    pub fn unlock(&self, event: Event, now: Timestamp) -> Result<(Self, Vec<Write>), Failure> {
        let counted = Method::ALL
            .into_iter()
            .filter(|method| self.factors.contains_key(method.name()));
        let update = counted.fold(self.touch(), |update, method| {
            clear(update, method, Origin::Known)
        });
        let mut writes = self.change(update, [event], now)?;
        writes.extend(attempts::end_all(self.account, &self.username).map(Write::from));
        Ok((self.after(&writes)?, writes))
    }

    /// The writes of an administrator's reset, for who has lost the app: app and recovery codes are
    /// gone, and so are the sign-ins under way and the access tokens. Who signed in before may not
    /// enrol another.
    pub fn reset(&self, event: Event, now: Timestamp) -> Result<Vec<Write>, Failure> {
        let update = Self::end_challenges(self.end_tokens(self.without_app()));
        self.change(update.set(RESET_AT, now), [event], now)
    }
}
