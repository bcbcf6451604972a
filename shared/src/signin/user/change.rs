//! What a patch makes of a user, and the writes that make it so.

use super::attribute::{PATCHED, VERSION};
use super::credential::{self, Credential};
use super::{Method, User, UserKind, attempts, password, sso_subject};
use crate::account::Locale;
use crate::kernel::clock::Timestamp;
use crate::kernel::contact::Phone;
use crate::kernel::entropy::Entropy;
use crate::kernel::secret::Secret;
use crate::messaging::courier::Changed;
use crate::signin::link;
use crate::store::audit::{Action, Actor, Event};
use crate::store::dynamo::{Failure, Item, Path, Update, Write, document};
use crate::web::http::patch::Member;

/// A patch whose every field is what it has to be.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each is the user's field of that name")]
pub struct Change {
    pub username: Option<String>,
    pub name: Member<String>,
    pub kind: Option<UserKind>,
    pub password_hash: Member<String>,
    pub email: Member<String>,
    pub phone: Member<Phone>,
    pub group: Member<String>,
    pub locale: Member<Locale>,
    pub sso_subject: Member<String>,
    pub disabled: Option<bool>,
}

impl Change {
    /// Takes the password's hash into the change.
    pub async fn hash(
        &mut self,
        password: Member<Secret<String>>,
        entropy: &Entropy,
    ) -> Result<(), password::HashingFailed> {
        self.password_hash = match password {
            Member::Untouched => Member::Untouched,
            Member::Removed => Member::Removed,
            Member::Set(password) => Member::Set(password::hash(password, entropy).await?),
        };
        Ok(())
    }

    /// What comes of `user`. What ends the sign-ins under way ends the access tokens as well.
    ///
    /// A subject that is given is one of `issuer`, the account's own as it is now: given again, it
    /// is the new issuer's.
    pub fn over(&self, user: &User, issuer: Option<&str>, now: Timestamp) -> User {
        let username = self.username.as_ref().unwrap_or(&user.username);
        let mut patched = User {
            username: username.clone(),
            name: self.name.clone().over(user.name.clone()),
            kind: self.kind.unwrap_or(user.kind),
            group: self.group.clone().over(user.group.clone()),
            locale: self.locale.clone().over(user.locale),
            sso_subject: self.sso_subject.clone().over(user.sso_subject.clone()),
            sso_issuer: match self.sso_subject {
                Member::Untouched => user.sso_issuer.clone(),
                Member::Removed => None,
                Member::Set(_) => issuer.map(str::to_owned),
            },
            disabled: self.disabled.unwrap_or(user.disabled),
            version: user.version + 1,
            ..user.clone()
        };
        self.change_email(&mut patched, now);
        self.change_phone(&mut patched, now);
        if self.password_hash != Member::Untouched {
            patched.password_version += 1;
        }
        if self.ends_challenges(user, &patched) {
            patched.token_epoch += 1;
            patched.spared = None;
        }
        patched
    }

    /// What is entered for a user counts at once, and is proved by nobody; what the user was about
    /// to prove is over.
    fn change_email(&self, user: &mut User, now: Timestamp) {
        let email = self.email.clone().over(user.email.clone());
        if email == user.email {
            return;
        }
        user.email = email;
        user.email_since = Some(now);
        user.email_verified = false;
        user.pending_email = None;
    }

    /// The same of the phone. Who once had one had a factor: without the phone, the password alone
    /// is not to enrol another.
    fn change_phone(&self, user: &mut User, now: Timestamp) {
        let before = user.phone.clone().zip(user.phone_country.clone());
        let before = before.map(|(number, country)| Phone { number, country });
        let after = self.phone.clone().over(before);
        let (phone, country) = after.map(|phone| (phone.number, phone.country)).unzip();
        user.phone_country = country;
        if phone == user.phone {
            return;
        }
        user.had_factor |= user.phone.is_some() && phone.is_none();
        user.phone = phone;
        user.phone_since = Some(now);
        user.phone_verified = false;
        user.pending_sms = None;
    }

