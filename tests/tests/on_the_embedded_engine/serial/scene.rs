//! A world as two requests find it, which can be put back; and the requests.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use local::{Mode, Service};
use serde_json::Value;
use tests::{Answer, World};

type Item = HashMap<String, AttributeValue>;
type Asked<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// How many writes a batch takes.
const BATCH: usize = 25;

/// A request that anybody may make in a scene.
pub struct Row {
    /// What it is called where the walk tells of it.
    pub name: &'static str,
    /// Makes it.
    pub ask: for<'a> fn(&'a Scene) -> Asked<'a>,
    /// How it is answered.
    pub manner: Manner,
}

/// How a request is answered, as far as that matters to whoever meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once, and what comes of it is one of the two orders' to the letter.
    Plain,
    /// No sooner than after a while, which is longer than a call to the table may take: while
    /// another is held, it is not made.
    Patient,
    /// It is counted before it is compared, in a write of its own. What is counted between the two,
    /// and in which order it is told of, may be of neither order: of the answer the kind is
    /// compared, and of the table what is no count and no entry.
    Counted,
    /// It deals with what is over, and leaves to its next run what somebody else is at: that
    /// follows before anything is compared. The answer tells how much was done, and not what: its
    /// status is compared.
    Sweeping,
}

impl Row {
    /// The same, answered in this manner.
    pub const fn in_manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

/// A row: its name, and what is asked, given the scene.
#[macro_export]
macro_rules! row {
    ($name:literal, $scene:ident => $ask:expr) => {
        $crate::serial::scene::Row {
            name: $name,
            ask: |$scene| Box::pin(async move { $ask.await }),
            manner: $crate::serial::scene::Manner::Plain,
        }
    };
}

/// A world before two requests meet in it.
pub struct Scene {
    /// The world.
    pub world: World,
    /// What the requests name: links, challenges, paths.
    pub named: BTreeMap<&'static str, String>,
    /// The requests.
    pub rows: Vec<Row>,
    /// What the keys of the items have that requests only take as inputs, and why no write names
    /// them.
    pub inputs: Vec<(&'static str, &'static str)>,
    /// Pairs of rows, the one that is held first, of which something comes that neither order
    /// gives, and why that does no harm.
    pub apart: Vec<(&'static str, &'static str, &'static str)>,
    /// A fault that stands while they meet.
    pub fault: Option<(Service, Mode)>,
    items: Vec<Item>,
}

impl Scene {
    /// The world as it stands now.
    pub async fn of(world: World) -> Self {
        let mut scene = Self {
            world,
            named: BTreeMap::new(),
            rows: Vec::new(),
            inputs: Vec::new(),
            apart: Vec::new(),
            fault: None,
            items: Vec::new(),
        };
        scene.inputs.push((
            "ACCOUNT#",
            "settings and plan are inputs: a condition on them would make the account the bottleneck of everything",
        ));
        scene.inputs.push((
            "KEYS#",
            "a key holds for the requests that it was shown with",
        ));
        scene.inputs.push((
            " REQUEST",
            "what was asked when an agreement was sent is never changed",
        ));
        scene.items = scene.everything().await;
        scene
    }

    /// With a name for something that requests carry.
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.named.insert(name, value);
        self
    }

    /// What is called so.
    pub fn at(&self, name: &str) -> &str {
        self.named
            .get(name)
            .unwrap_or_else(|| panic!("nothing is called {name}"))
    }

    /// What stood in the table, by key.
    pub fn kept(&self) -> impl Iterator<Item = Value> {
        self.items
            .iter()
            .map(|item| shared::store::dynamo::read(item.clone()).unwrap())
    }

    /// Makes the world what it was.
    pub async fn put_back(&self) {
        let faults = self.world.stack.faults();
        faults.clear();
        let key = |item: &Item| {
            ["pk", "sk"]
                .into_iter()
                .map(|name| (name.to_owned(), item[name].clone()))
                .collect::<Item>()
        };
        let removals = self.everything().await.into_iter().map(|item| {
            let removal = DeleteRequest::builder()
                .set_key(Some(key(&item)))
                .build()
                .unwrap();
            WriteRequest::builder().delete_request(removal).build()
        });
        self.write(removals.collect()).await;
        let puts = self.items.iter().map(|item| {
            let put = PutRequest::builder()
                .set_item(Some(item.clone()))
                .build()
                .unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        self.write(puts.collect()).await;
        let _ = self
            .world
            .send(
                self.world
                    .request(reqwest::Method::DELETE, "/_local/outbox"),
            )
            .await
            .expect(204);
        faults.clear();
        if let Some((service, mode)) = self.fault {
            faults.set(service, mode, 0, u32::MAX);
        }
    }

    async fn write(&self, requests: Vec<WriteRequest>) {
        let table = self.world.stack.table();
        for batch in requests.chunks(BATCH) {
            let written = table
                .client()
                .batch_write_item()
                .request_items(table.name(), batch.to_vec())
                .send()
                .await
                .unwrap();
            assert!(written.unprocessed_items.is_none_or(|left| left.is_empty()));
        }
    }

    /// Gets over with what a clean-up has left to the next.
    pub async fn clean(&self) {
        let _ = self
            .world
            .send(self.world.request(reqwest::Method::POST, "/_local/cleanup"))
            .await
            .expect(200);
    }

    /// Every item of the table.
    pub async fn everything(&self) -> Vec<Item> {
        let table = self.world.stack.table();
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let scan = table
                .client()
                .scan()
                .table_name(table.name())
                .consistent_read(true)
                .set_exclusive_start_key(after);
            let page = scan.send().await.unwrap();
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                return items;
            }
        }
    }
}
