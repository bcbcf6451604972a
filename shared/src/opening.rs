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
    let (ticket, token) = Ticket::issue(user, keyring, entropy, now)?;
    let update = user.touch().and(", #challenges.#c = :challenge").name("c", ticket.name.as_str());
    let update = update.value("challenge", document(challenge)?).set_due(challenge.expires_at);
    let update = displaced(user, now).into_iter().enumerate().fold(update, |update, (index, name)| {
        update.remove(format!("#challenges.#old{index}")).name(&format!("old{index}"), name)
    });
    Ok((update, Owed::new(token, offers)))
}

/// The challenges to be removed with the opening of a new one: some of those that are over, and the oldest where there are too many.
///
/// One that was completed goes last: the others of its link are told from it that the link is spent, and a password may be set with it.
fn displaced(user: &User, now: Timestamp) -> Vec<&str> {
    let over = user.challenges.iter().filter(|(_, challenge)| challenge.expires_at <= now);
    let mut names: Vec<&str> = over.map(|(name, _)| name.as_str()).take(PRUNED_AT_ONCE).collect();
    if user.challenges.len() - names.len() >= KEPT_MAX {
        let open = user.challenges.iter().filter(|(_, challenge)| challenge.expires_at > now);
        names.extend(
            open.min_by_key(|(_, challenge)| (challenge.used_at.is_some(), challenge.opened_at)).map(|(name, _)| name.as_str()),
        );
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Span;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn the_oldest_makes_room_and_one_that_was_completed_last() {
        let user = json!({
            "id": "usr_00000000000000000000000001", "account": "acc_00000000000000000000000001", "username": "ann",
            "kind": "external", "disabled": false, "created_at": 0, "version": 1,
        });
        let mut user: User = serde_json::from_value(user).unwrap();
        for number in 0..KEPT_MAX {
            assert_eq!(displaced(&user, NOW), Vec::<&str>::new());
            let opened_at = NOW.minus(Span::seconds(100)).plus(Span::seconds(i64::try_from(number).unwrap()));
            let used_at = (number == 0).then_some(NOW);
            user.challenges.insert(format!("{number:02}"), Challenge { used_at, ..Challenge::open(opened_at) });
        }
        assert_eq!(displaced(&user, NOW), ["01"]);
        user.challenges.retain(|name, _| name == "00");
        assert_eq!(displaced(&user, NOW.plus(Span::minutes(10))), ["00"], "what is over goes");
    }
}
