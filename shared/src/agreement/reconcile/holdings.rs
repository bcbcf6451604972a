//! What recipients hold, against what the entries have left reserved.
//!
//! A transaction that is reserved belongs to one recipient, whose item says so, until it is
//! consumed or released. So of each agreement the entries leave reserved just what its recipients
//! hold, on the same shards, and nothing where it has ended; and of each recipient one transaction
//! is reserved, and not yet released or consumed, at most.
//!
//! An agreement that changes while it is looked at is looked at again by itself, at one instant:
//! its chain, which every change of it moves, says which of its entries had been made by then
//! ([`Entry::sequence`]).

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Difference, RecipientSums, Sums, entries};
use crate::agreement::{FullAgreement, Recipient, Status};
use crate::kernel::entropy::Entropy;
use crate::kernel::ids::AccountId;
use crate::ledger::entry::Entry;
use crate::store::dynamo::{Failure, Table};

/// How many agreements are read at once.
const AT_ONCE: usize = 8;

/// What does not agree between what recipients hold and what the entries of their agreements add up
/// to.
///
/// It reads the agreements that entries name. Where one of them does not agree, because it has
/// changed since its entries were read or because something is wrong with it, it is read again,
/// with all of its recipients at one instant, and then its entries.
pub async fn differences(
    table: &Table,
    entropy: &Entropy,
    account: AccountId,
    sums: &Sums,
) -> Result<Vec<Difference>, Failure> {
    let each = stream::iter(sums.agreements.keys()).map(|agreement| async move {
        let whole = read(table, agreement).await?;
        let agrees = of(agreement, whole.as_ref(), sums).is_empty();
        Ok::<_, Failure>((!agrees).then(|| agreement.clone()))
    });
    let doubtful: Vec<Option<String>> = each.buffered(AT_ONCE).try_collect().await?;
    let doubtful: Vec<String> = doubtful.into_iter().flatten().collect();
    if doubtful.is_empty() {
        Ok(Vec::new())
    } else {
        again(table, entropy, account, doubtful).await
    }
}

/// The same of some agreements alone, each as it stands at an instant of its own.
async fn again(
    table: &Table,
    entropy: &Entropy,
    account: AccountId,
    doubtful: Vec<String>,
) -> Result<Vec<Difference>, Failure> {
    let each = stream::iter(doubtful).map(|agreement| async move {
        let whole = match read(table, &agreement).await? {
            Some(whole) => whole.at_one_instant(table, entropy).await?,
            None => None,
        };
        Ok::<_, Failure>((agreement, whole))
    });
    let wholes: BTreeMap<String, Option<FullAgreement>> =
        each.buffered(AT_ONCE).try_collect().await?;
    let mut sums = Sums::default();
    entries(table, account, |entry| {
        let whole = wholes.get(entry.agreement.as_deref().unwrap_or_default());
        if whole.is_some_and(|whole| whole.as_ref().is_none_or(|whole| was_made_by(entry, whole))) {
            sums.add(entry);
        }
    })
    .await?;
    Ok(wholes
        .iter()
        .flat_map(|(agreement, whole)| of(agreement, whole.as_ref(), &sums))
        .collect())
}

/// Whether an entry had been made when the agreement stood so.
fn was_made_by(entry: &Entry, whole: &FullAgreement) -> bool {
    entry
        .sequence
        .is_none_or(|sequence| sequence <= whole.agreement.head.sequence)
}

async fn read(table: &Table, agreement: &str) -> Result<Option<FullAgreement>, Failure> {
    match agreement.parse() {
        Ok(id) => FullAgreement::read(table, id).await,
        Err(_) => Ok(None),
    }
}

/// What does not agree of one agreement; none where there is no such agreement, of which nothing
/// may be left reserved.
fn of(agreement: &str, whole: Option<&FullAgreement>, sums: &Sums) -> Vec<Difference> {
    let recipients = whole
        .map(|whole| whole.recipients.as_slice())
        .unwrap_or_default();
    let is_open = whole.is_some_and(|it| it.agreement.status == Status::OutForSignature);
    let holders = if is_open { recipients } else { &[] };
    let mut found = of_shards(agreement, holders, sums);
    let of_one = |recipient| of_recipient(agreement, recipient, sums);
    found.extend(recipients.iter().filter_map(of_one));
    found
}

/// What is left reserved on the shards for an agreement beyond what the `holders` hold.
fn of_shards(agreement: &str, holders: &[Recipient], sums: &Sums) -> Vec<Difference> {
    let entered = sums.agreements.get(agreement).cloned().unwrap_or_default();
    let mut left = entered.clone();
    for hold in holders.iter().filter_map(Recipient::reserved) {
        *left.entry(hold.shard()).or_default() -= 1;
    }
    let differing = left.into_iter().filter(|(_, over)| *over != 0);
    let difference = |(shard, over)| {
        let entries = entered.get(&shard).copied().unwrap_or_default();
        Difference::Held {
            agreement: agreement.to_owned(),
            shard,
            held: entries - over,
            entries,
        }
    };
    differing.map(difference).collect()
}

