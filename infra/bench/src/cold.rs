//! What a function costs before it has answered anything.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::Fault;
use crate::event::Event;
use crate::report::{Cold, Report, median, millis};
use crate::world::{CASES, Way, World};

/// What a schedule invokes, and no request.
const SCHEDULED: &str = "expiry-cleanup";

/// Starts each bootstrap several times, with its first event waiting.
pub(crate) async fn measure(world: &World, report: &mut Report, scale: usize) -> Result<(), Fault> {
    let mut way = Way::bootstraps(world);
    for function in world.bootstraps.names() {
        let size = fs::metadata(world.bootstraps.of(function)?)?.len();
        let (mut polls, mut answers, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
        for _ in 0..scale + 2 {
            let start = start(&mut way, function).await?;
            polls.push(start.poll);
            answers.push(start.answer);
            peak = peak.max(start.peak_mib);
        }
        report.cold.push(Cold {
            function,
            size,
            poll: millis(median(polls)),
            answer: millis(median(answers)),
            peak_mib: peak,
        });
    }
    Ok(())
}

struct Start {
    poll: Duration,
    answer: Duration,
    peak_mib: f64,
}

async fn start(way: &mut Way<'_>, function: &str) -> Result<Start, Fault> {
    let case = CASES.iter().find(|case| case.function == function);
    let event = match case {
        Some(case) => case.events(way, 1).await?.first().map(Event::json),
        None => None,
    };
    // A function without a case of its own is asked for what it does not serve: it starts, and says
    // so.
    let event = event.unwrap_or_else(|| {
        if function == SCHEDULED {
            json!({})
        } else {
            Event::get("/health").json()
        }
    });
    let mut environment = way.world().environment(function).await?;
    let (answer, _) = environment.invoke(&event).await?;
    let took = environment.age();
    let status = answer.get("statusCode").and_then(serde_json::Value::as_u64);
    if case.is_some_and(|case| status != Some(case.status)) {
        return Err(format!("{function} answered {answer}").into());
    }
    let peak_mib = crate::process::peak_mib(environment.pid()?)?;
    Ok(Start {
        poll: environment.first_poll().await?,
        answer: took,
        peak_mib,
    })
}