    /// The fields that differ, by JSON Pointer: what the audit tells, without the values.
    pub fn names(&self, user: &User, patched: &User) -> Result<Vec<&'static str>, Failure> {
        let (before, after) = (attributes(user)?, attributes(patched)?);
        let differs = |(path, field): &(Path, &str)| {
            let name = path.attribute();
            !field.is_empty() && before.get(name) != after.get(name)
        };
        let mut names: Vec<&'static str> = PATCHED
            .iter()
            .filter(|entry| differs(entry))
            .map(|(_, field)| *field)
            .collect();
        names.dedup();
        if self.password_hash != Member::Untouched {
            names.push("/password");
        }
        Ok(names)
    }

    /// The writes, under the condition that the version is the one that was patched.
    ///
    /// `credential` is what moves to another name, `notices` the writes of what tells of the
    /// change. The write that takes the name is the last.
    pub fn writes(
        &self,
        user: &User,
        patched: &User,
        credential: Option<Credential>,
        notices: Vec<Write>,
        event: Event,
        now: Timestamp,
    ) -> Result<Vec<Write>, Failure> {
        let update = user.touch().when(VERSION.is(user.version));
        let update = set_changed(update, user, patched)?;
        let update = if self.ends_challenges(user, patched) {
            User::end_challenges(update)
        } else {
            update
        };
        let update = if self.ends_links(user, patched) {
            link::end_all(update)
        } else {
            update
        };
        let mut writes = user.change(update, [event], now)?;
        writes.extend(sso_subject::change(user, patched)?);
        writes.extend(notices);
        writes.extend(self.name_writes(user, patched, credential)?);
        Ok(writes)
    }

    /// A password or a subject that was right no longer is, or a code went where it no longer
    /// counts, or more is asked of who is now external, or nothing counts any more.
    fn ends_challenges(&self, user: &User, patched: &User) -> bool {
        let moved = user.email != patched.email || user.phone != patched.phone;
        let renamed =
            (&user.sso_subject, &user.sso_issuer) != (&patched.sso_subject, &patched.sso_issuer);
        moved
            || renamed
            || user.kind != patched.kind
            || patched.disabled
            || self.password_hash != Member::Untouched
    }

    /// A link went to a mailbox that no longer counts, or stood in for a password that was since
    /// set, or nothing counts any more.
    fn ends_links(&self, user: &User, patched: &User) -> bool {
        user.email != patched.email || patched.disabled || self.password_hash != Member::Untouched
    }

    fn name_writes(
        &self,
        user: &User,
        patched: &User,
        credential: Option<Credential>,
    ) -> Result<Vec<Write>, Failure> {
        if user.username == patched.username {
            return Ok(self.same_name(user, patched));
        }
        let before = credential.and_then(|credential| credential.password_hash);
        let moved = Credential::of(patched, self.password_hash.clone().over(before));
        let known = attempts::end_known(user.account, &user.username);
        let left = [credential::release(user), known];
        let counts = attempts::begin_anew(user.account, &patched.username);
        let taken = moved.claim(patched)?;
        let deletes = left.into_iter().chain(counts).map(Write::from);
        Ok(deletes.chain([taken.into()]).collect())
    }

    /// The writes beside a name that stays: a new password ends its counts, and the credential has
    /// the password and the group that the user has.
    fn same_name(&self, user: &User, patched: &User) -> Vec<Write> {
        let own = credential::update(user);
        let version = patched.password_version;
        let own = match &self.password_hash {
            Member::Untouched => own,
            Member::Removed => credential::set_password(own, None, version),
            Member::Set(hash) => credential::set_password(own, Some(hash), version),
        };
        let has_moved = patched.group != user.group;
        let own = if has_moved {
            credential::set_group(own, patched.group.as_deref())
        } else {
            own
        };
        let has_new = self.password_hash != Member::Untouched;
        let counts = has_new.then(|| attempts::end_all(user.account, &user.username));
        let counts = counts.into_iter().flatten().map(Write::from);
        let touched = (has_new || has_moved).then(|| own.into());
        counts.chain(touched).collect()
    }
}

/// Adds to an update what differs. Each attribute is set by itself: the counts of attempts, on the
/// same item, go on meanwhile.
fn set_changed(mut update: Update, user: &User, patched: &User) -> Result<Update, Failure> {
    let (before, mut after) = (attributes(user)?, attributes(patched)?);
    for (path, _) in PATCHED {
        let value = after.remove(path.attribute());
        if value.as_ref() != before.get(path.attribute()) {
            update = update.set_or_remove(path, value);
        }
    }
    Ok(update)
}

