//! `bench faults`: a long storm over the ledger, and whether the sums held.

use local::storm::{self, Forecast};
use local::{Options, Stack};

use crate::Fault;
use crate::report::say;
use crate::stopwatch::Stopwatch;

/// Goes through it. Whether nothing was lost, doubled or wrong.
pub(crate) async fn run(forecast: Forecast) -> Result<bool, Fault> {
    let stack = Stack::start(Options::ephemeral()).await?;
    let Forecast { seed, operations, clients, per_mille } = forecast;
    say(&format!("seed {seed}: {operations} operations by {clients} clients, {per_mille} calls in a thousand go wrong"));
    let watch = Stopwatch::start();
    let outcome = storm::run(&stack, forecast).await?;
    say(&outcome.to_string());
    say(&format!("{:.0} s", watch.elapsed().as_secs_f64()));
    stack.stop().await;
    Ok(outcome.is_sound())
}
