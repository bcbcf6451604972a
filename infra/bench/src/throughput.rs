//! How many verifications the local stack makes in a second, engine and all in one process.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::Fault;
use crate::process::cpu;
use crate::report::{Report, Throughput, millis};
use crate::stopwatch::Stopwatch;
use crate::world::{Person, Way, World, another};

/// Wrong codes before the right one: what a person does, and worse.
const WRONG: usize = 2;

/// So many people at once have a code and have not proved it: an account may have a hundred SMS
/// an hour that nobody answers.
const LOT: usize = 80;

/// For each number in flight: so many people, each of whom mistypes and then gets it right.
pub(crate) async fn measure(
    world: &mut World,
    report: &mut Report,
    scale: usize,
) -> Result<(), Fault> {
    let people = 16 * scale;
    for in_flight in [1, 8, 32] {
        world.open_account().await?;
        let (mut elapsed, mut spent) = (Duration::ZERO, Duration::ZERO);
        for begun in (0..people).step_by(LOT) {
            let (took, used) = lot(world, LOT.min(people - begun), in_flight).await?;
            elapsed += took;
            spent += used;
        }
        let verifications = f64::from(u32::try_from(people * (WRONG + 1))?);
        report.throughput.push(Throughput {
            in_flight,
            per_second: verifications / elapsed.as_secs_f64(),
            per_core: verifications / spent.as_secs_f64(),
            cpu: millis(spent) / verifications,
        });
    }
    Ok(())
}

/// How long some people took, and how much of the processor.
async fn lot(
    world: &World,
    people: usize,
    in_flight: usize,
) -> Result<(Duration, Duration), Fault> {
    let mut way = Way::Handlers(world);
    let mut prepared = Vec::with_capacity(people);
    for _ in 0..people {
        prepared.push(way.code().await?);
    }
    let (watch, before) = (Stopwatch::start(), cpu(std::process::id())?);
    let running = stream::iter(prepared)
        .map(|(person, challenge, code)| prove(world, person, challenge, code));
    running
        .buffer_unordered(in_flight)
        .try_collect::<Vec<_>>()
        .await?;
    Ok((
        watch.elapsed(),
        cpu(std::process::id())?.saturating_sub(before),
    ))
}

async fn prove(
    world: &World,
    person: Person,
    challenge: String,
    code: String,
) -> Result<(), Fault> {
    for _ in 0..WRONG {
        world
            .ask(&person.verify(&challenge, &another(&code)))
            .await?
            .expect(401)?;
    }
    world
        .ask(&person.verify(&challenge, &code))
        .await?
        .expect(200)
        .map(drop)
}
