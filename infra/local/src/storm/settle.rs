//! What clients were told, held against what stands.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::account::Account;
use shared::agreement::{Agreement, Recipient, Status, Whole};
use shared::audit::{self, Entry as Told};
use shared::dynamo::{Item, Table, keys, read};
use shared::quota::{Entry, Kind, reconcile};

use super::client::{Asked, Book, Sent};
use super::wire::Wire;
use super::{Ground, Outcome, Stranded};

/// Everything of an account.
pub(super) async fn settle(wire: Wire<'_>, ground: &Ground, books: &[&Book], outcome: &mut Outcome) -> Result<(), Stranded> {
    let app = wire.stack.app();
    let account = app.table.get(keys::account(ground.id)).await?.ok_or_else(|| Stranded("the account is gone".into()))?;
    let account: Account = read(account)?;
    let finding = reconcile::account(&app.table, &app.entropy, &account).await?;
    let finding = finding.ok_or_else(|| Stranded("the balance does not stand still".into()))?;
    outcome.wrong.extend(finding.differences.iter().map(|difference| format!("{difference:?}")));
    let bought: i64 = books.iter().flat_map(|book| book.topups.values()).sum();
    if finding.stands.purchased() != bought || !finding.stands.is_sound() {
        outcome.wrong.push(format!("{bought} were bought, and there are {:?}", finding.stands));
    }
    outcome.entries += finding.entries;
    let entries = entries(&app.table, ground).await?;
    named(&entries, books, outcome);
    for sent in books.iter().flat_map(|book| &book.agreements) {
        one(wire, ground, sent, &entries, outcome).await?;
    }
    Ok(())
}

async fn all(table: &Table, pk: String) -> Result<Vec<Item>, Stranded> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = table.query(pk.clone(), after, 500).await?;
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

async fn entries(table: &Table, ground: &Ground) -> Result<BTreeMap<String, Entry>, Stranded> {
    let mut entries = BTreeMap::new();
    for partition in 0..keys::LEDGER_PARTITIONS {
        for item in all(table, keys::ledger(ground.id, partition)).await? {
            let entry: Entry = read(item)?;
            entries.insert(entry.id.to_string(), entry);
        }
    }
    Ok(entries)
}

/// What clients were told of by name: top-ups and reservations, each once, and no others.
fn named(entries: &BTreeMap<String, Entry>, books: &[&Book], outcome: &mut Outcome) {
    let topups = books.iter().flat_map(|book| &book.topups).map(|(id, count)| (id.clone(), (Kind::Topup, *count)));
    let sent = books.iter().flat_map(|book| &book.agreements).filter(|sent| sent.reserved > 0);
    let sent = sent.map(|sent| (format!("reserve.{}", sent.id), (Kind::Reserve, sent.reserved)));
    let told: BTreeMap<String, (Kind, i64)> = topups.chain(sent).collect();
    for (id, what) in &told {
        if entries.get(id).map(|entry| (entry.kind, entry.transactions)) != Some(*what) {
            outcome.lost.push(format!("{id}: {what:?}"));
        }
    }
    for entry in entries.values() {
        let by_name = entry.kind == Kind::Topup || (entry.kind == Kind::Reserve && entry.recipient.is_none());
        if by_name && !told.contains_key(entry.id.as_str()) {
            outcome.doubled.push(format!("{}: nobody was told of it", entry.id));
        }
    }
}

/// An agreement: as its sender was told, with an entry in its audit for each message of the provider.
async fn one(
    wire: Wire<'_>,
    ground: &Ground,
    sent: &Sent,
    entries: &BTreeMap<String, Entry>,
    outcome: &mut Outcome,
) -> Result<(), Stranded> {
    let table = wire.stack.table();
    let id = sent.id.parse().map_err(|_| Stranded("no agreement's id".into()))?;
    let Some(Whole { agreement, recipients }) = Whole::read(table, id).await? else {
        outcome.lost.push(format!("{}: it was sent", sent.id));
        return Ok(());
    };
    if sent.cancelled && agreement.status != Status::Cancelled {
        outcome.lost.push(format!("{}: it was cancelled, and is {}", sent.id, agreement.status.name()));
    }
    for asked in &sent.recipients {
        match recipients.iter().find(|recipient| recipient.id.to_string() == asked.id) {
            Some(recipient) => of_recipient(asked, recipient, entries, outcome),
            None => outcome.lost.push(format!("{}: a recipient", asked.id)),
        }
    }
    let chain = all(table, keys::audit_chain(ground.id, &sent.id)).await?;
    let chain = chain.into_iter().map(|item| Ok(read(item)?)).collect::<Result<Vec<Told>, Stranded>>()?;
    audited(&agreement, sent, &chain, outcome);
    Ok(())
}

fn of_recipient(asked: &Asked, recipient: &Recipient, entries: &BTreeMap<String, Entry>, outcome: &mut Outcome) {
    if recipient.authentication.name() != asked.method {
        outcome.lost.push(format!("{}: its method was made {}", asked.id, asked.method));
    }
    if asked.completed && !recipient.views() {
        outcome.lost.push(format!("{}: it has completed", asked.id));
    }
    let used = entries.contains_key(&format!("consume.{}", asked.id));
    if asked.used && !used {
        outcome.lost.push(format!("{}: its transaction was used", asked.id));
    }
    if used && !asked.may_have_used {
        outcome.doubled.push(format!("{}: nothing used its transaction", asked.id));
    }
}

fn audited(agreement: &Agreement, sent: &Sent, chain: &[Told], outcome: &mut Outcome) {
    if let Some(broken) = audit::first_broken(chain) {
        outcome.wrong.push(format!("{}: its audit is broken at {broken}", sent.id));
    }
    if u64::try_from(chain.len()).ok() != Some(agreement.head.sequence) {
        outcome.wrong.push(format!("{}: {} entries, and the head says {}", sent.id, chain.len(), agreement.head.sequence));
    }
    let answers = chain.iter().filter(|told| {
        let told = serde_json::to_value(told).unwrap_or_default();
        told.pointer("/details/outcome").and_then(Value::as_str).is_some() && told.pointer("/details/session").is_some()
    });
    let (answers, messages) = (answers.count(), sent.messages.len());
    if answers < messages {
        outcome.lost.push(format!("{}: {messages} messages, and {answers} in the audit", sent.id));
    } else if answers > messages {
        outcome.doubled.push(format!("{}: {messages} messages, and {answers} in the audit", sent.id));
    }
}
