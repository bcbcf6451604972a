//! Each request of a scene against each, at every read of the first.

use std::collections::BTreeSet;

use local::{Calls, Held, Service};
use tests::Answer;

use crate::serial::outcome::{Known, Outcome};
use crate::serial::scene::{Manner, Row, Scene};

/// Where a request is held while another is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// After its read of this number has been answered by the table.
    Read(u32),
    /// Within its read of this number, of which the item at this place alone is younger than what
    /// the other does.
    Item(u32, usize),
}

/// Something came of two requests that neither order gives.
#[derive(Debug)]
struct Finding {
    held: &'static str,
    other: &'static str,
    at: At,
    /// How it differs from the order that it is nearest to.
    differs: Vec<String>,
}

/// What a scene has shown.
#[derive(Debug, Default)]
struct Seen {
    meetings: usize,
    findings: Vec<Finding>,
}

/// Walks a scene, and fails where an item is never put to the test, or something came of two
/// requests that neither order gives.
pub async fn walk(scene: Scene) {
    assert_eq!(
        untried(&scene, &touched(&scene).await),
        BTreeSet::new(),
        "no row changes these, and another reads them"
    );
    let known = Known::of(&scene);
    let mut seen = Seen::default();
    for held in &scene.rows {
        for other in scene
            .rows
            .iter()
            .filter(|other| other.manner != Manner::Patient)
        {
            meet(&scene, &known, held, other, &mut seen).await;
        }
    }
    println!(
        "{} requests met in {} ways",
        scene.rows.len(),
        seen.meetings
    );
    told(&scene, &seen.findings);
}

/// Lets the two meet in every way.
async fn meet(scene: &Scene, known: &Known, held: &Row, other: &Row, seen: &mut Seen) {
    let orders = [
        in_order(scene, known, held, other).await,
        in_order(scene, known, other, held).await.turned(),
    ];
    let mut here = At::Read(0);
    while let Some((outcome, width)) = held_at(scene, known, held, other, here).await {
        seen.meetings += 1;
        if !orders.iter().any(|order| is_as(held, &outcome, order)) {
            let differs = orders
                .iter()
                .map(|order| outcome.differs(order))
                .min_by_key(Vec::len)
                .unwrap_or_default();
            seen.findings.push(Finding {
                held: held.name,
                other: other.name,
                at: here,
                differs,
            });
        }
        here = next(here, width);
    }
}

/// Whether that came of the meeting, as far as the one that was held can say.
fn is_as(held: &Row, outcome: &Outcome, order: &Outcome) -> bool {
    if held.manner == Manner::Counted {
        outcome.but_for_counts() == order.but_for_counts()
    } else {
        outcome == order
    }
}

/// Where it is held next: within each read, item by item, and then after the next one.
const fn next(at: At, width: usize) -> At {
    match at {
        At::Read(number) if width > 1 => At::Item(number, 0),
        At::Item(number, place) if place + 1 < width => At::Item(number, place + 1),
        At::Read(number) | At::Item(number, _) => At::Read(number + 1),
    }
}

/// What the requests of a scene read and write, each by itself.
async fn touched(scene: &Scene) -> Calls {
    let mut touched = Calls::default();
    for row in &scene.rows {
        scene.put_back().await;
        let watched = scene.world.stack.faults().watch();
        let _ = (row.ask)(scene).await;
        let Calls { read, written, .. } = watched.taken();
        touched.read.extend(read);
        touched.written.extend(written);
    }
    touched
}

/// One after the other.
async fn in_order(scene: &Scene, known: &Known, first: &Row, second: &Row) -> Outcome {
    scene.put_back().await;
    let one = (first.ask)(scene).await;
    let two = (second.ask)(scene).await;
    known.outcome(scene, [(first, &one), (second, &two)]).await
}

/// The one is held there until the other was answered. None where it has written something, or was
/// answered, before it came there.
async fn held_at(
    scene: &Scene,
    known: &Known,
    held: &Row,
    other: &Row,
    at: At,
) -> Option<(Outcome, usize)> {
    scene.put_back().await;
    let faults = scene.world.stack.faults();
    let gate = match at {
        At::Read(number) => faults.hold(Service::Dynamodb, number),
        At::Item(number, place) => faults.tear_at(number, place),
    };
    let asked = (held.ask)(scene);
    tokio::pin!(asked);
    tokio::select! {
        _ = &mut asked => return None,
        () = gate.arrived() => {}
    }
    if !gate.is_a_read() {
        gate.let_go();
        let _ = asked.await;
        return None;
    }
    let (answer, theirs) = let_other(scene, other, &gate, asked).await;
    Some((
        known
            .outcome(scene, [(held, &answer), (other, &theirs)])
            .await,
        gate.width(),
    ))
}

async fn let_other(
    scene: &Scene,
    other: &Row,
    gate: &Held,
    asked: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    let theirs = (other.ask)(scene).await;
    gate.let_go();
    (asked.await, theirs)
}

/// Fails with what came of two requests that neither order gives; what a scene says of such a pair
/// has to come.
fn told(scene: &Scene, findings: &[Finding]) {
    let is_told = |finding: &Finding| {
        scene
            .apart
            .iter()
            .any(|(held, other, _)| (finding.held, finding.other) == (*held, *other))
    };
    let (expected, found): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| is_told(finding));
    for finding in &found {
        println!(
            "{} held at {:?} while {}:\n  {}",
            finding.held,
            finding.at,
            finding.other,
            finding.differs.join("\n  ")
        );
    }
    for (held, other, why) in &scene.apart {
        let came = expected
            .iter()
            .any(|finding| (finding.held, finding.other) == (*held, *other));
        assert!(
            came,
            "{held} and {other} are told apart, and are not: {why}"
        );
    }
    assert!(
        found.is_empty(),
        "{} meetings came to what neither order gives",
        found.len()
    );
}

/// The items that a request reads and none changes, inputs aside: those that stood there when the
/// scene began, of a partition that is read too; and those that were looked for and not there,
/// which somebody else may be about to write.
fn untried(scene: &Scene, touched: &Calls) -> BTreeSet<String> {
    let (partitions, items): (Vec<&String>, Vec<&String>) =
        touched.read.iter().partition(|key| key.ends_with(' '));
    let kept: Vec<String> = scene.kept().map(|item| key_of(&item)).collect();
    let of_partitions = kept.iter().filter(|key| {
        partitions
            .iter()
            .any(|partition| key.starts_with(*partition))
    });
    let is_input = |key: &&String| scene.inputs.iter().any(|(prefix, _)| key.contains(prefix));
    let is_written = |key: &&String| touched.written.contains(*key);
    let untried = items
        .into_iter()
        .chain(of_partitions)
        .filter(|key| !is_input(key) && !is_written(key));
    let empty = partitions.iter().filter(|partition| !is_input(partition));
    let empty = empty.filter(|partition| {
        !touched
            .written
            .iter()
            .any(|key| key.starts_with(**partition))
    });
    untried.chain(empty.copied()).cloned().collect()
}

fn key_of(item: &serde_json::Value) -> String {
    format!(
        "{} {}",
        item["pk"].as_str().unwrap_or_default(),
        item["sk"].as_str().unwrap_or_default()
    )
}
