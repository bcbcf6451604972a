//! Opening a challenge on its user's item, whatever the first factor was.

use crate::challenge::{Challenge, KEPT_MAX, Ticket};
use crate::clock::Timestamp;
use crate::dynamo::{Write, document};
use crate::entropy::Entropy;
use crate::http::Problem;
use crate::keyring::Keyring;
use crate::sign_in::{Offer, Owed};
use crate::user::User;

/// How many challenges that are over are removed with the opening of a new one; the clean-up takes the rest.
const PRUNED_AT_ONCE: usize = 20;

/// The update that opens `challenge`, and removes some that are over; and what is answered.
pub fn open(
    user: &User,
    challenge: &Challenge,
    offers: Vec<Offer>,
    keyring: &Keyring,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<(Write, Owed), Problem> {
    let (ticket, token) = Ticket::issue(user.account, user.id, user.group.as_deref(), keyring, entropy, now)?;
    let update = user.touch().and(", #challenges.#c = :challenge").name("c", ticket.name.as_str());
    let update = update.value("challenge", document(challenge)?).set_due(challenge.expires_at);
    let update = displaced(user, now).into_iter().enumerate().fold(update, |update, (index, name)| {
        update.remove(format!("#challenges.#old{index}")).name(&format!("old{index}"), name)
    });
    Ok((update, Owed::new(token, offers)))
}

/// The challenges to be removed with the opening of a new one: some of those that are over, and the oldest where there are too many.
fn displaced(user: &User, now: Timestamp) -> Vec<&str> {
    let over = user.challenges.iter().filter(|(_, challenge)| challenge.expires_at <= now);
    let mut names: Vec<&str> = over.map(|(name, _)| name.as_str()).take(PRUNED_AT_ONCE).collect();
    if user.challenges.len() - names.len() >= KEPT_MAX {
        let open = user.challenges.iter().filter(|(_, challenge)| challenge.expires_at > now);
        names.extend(open.min_by_key(|(_, challenge)| challenge.opened_at).map(|(name, _)| name.as_str()));
    }
    names
}
