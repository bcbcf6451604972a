//! The table handle. Each method is one request to DynamoDB, but for those that say that they
//! retry.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, Get, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue,
    TransactGetItem,
};

use super::keys::{self, Key};
use super::meter::Meter;
use super::{Delete, Failure, Item, RetryPolicy, Update, Write, failure};
use crate::kernel::entropy::Entropy;
use crate::kernel::secret;

/// The one table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
    /// The names of transactions, and how long to wait for one.
    entropy: Entropy,
    meter: Option<Meter>,
}

/// A page of a query, and the sort key to go on after.
#[derive(Debug)]
pub struct Page {
    /// The items of this page, in order.
    pub items: Vec<Item>,
    /// The sort key of the last of them, if there are more.
    pub next: Option<String>,
}

impl Table {
    /// The table `name`, reached by `client`.
    pub const fn new(client: Client, name: String, entropy: Entropy) -> Self {
        Self {
            client,
            name,
            entropy,
            meter: None,
        }
    }

    /// The same, with every request counted.
    #[must_use]
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// The SDK's client, for what is not a read or a write of an item.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens the connection before the first request needs it. It matters to nobody if that fails.
    pub async fn warm(&self) {
        let key = Key {
            pk: "WARM".into(),
            sk: "WARM".into(),
        };
        let _ = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.into_item()))
            .send()
            .await;
    }

    /// The item at `key`, as it stands now.
    pub async fn get(&self, key: Key) -> Result<Option<Item>, Failure> {
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.into_item()))
            .consistent_read(true);
        let sent = request
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await;
        let answer = sent.map_err(|error| Failure::of(&error, "getting an item"))?;
        self.count_read(answer.consumed_capacity.as_slice());
        Ok(answer.item)
    }

    /// The items at `keys`, at most 100, as they stand now, in one request and in that order; no
    /// key costs no request.
    pub async fn get_all(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = HashMap::new();
        let mut wanted: Vec<Item> = once(&keys).map(Key::into_item).collect();
        // What DynamoDB leaves unprocessed under load is asked for again; the SDK backs off between
        // errors, not between these.
        for _ in 0..5 {
            let (items, left) = self.get_batch(wanted).await?;
            found.extend(
                items
                    .into_iter()
                    .filter_map(|item| Some((key_of(&item)?, item))),
            );
            wanted = left;
            if wanted.is_empty() {
                return Ok(keys.iter().map(|key| found.get(key).cloned()).collect());
            }
        }
        let left = "some keys were left unprocessed";
        Err(Failure::unavailable("getting items", &left))
    }

    /// The items at the keys `wanted`, and the keys that were left unprocessed.
    async fn get_batch(&self, wanted: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), Failure> {
        let batch = KeysAndAttributes::builder().set_keys(Some(wanted));
        let batch = batch.consistent_read(true).build();
        let batch = batch.map_err(|error| Failure::unavailable("getting items", &error))?;
        let request = self
            .client
            .batch_get_item()
            .request_items(&self.name, batch);
        let request = request.set_return_consumed_capacity(self.capacity());
        let sent = request.send().await;
        let answer = sent.map_err(|error| Failure::of(&error, "getting items"))?;
        self.count_read(answer.consumed_capacity());
        let items = answer.responses.unwrap_or_default().remove(&self.name);
        let left = answer
            .unprocessed_keys
            .unwrap_or_default()
            .remove(&self.name);
        Ok((
            items.unwrap_or_default(),
            left.map(|left| left.keys).unwrap_or_default(),
        ))
    }

    /// The items at `keys` as they stand at one instant, in that order. A conflict is to be tried
    /// again.
    pub async fn get_snapshot(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, Failure> {
        let part = |key: Key| {
            let get = Get::builder().table_name(&self.name);
            let get = get.set_key(Some(key.into_item())).build();
            get.map(|get| TransactGetItem::builder().get(get).build())
        };
        let parts = keys.into_iter().map(part).collect::<Result<_, _>>();
        let parts = parts.map_err(|it| Failure::unavailable("getting items together", &it))?;
        let request = self
            .client
            .transact_get_items()
            .set_transact_items(Some(parts));
        let request = request.set_return_consumed_capacity(self.capacity());
        let sent = request.send().await;
        let answer = sent.map_err(|error| Failure::of_reading_together(&error))?;
        self.count_read(answer.consumed_capacity());
        let responses = answer.responses.unwrap_or_default().into_iter();
        let items = responses.map(|response| response.item.filter(|item| !item.is_empty()));
        Ok(items.collect())
    }

    /// Makes one update, and answers with the item as it stood before: what came of it is for the
    /// caller's rule to tell.
    pub async fn update(&self, update: Update) -> Result<Item, Failure> {
        let key = update.key().clone();
        let sent = self.update_request(update)?.send().await;
        Ok(self.updated(sent.map_err(|error| Failure::of_update(key, error))?))
    }

    /// Makes one update whose condition does not tell it from itself, a sum that is added to: the
    /// SDK does not ask again for what has no answer, because it may have taken effect. What
    /// another transaction has certainly kept from it is tried again.
    pub async fn update_once(&self, update: Update, entropy: &Entropy) -> Result<Item, Failure> {
        let mut retries = RetryPolicy::default();
        loop {
            let asked_once =
                aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled());
            let sent = self
                .update_request(update.clone())?
                .customize()
                .config_override(asked_once)
                .send()
                .await;
            match sent.map_err(|error| Failure::of_update(update.key().clone(), error)) {
                Ok(answer) => return Ok(self.updated(answer)),
                Err(Failure::Conflict) => retries.wait(entropy).await?,
                Err(failure) => return Err(failure),
            }
        }
    }

    fn update_request(&self, update: Update) -> Result<UpdateItemFluentBuilder, Failure> {
        update.checked()?;
        let request = update
            .into_request(self.client.update_item().table_name(&self.name))
            .return_values(ReturnValue::AllOld);
        Ok(request.set_return_consumed_capacity(self.capacity()))
    }

    fn updated(&self, answer: UpdateItemOutput) -> Item {
        self.count_write(answer.consumed_capacity.as_slice());
        answer.attributes.unwrap_or_default()
    }

    /// Makes one update, again and again while another transaction holds the item.
    pub async fn update_with_retries(
        &self,
        update: Update,
        entropy: &Entropy,
    ) -> Result<Item, Failure> {
        let mut retries = RetryPolicy::default();
        loop {
            match self.update(update.clone()).await {
                Err(Failure::Conflict) => retries.wait(entropy).await?,
                settled => return settled,
            }
        }
    }

    /// Removes one item, under its condition.
    pub async fn remove(&self, delete: Delete) -> Result<(), Failure> {
        let key = delete.key().clone();
        let client = self.client.delete_item().table_name(&self.name);
        let request = delete.into_request(client);
        let sent = request
            .set_return_consumed_capacity(self.capacity())
            .send()
            .await;
        let answer = sent.map_err(|error| Failure::of_delete(key, error))?;
        self.count_write(answer.consumed_capacity.as_slice());
        Ok(())
    }

    /// Removes one item, under its condition, again and again while another transaction holds it.
    pub async fn remove_with_retries(
        &self,
        delete: Delete,
        entropy: &Entropy,
    ) -> Result<(), Failure> {
        let mut retries = RetryPolicy::default();
        loop {
            match self.remove(delete.clone()).await {
                Err(Failure::Conflict) => retries.wait(entropy).await?,
                settled => return settled,
            }
        }
    }

    /// Makes all the writes or none, again and again while another transaction holds one of their
    /// items: for what is decided from nothing that was read, and so does not change by waiting.
    pub async fn transact_with_retries(
        &self,
        writes: Vec<Write>,
        entropy: &Entropy,
    ) -> Result<(), Failure> {
        let mut retries = RetryPolicy::default();
        loop {
            match self.transact(writes.clone()).await {
                Err(Failure::Conflict) => retries.wait(entropy).await?,
                settled => return settled,
            }
        }
    }

    /// Makes all the writes that `plan` plans from what it reads, or none of them, planned anew
    /// while something else was faster. Where it plans nothing there is nothing to do.
    pub async fn transact_rebuilding<F>(
        &self,
        plan: impl Fn() -> F,
        entropy: &Entropy,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<Option<Vec<Write>>, Failure>>,
    {
        let mut retries = RetryPolicy::default();
        loop {
            let Some(writes) = plan().await? else {
                return Ok(());
            };
            let written = self.transact(writes).await;
            if retries.settled(written, entropy).await? {
                return Ok(());
            }
        }
    }

    /// Makes all the writes or none.
    ///
    /// DynamoDB knows a transaction by its client request token for ten minutes, and says
    /// `TransactionInProgressException` where the one that bears it is still under way. That is no
    /// conflict: what holds the items is this very transaction, and whoever decided anew would
    /// judge what it has itself written. So it is asked for again under the same token, for
    /// seconds, until its outcome is told.
    pub async fn transact(&self, writes: Vec<Write>) -> Result<(), Failure> {
        let keys: Vec<Key> = writes.iter().map(|write| write.key().clone()).collect();
        let parts = writes.into_iter().map(|it| it.into_part(&self.name));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(parts));
        let request = request.client_request_token(secret::encode(self.entropy.bytes::<16>()));
        let request = request.set_return_consumed_capacity(self.capacity());
        let mut retries = RetryPolicy::default();
        loop {
            let answer = match request.clone().send().await {
                Ok(answer) => answer,
                Err(error)
                    if failure::is_under_way(&error)
                        && retries.wait(&self.entropy).await.is_ok() =>
                {
                    continue;
                }
                Err(error) => return Err(Failure::of_transaction(keys, error)),
            };
            self.count_write(answer.consumed_capacity());
            return Ok(());
        }
    }

    /// The items of the partition `pk` after the sort key `after`, at most `limit`, in ascending
    /// order.
    pub async fn query(
        &self,
        pk: String,
        after: Option<String>,
        limit: i32,
    ) -> Result<Page, Failure> {
        let start = after.map(|sk| Key { pk: pk.clone(), sk }.into_item());
        let request = self.client.query().table_name(&self.name);
        let request = request
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", keys::PK)
            .expression_attribute_values(":pk", AttributeValue::S(pk));
        let request = request.set_exclusive_start_key(start).limit(limit);
        self.page(request, keys::SK).await
    }

    /// The keys of what stands in the listing `list` after the id `after`, at most `limit`.
    pub async fn list(
        &self,
        list: String,
        after: Option<Item>,
        limit: i32,
    ) -> Result<Page, Failure> {
        let request = self.listing(list).key_condition_expression("#list = :list");
        let request = request.set_exclusive_start_key(after).limit(limit);
        self.page(request, keys::LISTING_SK).await
    }

    /// A query of the listing `list`, whose condition is to be added.
    fn listing(&self, list: String) -> QueryFluentBuilder {
        let request = self.client.query().table_name(&self.name);
        request
            .index_name(keys::LISTING)
            .expression_attribute_names("#list", keys::LISTING_PK)
            .expression_attribute_values(":list", AttributeValue::S(list))
    }

    /// The keys of what stands in the listing `list` before the id `before`, at most `limit`, the
    /// last first.
    pub async fn list_back(
        &self,
        list: String,
        before: Option<String>,
        limit: i32,
    ) -> Result<Page, Failure> {
        let request = self.listing(list).scan_index_forward(false).limit(limit);
        let request = match before {
            None => request.key_condition_expression("#list = :list"),
            Some(before) => request
                .key_condition_expression("#list = :list AND #id < :before")
                .expression_attribute_names("#id", keys::LISTING_SK)
                .expression_attribute_values(":before", AttributeValue::S(before)),
        };
        self.page(request, keys::LISTING_SK).await
    }

    /// The keys of what is due in `shard` at `now` after the one `after`, the longest due first, at
    /// most `limit`.
    pub async fn due(
        &self,
        shard: String,
        now: i64,
        after: Option<Item>,
        limit: i32,
    ) -> Result<Vec<Item>, Failure> {
        let request = self.client.query().table_name(&self.name);
        let request = request
            .index_name(keys::DUE)
            .key_condition_expression("#shard = :shard AND #at <= :now")
            .expression_attribute_names("#shard", keys::DUE_PK)
            .expression_attribute_names("#at", keys::DUE_SK)
            .expression_attribute_values(":shard", AttributeValue::S(shard))
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()));
        let request = request.set_exclusive_start_key(after).limit(limit);
        Ok(self.page(request, keys::DUE_SK).await?.items)
    }

    async fn page(&self, request: QueryFluentBuilder, sort_key: &str) -> Result<Page, Failure> {
        let request = request.set_return_consumed_capacity(self.capacity());
        let sent = request.send().await;
        let answer = sent.map_err(|error| Failure::of(&error, "querying"))?;
        self.count_read(answer.consumed_capacity.as_slice());
        let next = answer
            .last_evaluated_key
            .and_then(|key| key.get(sort_key)?.as_s().ok().cloned());
        Ok(Page {
            items: answer.items.unwrap_or_default(),
            next,
        })
    }

    fn capacity(&self) -> Option<ReturnConsumedCapacity> {
        self.meter
            .is_some()
            .then_some(ReturnConsumedCapacity::Total)
    }

    fn count_read(&self, consumed: &[ConsumedCapacity]) {
        if let Some(meter) = &self.meter {
            meter.read(consumed);
        }
    }

    fn count_write(&self, consumed: &[ConsumedCapacity]) {
        if let Some(meter) = &self.meter {
            meter.write(consumed);
        }
    }
}

/// Where `item` stands.
fn key_of(item: &Item) -> Option<Key> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Key {
        pk: text(keys::PK)?,
        sk: text(keys::SK)?,
    })
}

impl Key {
    /// Where `item` stands.
    pub fn of(item: &Item) -> Option<Self> {
        key_of(item)
    }
}

/// Each key once: DynamoDB takes none twice.
fn once(keys: &[Key]) -> impl Iterator<Item = Key> {
    let is_first = |(place, key): &(usize, &Key)| !keys.iter().take(*place).any(|it| it == *key);
    let each = keys.iter().enumerate().filter(is_first);
    let each: Vec<Key> = each.map(|(_, key)| key.clone()).collect();
    each.into_iter()
}
