//! `bench storm`: a storm through the routes, and which promises were broken. Over the handlers in
//! this process, or over bootstraps, each of them a process that is killed when its worker dies.
//!
//! | module | what it is |
//! | --- | --- |
//! | `pool` | the environments of the functions, as Lambda has them |
//! | `clock` | the clock of those processes |

mod clock;
mod pool;

use std::fs;
use std::path::Path;

use ::storm::{Forecast, InProcess, Outcome};

use crate::Fault;
use crate::bootstraps::{Bootstraps, FUNCTIONS};
use crate::report::say;
use crate::stopwatch::Stopwatch;

/// Goes through it, and writes its history to `file` if that is wanted. Whether every promise was
/// kept, in as many requests as were forecast.
pub(crate) async fn run(
    forecast: Forecast,
    bootstraps: Option<&Path>,
    file: Option<&Path>,
) -> Result<bool, Fault> {
    let watch = Stopwatch::start();
    let outcome = match bootstraps {
        Some(directory) => under_lambda(forecast, Bootstraps::find(directory, &FUNCTIONS)?).await?,
        None => in_process(forecast).await?,
    };
    if let Some(file) = file {
        fs::write(file, outcome.history.lines().collect::<Vec<_>>().join("\n"))?;
    }
    say(&outcome.to_string());
    say(&format!("{:.0} s", watch.elapsed().as_secs_f64()));
    Ok(outcome.is_sound())
}

async fn in_process(forecast: Forecast) -> Result<Outcome, Fault> {
    let (stack, scene) = InProcess::start().await?;
    let outcome = ::storm::run(scene, forecast).await;
    stack.stop().await;
    Ok(outcome?)
}

async fn under_lambda(forecast: Forecast, bootstraps: Bootstraps) -> Result<Outcome, Fault> {
    let (stack, scene) = pool::start(bootstraps).await?;
    let outcome = ::storm::run(scene, forecast).await;
    stack.stop().await;
    Ok(outcome?)
}
