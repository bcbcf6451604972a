//! What a request costs a function that is warm.

use crate::Fault;
use crate::report::{Report, at_rank, millis};
use crate::world::{CASES, Way, World};

/// Requests before any is measured.
const WARM_UP: usize = 5;
/// Of those after which an SMS stays unanswered, no more: an account has a hundred an hour, for all
/// of them and the cold starts.
const UNANSWERED: usize = 30;

/// One request after the other for each case, as Lambda hands them to an environment.
pub(crate) async fn measure(world: &World, report: &mut Report, scale: usize) -> Result<(), Fault> {
    let mut way = Way::bootstraps(world);
    for case in CASES
        .iter()
        .filter(|case| world.bootstraps.has(case.function))
    {
        let count = if case.leaves_a_text() {
            UNANSWERED.min(20 * scale)
        } else {
            20 * scale
        };
        let events = case.events(&mut way, WARM_UP + count).await?;
        let (first, measured) = events.split_at(WARM_UP.min(events.len()));
        for event in first {
            way.ask(case.function, event).await?.expect(case.status)?;
        }
        let pid = way.environment(case.function).await?.pid()?;
        let before = crate::process::cpu(pid)?;
        let mut times = Vec::with_capacity(count);
        for event in measured {
            times.push(
                way.ask(case.function, event)
                    .await?
                    .expect(case.status)?
                    .took,
            );
        }
        let spent = crate::process::cpu(pid)?.saturating_sub(before);
        times.sort_unstable();
        let route = report.route(case.name);
        route.p50 = millis(at_rank(&times, 0.50));
        route.p99 = millis(at_rank(&times, 0.99));
        route.cpu = millis(spent) / f64::from(u32::try_from(count)?);
        route.peak_mib = crate::process::peak_mib(pid)?;
    }
    Ok(())
}
