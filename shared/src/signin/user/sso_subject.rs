//! The subject of ID tokens by which a user signs in: an item of its own, so that one subject is
//! one user.

use super::User;
use super::attribute::SSO_ISSUER;
use crate::account::Settings;
use crate::signin::sso::{Identity, Subject};
use crate::store::dynamo::{Delete, Failure, Key, Put, Update, Write};
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
    Problem::new(Slug::SsoSubjectTaken).field("/sso_subject", "is taken")
}

/// The write that gives a user the subject.
pub(super) fn claim(user: &User) -> Result<Option<Put>, Failure> {
    let claim =
        |subject: &String| stored(user).claim(user.account, user.sso_issuer.as_deref(), subject);
    user.sso_subject.as_ref().map(claim).transpose()
}

/// The write that takes it away.
pub(super) fn release(user: &User) -> Option<Delete> {
    key(user).map(|key| Delete::of(key).when(Subject::is_of(user.id)))
}

/// Whether a change failed because the subject that it claims is somebody else's.
pub fn is_claimed(before: &User, after: &User, failure: &Failure) -> bool {
    let new = key(after).filter(|new| key(before).as_ref() != Some(new));
    new.is_some_and(|new| failure.stood_at(&new).is_some())
}

/// The writes that make of the subject before what it is after.
pub(super) fn change(before: &User, after: &User) -> Result<Vec<Write>, Failure> {
    let (old, new) = (key(before), key(after));
    if old != new {
        let released = release(before).map(Write::from);
        let claimed = claim(after)?.map(Write::from);
        return Ok(released.into_iter().chain(claimed).collect());
    }
    let moved = new.filter(|_| before.group != after.group).map(|key| {
        let update = Update::of(key).when(Subject::is_of(after.id));
        Subject::set_group(update, after.group.as_deref()).into()
    });
    Ok(moved.into_iter().collect())
}

/// Whether this user is who a token names: the subject is still theirs, and of no other issuer.
pub fn is_named(user: &User, identity: &Identity) -> bool {
    let issuer = user
        .sso_issuer
        .as_ref()
        .is_none_or(|issuer| *issuer == identity.issuer);
    issuer && user.sso_subject.as_ref() == Some(&identity.subject)
}

/// Adds to an update of the user's item that their subject is one of this issuer from now on: it
/// was given before the account had one.
#[must_use]
pub fn bind(update: Update, issuer: &str) -> Update {
    update.set(SSO_ISSUER, issuer)
}

/// The writes beside it: the subject of that issuer becomes the user's, if it is nobody's, and the
/// one without an issuer is given up, under the condition that it is theirs.
pub fn bound(user: &User, issuer: &str, subject: &str) -> Result<[Write; 2], Failure> {
    let unbound = Delete::of(Subject::key(user.account, None, subject));
    let bound = stored(user).claim(user.account, Some(issuer), subject)?;
    Ok([bound.into(), unbound.when(Subject::is_of(user.id)).into()])
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