/// What does not agree of one recipient.
fn of_recipient(agreement: &str, recipient: &Recipient, sums: &Sums) -> Option<Difference> {
    let name = recipient.id.to_string();
    let entered = sums.recipients.get(&(agreement.to_owned(), name.clone()));
    let entries = entered.copied().unwrap_or_default();
    (!fits(recipient, entries)).then(|| Difference::Recipient {
        recipient: name,
        held: recipient.reserved().is_some(),
        consumed: recipient.kba.consumed,
        entries,
    })
}

/// Whether a recipient's own entries are those of somebody who stands so: with what was, or was
/// not, reserved at the sending, they come to what is held.
fn fits(recipient: &Recipient, entries: RecipientSums) -> bool {
    let reserved_at_sending = i64::from(recipient.reserved().is_some()) - entries.left;
    (0..=1).contains(&reserved_at_sending) && entries.consumed == i64::from(recipient.kba.consumed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::tests::{agreement, recipient};
    use crate::agreement::{Authentication, RecipientStatus};
    use crate::kernel::ids::{AccountId, RecipientId};
    use crate::ledger::{About, Entry, EntryId, EntryKind, Hold};

    fn entry(kind: EntryKind, recipient: Option<u8>, count: i64) -> Entry {
        let about = agreement().about(recipient.map(|id| RecipientId::from_bytes([id; 16])));
        let About {
            agreement,
            recipient,
            group,
            sequence,
        } = about;
        let parts =
            serde_json::from_value(serde_json::json!([{"shard": 0, "count": count}])).unwrap();
        let (account, at) = (
            AccountId::from_bytes([1; 16]),
            crate::kernel::clock::Timestamp::default(),
        );
        let id = EntryId::named(format!("{kind:?}.{count}"));
        Entry {
            id,
            account,
            kind,
            transactions: count,
            parts,
            agreement,
            recipient,
            group,
            sequence,
            reference: None,
            at,
        }
    }

    fn asked(id: u8, hold: bool, consumed: bool) -> Recipient {
        let mut asked = recipient(Authentication::Kba, RecipientStatus::Pending);
        asked.id = RecipientId::from_bytes([id; 16]);
        (asked.kba.hold, asked.kba.consumed) = (hold.then_some(Hold::on(0)), consumed);
        asked
    }

    fn found(status: Status, recipients: Vec<Recipient>, entries: &[Entry]) -> Vec<Difference> {
        let mut sums = Sums::default();
        for entry in entries {
            sums.add(entry);
        }
        let mut agreement = agreement();
        agreement.status = status;
        let name = agreement.id.to_string();
        of(
            &name,
            Some(&FullAgreement {
                agreement,
                recipients,
            }),
            &sums,
        )
    }

    #[test]
    fn what_is_held_is_what_is_left_reserved() {
        let sent = entry(EntryKind::Reserve, None, 2);
        let (open, ended) = (Status::OutForSignature, Status::Cancelled);
        let used = entry(EntryKind::Consume, Some(3), 1);
        let both = || vec![asked(3, true, false), asked(4, true, false)];
        assert_eq!(found(open, both(), std::slice::from_ref(&sent)), []);
        assert_eq!(
            found(
                open,
                vec![asked(3, false, true), asked(4, true, false)],
                &[sent.clone(), used.clone()]
            ),
            []
        );
        let end = entry(EntryKind::Release, None, 1);
        assert_eq!(
            found(
                ended,
                vec![asked(3, false, true), asked(4, true, false)],
                &[sent.clone(), used, end]
            ),
            []
        );
        assert_eq!(
            found(ended, both(), &[sent]).len(),
            1,
            "an agreement has ended and nothing was released"
        );
    }

    #[test]
    fn what_was_consumed_and_released_as_well_is_found_though_the_sums_agree() {
        let entries = [
            entry(EntryKind::Reserve, None, 2),
            entry(EntryKind::Consume, Some(3), 1),
            entry(EntryKind::Release, Some(3), 1),
        ];
        let found = found(
            Status::OutForSignature,
            vec![asked(3, false, true), asked(4, true, false)],
            &entries,
        );
        assert!(
            matches!(
                found.as_slice(),
                [
                    Difference::Held {
                        held: 1,
                        entries: 0,
                        ..
                    },
                    Difference::Recipient {
                        held: false,
                        consumed: true,
                        ..
                    }
                ]
            ),
            "{found:?}"
        );
    }
}
