//! What each route writes, as it goes out to DynamoDB, held against a snapshot of the route: what
//! it writes for each row of each scene, in success and in refusal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use shared::web::http::routes::{ROUTES, Route};
use tests::{Exchange, OPERATOR, PASSWORD};

use crate::serial::rendered::rendered;
use crate::serial::scene::{Row, Scene};

/// Where the snapshots are.
const SNAPSHOTS: &str = "tests/on_the_embedded_engine/serial/snapshots";
/// What nobody asks for, and writes all the same.
const ON_A_SCHEDULE: (&str, &str) = ("/_local/cleanup", "expiry-cleanup");
/// A secret that is shorter is looked for as a whole value: a count may have the same digits.
const LONG: usize = 12;

/// What the routes did in the scenes.
#[derive(Default)]
pub struct Seen {
    /// The routes that answered a row as they answer their success.
    pub succeeded: BTreeSet<String>,
    /// What each wrote, and the rows that had it write that.
    written: BTreeMap<String, Vec<Written>>,
}

/// The writes of a route, and what had it write them.
struct Written {
    occasions: Vec<String>,
    writes: String,
}

impl Seen {
    /// Asks for each row of the scene, as the scene begins.
    pub async fn walk(&mut self, name: &str, scene: &Scene) {
        for row in &scene.rows {
            scene.put_back().await;
            let _ = scene.world.exchanges();
            self.ask(name, scene, row).await;
        }
    }

    async fn ask(&mut self, name: &str, scene: &Scene, row: &Row) {
        let now = scene.world.stack.clock().now();
        let watched = scene.world.stack.faults().watch();
        let _ = (row.ask)(scene).await;
        let calls = watched.taken().writes;
        let writes = rendered(&calls, now);
        shows_no_secret(scene, &writes).await;
        let exchanges = scene.world.exchanges();
        let mut made = exchanges.iter().filter_map(author);
        let (Some((author, asked)), None) = (made.next(), made.next()) else {
            panic!("{name}: {} asks for one thing: {exchanges:?}", row.name);
        };
        self.succeeded.extend(success(asked));
        if !writes.is_empty() {
            let occasion = format!("{name}: {} → {}", row.name, asked.status);
            self.note(&author, occasion, writes);
        }
    }

    fn note(&mut self, author: &str, occasion: String, writes: String) {
        let written = self.written.entry(author.to_owned()).or_default();
        match written.iter_mut().find(|known| known.writes == writes) {
            Some(known) => known.occasions.push(occasion),
            None => written.push(Written {
                occasions: vec![occasion],
                writes,
            }),
        }
    }

    /// Each of these routes has written something, and what was written is what the snapshots say;
    /// a snapshot of which nothing was seen is of no use.
    pub fn is_as_the_snapshots_say<'a>(&self, writing: impl Iterator<Item = &'a Route>) {
        let silent = writing
            .map(file)
            .filter(|file| !self.written.contains_key(file));
        assert_eq!(silent.collect::<Vec<_>>(), [""; 0], "they write nothing");
        let kept = kept();
        let unseen: Vec<_> = kept
            .iter()
            .filter(|file| !self.written.contains_key(*file))
            .collect();
        assert!(
            unseen.is_empty(),
            "snapshots of what writes nothing: {unseen:?}"
        );
        for (author, written) in &self.written {
            let blocks: Vec<String> = written.iter().map(Written::text).collect();
            insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
                insta::assert_snapshot!(author.as_str(), blocks.join("\n"));
            });
        }
    }
}

impl Written {
    fn text(&self) -> String {
        let occasions = self
            .occasions
            .iter()
            .map(|occasion| format!("# {occasion}\n"));
        format!("{}{}", occasions.collect::<String>(), self.writes)
    }
}

/// The routes that have a snapshot.
fn kept() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOTS);
    let files = std::fs::read_dir(folder).into_iter().flatten();
    let paths = files.map(|file| file.unwrap().path());
    let snapshots = paths.filter(|path| path.extension().is_some_and(|kind| kind == "snap"));
    snapshots
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// The name of a route's snapshot: `post-v1-codes-verify`.
fn file(route: &Route) -> String {
    let path = route.path.replace(['{', '}'], "").replace('/', "-");
    format!("{}{path}", route.method.to_lowercase())
}

fn route(made: &Exchange) -> Option<&'static Route> {
    let is_of = |route: &&Route| route.method == made.method && route.matches(&made.path).is_some();
    ROUTES.iter().find(is_of)
}

/// Who writes for a request, and the request; nobody where a test looks around.
fn author(made: &Exchange) -> Option<(String, &Exchange)> {
    let (scheduled, name) = ON_A_SCHEDULE;
    let author = route(made).map(file);
    let author = author.or_else(|| (made.path == scheduled).then(|| name.to_owned()));
    Some((author?, made))
}

/// The route that answered as it answers its success.
fn success(made: &Exchange) -> Option<String> {
    let route = route(made).filter(|route| route.success == made.status);
    route.map(Route::key)
}

/// Nothing that a person types or a request carries stands in what is written.
async fn shows_no_secret(scene: &Scene, writes: &str) {
    let sent = scene.world.outbox().await;
    let texts = sent.iter().filter_map(|message| message["text"].as_str());
    let codes = texts.flat_map(|text| text.split(|c: char| !c.is_ascii_digit()));
    let codes = codes.filter(|digits| digits.len() >= 6);
    let named = scene.named.values().map(String::as_str);
    let secrets = named
        .chain(codes)
        .chain([PASSWORD, OPERATOR, &scene.world.key]);
    for secret in secrets {
        let is_told = if secret.len() < LONG {
            writes.contains(&format!("\"{secret}\""))
        } else {
            writes.contains(secret)
        };
        assert!(!is_told, "a secret is written in {writes}");
    }
}