/// The audit entry of a change. Of the values it tells where codes go now, masked.
pub fn event(changed: &[&'static str], patched: &User, actor: Actor) -> Event {
    let event = Event::new(Action::UserChanged, actor).with("changed", changed);
    [
        ("/email", "email", Method::Email),
        ("/phone", "phone", Method::Sms),
    ]
    .into_iter()
    .fold(event, |event, (field, name, method)| {
        match patched
            .masked_destination(method)
            .filter(|_| changed.contains(&field))
        {
            Some(masked) => event.with(name, masked),
            None => event,
        }
    })
}

/// What of a change its user is told: how they sign in, and not what else they are.
pub fn told(changed: &[&'static str], patched: &User) -> Vec<Changed> {
    let tell = |field: &&str| match *field {
        "/email" => Some(Changed::Email(patched.masked_destination(Method::Email))),
        "/phone" => Some(Changed::Phone(patched.masked_destination(Method::Sms))),
        "/password" => Some(Changed::Password),
        "/username" => Some(Changed::Username),
        "/sso_subject" => Some(Changed::SingleSignOn(patched.sso_subject.is_some())),
        _ => None,
    };
    changed.iter().filter_map(tell).collect()
}

fn attributes(user: &User) -> Result<Item, Failure> {
    Ok(document(user)?.as_m().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::contact;
    use serde_json::{Value, json};

    fn user() -> User {
        let user = json!({
            "id": "usr_00000000000000000000000001", "account": "acc_00000000000000000000000001", "username": "ann",
            "kind": "internal", "phone": "+12025550100", "phone_country": "US", "group": "escrow", "disabled": false,
            "created_at": 0, "version": 4,
        });
        serde_json::from_value(user).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a patch is written where it is given"
    )]
    fn change(patch: Value) -> Change {
        let member = |name: &str| match patch.get(name) {
            None => Member::Untouched,
            Some(Value::Null) => Member::Removed,
            Some(value) => Member::Set(value.as_str().unwrap().to_owned()),
        };
        Change {
            username: patch["username"].as_str().map(str::to_lowercase),
            email: member("email"),
            phone: member("phone").filter_map(|text| contact::phone(&text).ok()),
            group: member("group"),
            disabled: patch["disabled"].as_bool(),
            kind: serde_json::from_value(patch["kind"].clone()).ok(),
            sso_subject: member("sso_subject"),
            ..Change::default()
        }
    }

    fn over(change: &Change) -> User {
        change.over(&user(), None, NOW)
    }

    fn names(patch: Value) -> Vec<&'static str> {
        let change = change(patch);
        change.names(&user(), &over(&change)).unwrap()
    }

    #[test]
    fn what_is_not_named_or_stays_as_it_was_is_no_change() {
        assert_eq!(names(json!({})), [""; 0]);
        assert_eq!(
            names(json!({"username": "ANN", "group": "escrow", "email": null})),
            [""; 0]
        );
        assert_eq!(
            names(json!({"group": null, "phone": "+14165550100"})),
            ["/phone", "/group"]
        );
    }

    #[test]
    fn who_loses_the_phone_has_had_a_factor() {
        let removed = over(&change(json!({"phone": null})));
        assert_eq!(
            (removed.phone, removed.phone_country, removed.had_factor),
            (None, None, true)
        );
        let replaced = over(&change(json!({"phone": "+14165550100"})));
        assert_eq!(
            (replaced.phone_country.as_deref(), replaced.had_factor),
            (Some("CA"), false)
        );
        assert_eq!(
            (replaced.phone_since, replaced.email_since),
            (Some(NOW), None)
        );
    }

    #[test]
    fn another_mailbox_or_password_or_being_disabled_ends_what_was_mailed_and_a_phone_does_not() {
        let ends = |patch| {
            let change = change(patch);
            change.ends_links(&user(), &over(&change))
        };
        assert!(ends(json!({"disabled": true})));
        assert!(ends(json!({"email": "ann@example.com"})));
        assert!(!ends(json!({"phone": "+14165550100", "group": "sales"})));
    }

    #[test]
    fn another_destination_or_being_disabled_ends_what_is_open_and_a_group_does_not() {
        let ends = |patch| {
            let change = change(patch);
            change.ends_challenges(&user(), &over(&change))
        };
        assert!(ends(json!({"disabled": true})));
        assert!(ends(json!({"phone": "+14165550100"})));
        assert!(ends(json!({"email": "ann@example.com"})));
        assert!(ends(json!({"kind": "external"})));
        assert!(ends(json!({"sso_subject": "00u1"})));
        assert!(!ends(
            json!({"group": "sales", "username": "anna", "kind": "internal"})
        ));
    }

    #[test]
    fn what_ends_the_sign_ins_ends_the_tokens_and_the_one_that_was_spared() {
        let signed_in = User {
            spared: Some("jti".into()),
            token_epoch: 3,
            ..user()
        };
        let over = |patch| change(patch).over(&signed_in, None, NOW);
        let other = over(json!({"phone": "+14165550100"}));
        assert_eq!((other.token_epoch, other.spared), (4, None));
        let same = over(json!({"group": "sales"}));
        assert_eq!((same.token_epoch, same.spared.as_deref()), (3, Some("jti")));
    }
}
