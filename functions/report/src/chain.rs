//! The entries of a part, read as such: what a request takes does not grow with the chain.

use shared::agreement::Agreement;
use shared::agreement::report::{Cut, Section};
use shared::store::app::App;
use shared::store::audit::{Entry, Head, first_broken_after};
use shared::store::dynamo::{Failure, RetryPolicy, keys, read};

/// How many entries are asked for at once: DynamoDB answers with 1 MB at most, whatever is asked.
const PAGE: u64 = 1_000;

/// The entries of the part that is cut so from the agreement's chain, up to where the agreement
/// says that the chain stands.
pub async fn section(app: &App, agreement: &Agreement, cut: Cut) -> Result<Section, Failure> {
    let mut section = read_section(app, agreement, cut).await?;
    if section
        .entries
        .last()
        .is_none_or(|last| last.sequence != cut.last)
    {
        // The last entry was written with the head that counts it; one may be seen a moment before
        // the other.
        RetryPolicy::default().wait(&app.entropy).await?;
        section = read_section(app, agreement, cut).await?;
    }
    if !is_whole(&section) {
        // It is told as it stands: whoever verifies the report finds the place.
        tracing::error!(agreement = %agreement.id, part = cut.number, "audit chain of an agreement is broken in the table; the report shows the break; find out who changed the table");
    }
    Ok(section)
}

/// What is to be read of it now.
async fn read_section(app: &App, agreement: &Agreement, cut: Cut) -> Result<Section, Failure> {
    let mut entries = between(
        app,
        agreement,
        cut.first,
        (cut.last + 1).min(agreement.head.sequence),
    )
    .await?;
    let after = entries.pop_if(|last| last.sequence > cut.last);
    let hash = after.map_or_else(
        || hash_at_the_end(agreement, cut, &entries),
        |after| after.previous,
    );
    Ok(Section { cut, entries, hash })
}

/// The hash of a part's last entry, where no entry follows it, or the one that has to is gone.
fn hash_at_the_end(agreement: &Agreement, cut: Cut, entries: &[Entry]) -> String {
    if cut.last == agreement.head.sequence {
        return agreement.head.hash.clone();
    }
    entries
        .last()
        .map(|last| last.hash.clone())
        .unwrap_or_default()
}

/// The entries from the sequence `first` to the sequence `last`.
async fn between(
    app: &App,
    agreement: &Agreement,
    first: u64,
    last: u64,
) -> Result<Vec<Entry>, Failure> {
    let (account, subject) = (agreement.account, agreement.id.to_string());
    let mut entries: Vec<Entry> = Vec::new();
    let mut after = Some(keys::audit_entry(account, &subject, first - 1).sk);
    let mut reached = first - 1;
    while reached < last && after.is_some() {
        let limit = i32::try_from(PAGE.min(last - reached)).unwrap_or(i32::MAX);
        let page = app
            .table
            .query(keys::audit_chain(account, &subject), after, limit)
            .await?;
        for item in page.items {
            entries.push(read::<Entry>(item)?);
        }
        reached = entries.last().map_or(reached, |entry| entry.sequence);
        after = page.next;
    }
    // Where one is gone from the table, those after it come too early.
    entries.retain(|entry| entry.sequence <= last);
    Ok(entries)
}

fn is_whole(section: &Section) -> bool {
    let before = section.entries.first().map(|first| Head {
        sequence: section.cut.first - 1,
        hash: first.previous.clone(),
    });
    let start = before
        .filter(|before| before.sequence > 0)
        .unwrap_or_default();
    let ends = section
        .entries
        .last()
        .is_some_and(|last| last.sequence == section.cut.last && last.hash == section.hash);
    ends && first_broken_after(&start, &section.entries).is_none()
}
