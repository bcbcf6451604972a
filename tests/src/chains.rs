//! Chains of any length, written directly into the table: what takes a recipient years takes a test
//! seconds.

use crate::path;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use shared::agreement::Agreement;
use shared::kernel::ids::AgreementId;
use shared::store::audit::Entry;
use shared::store::dynamo::{Update, document, keys, read};

use crate::World;

/// How many items one request puts: as many as DynamoDB takes.
const AT_ONCE: usize = 25;

/// An agreement as it is stored.
pub async fn stored(world: &World, agreement: &str) -> Agreement {
    let id: AgreementId = agreement.parse().unwrap();
    read(
        world
            .stack
            .table()
            .get(keys::agreement(id))
            .await
            .unwrap()
            .unwrap(),
    )
    .unwrap()
}

/// Makes the chain of an agreement `count` entries long, of which `told` says what each tells, by
/// its sequence: `action`, `outcome`, `actor`, `source`, `details`.
pub async fn lengthen(world: &World, agreement: &str, count: u64, told: impl Fn(u64) -> Value) {
    let stored = stored(world, agreement).await;
    let (mut head, mut entries) = (stored.head.clone(), Vec::new());
    for sequence in head.sequence + 1..=count {
        let mut entry = told(sequence);
        entry["account"] = json!(stored.account);
        entry["subject"] = json!(stored.id);
        entry["sequence"] = json!(sequence);
        entry["at"] = json!(world.stack.clock().now().to_rfc3339());
        entry["previous"] = json!(head.hash);
        let mut entry: Entry = serde_json::from_value(entry).unwrap();
        entry.hash = entry.digest().unwrap();
        (head.sequence, head.hash) = (sequence, entry.hash.clone());
        entries.push(entry);
    }
    put(world, &entries).await;
    let moved = Update::of(keys::agreement(stored.id))
        .set(path("audit_seq"), head.sequence)
        .set(path("audit_hash"), head.hash.as_str());
    world
        .stack
        .table()
        .transact(vec![moved.into()])
        .await
        .unwrap();
}

async fn put(world: &World, entries: &[Entry]) {
    let table = world.stack.table();
    let batches = entries.chunks(AT_ONCE).map(|batch| async move {
        let requests = batch.iter().map(request).collect();
        let answer = table
            .client()
            .batch_write_item()
            .request_items(table.name(), requests)
            .send()
            .await
            .unwrap();
        assert!(answer.unprocessed_items.is_none_or(|left| left.is_empty()));
    });
    stream::iter(batches)
        .buffer_unordered(4)
        .collect::<()>()
        .await;
}

fn request(entry: &Entry) -> WriteRequest {
    let key = keys::audit_entry(entry.account, &entry.subject, entry.sequence);
    let mut item = document(entry).unwrap().as_m().unwrap().clone();
    item.insert(keys::PK.into(), AttributeValue::S(key.pk));
    item.insert(keys::SK.into(), AttributeValue::S(key.sk));
    WriteRequest::builder()
        .put_request(PutRequest::builder().set_item(Some(item)).build().unwrap())
        .build()
}

/// Something that happens again and again.
pub fn resent(recipient: &str) -> impl Fn(u64) -> Value {
    move |_| {
        let details = json!({"recipient": recipient});
        json!({"action": "link-resent", "outcome": "success", "actor": "system", "details": details})
    }
}
