//! The subject of ID tokens by which a user signs in: an item of its own, so that one subject is
//! one user.

use super::User;
use crate::account::Settings;
use crate::signin::sso::Subject;
use crate::store::dynamo::{Failure, Key, Write};
use crate::web::http::{Problem, Slug};

/// The issuer that a user's subject is one of: the account's, as it is now.
pub fn issuer(user: &User, settings: &Settings) -> Option<String> {
    user.sso_subject
        .as_ref()
        .and(settings.sso.as_ref())
        .map(|sso| sso.issuer.clone())
}

/// The refusal of a subject that is somebody else's.
pub fn taken() -> Problem {
    Problem::new(Slug::SsoSubjectTaken).field("/sso_subject", "is somebody else's")
}

/// The write that gives a user the subject.
pub fn claim(user: &User) -> Result<Option<Write>, Failure> {
    let claim =
        |subject: &String| stored(user).claim(user.account, user.sso_issuer.as_deref(), subject);
    user.sso_subject.as_ref().map(claim).transpose()
}

/// The write that takes it away.
pub fn release(user: &User) -> Option<Write> {
    key(user).map(|key| own(Write::delete(key), user))
}

/// Whether a change failed because the subject that it claims is somebody else's.
pub fn is_claimed(before: &User, after: &User, failure: &Failure) -> bool {
    let new = key(after).filter(|new| key(before).as_ref() != Some(new));
    new.is_some_and(|new| failure.stood_at(&new).is_some())
}

/// The writes that make of the subject before what it is after.
pub fn change(before: &User, after: &User) -> Result<Vec<Write>, Failure> {
    let (old, new) = (key(before), key(after));
    if old != new {
        return Ok(release(before).into_iter().chain(claim(after)?).collect());
    }
    let moved = new.filter(|_| before.group != after.group).map(|key| {
        let update = match &after.group {
            Some(group) => Write::update(key, "SET #group = :group").value("group", group.as_str()),
            None => Write::update(key, "").remove("#group"),
        };
        own(update, after)
    });
    Ok(moved.into_iter().collect())
}

/// The item of the user's subject.
pub fn key(user: &User) -> Option<Key> {
    user.sso_subject
        .as_ref()
        .map(|subject| Subject::key(user.account, user.sso_issuer.as_deref(), subject))
}

fn stored(user: &User) -> Subject {
    Subject {
        user: user.id,
        group: user.group.clone(),
    }
}

fn own(write: Write, user: &User) -> Write {
    write
        .when("#user = :user")
        .value("user", user.id.to_string())
}
