//! The built bootstraps under a stand-in for Lambda's Runtime API: proof that each answers, and
//! what each costs.
//!
//! | module | what it is |
//! | --- | --- |
//! | `bootstraps`, `carried` | the binaries: where they are, how they are built; what is not in them |
//! | `lambda` | the Runtime API, and one environment under it |
//! | `event` | HTTP API 2.0 events |
//! | `iam` | the template's policies, enforced |
//! | `aws` | Secrets Manager, SNS and SES, as far as a bootstrap asks |
//! | `world` | the table, an account, people, and what a person sends |
//! | `cases` | what is asked of each function |
//! | `inside` | a handler in this process, by its function's policy |
//! | `proof`, `links`, `agreements`, `kba`, `sso`, `cold`, `warm`, `cost`, `once`, `throughput` | what is asked of it |
//! | `storm` | many clients with ordinary rights, faults and deaths, and what of it breaks a promise |
//! | `process`, `stopwatch`, `report` | CPU and memory; time; the table that is printed |

mod agreements;
mod aws;
mod bootstraps;
mod carried;
mod cases;
mod cold;
mod contacts;
mod cost;
mod event;
mod iam;
mod inside;
mod kba;
mod lambda;
mod links;
mod once;
mod process;
mod proof;
mod report;
mod reservations;
mod sso;
mod stopwatch;
mod storm;
mod throughput;
mod warm;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ::storm::Forecast;
use bootstraps::Bootstraps;
use clap::{Parser, Subcommand};
use report::Report;
use world::World;

/// Measures what Countersign costs, and prints one table. Without --bootstraps the release binaries
/// are built first. Fails where a binary is larger than its goal, or a route spends more at
/// DynamoDB than infra/table.md says; not with --quick.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the bootstraps are: `sam build`'s directory, or a target directory of cargo
    #[arg(long, global = true, value_name = "DIR")]
    bootstraps: Option<PathBuf>,
    /// Only these functions are built and measured. People sign in through login, code-issue and
    /// code-verify, recipients come through agreements and link-redeem: name those too
    #[arg(long, value_name = "FUNCTION", value_delimiter = ',')]
    only: Vec<String>,
    /// A tenth of the requests: enough to see that it runs, too few for the numbers to mean much
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Only the reservations on one account's balance; nothing is built
    Reservations,
    /// A storm through the routes, judged from outside: many clients call every route, calls go
    /// wrong and workers die, and what was answered is held against what the contract promises.
    /// With --bootstraps over those, which are killed; else over the handlers in this process
    Storm {
        /// What operations, faults and deaths are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many requests
        #[arg(long, default_value_t = 20_000)]
        operations: usize,
        /// How many clients at once
        #[arg(long, default_value_t = 20)]
        clients: u32,
        /// Within how many seconds: then it is over, and has failed where fewer requests were
        /// reached
        #[arg(long, value_name = "SECONDS")]
        within: Option<u64>,
        /// Where the history is written, a line of JSON for each request and each message: to look
        /// into a finding
        #[arg(long, value_name = "FILE")]
        history: Option<PathBuf>,
    },
    /// Only what a request of each route costs at DynamoDB, held against infra/table.md; nothing is
    /// built
    Costs,
    /// Only starts each bootstrap, sends it real events, and checks the answers and what it asked
    /// of the table
    Runtime,
}

/// What went wrong, in words.
type Fault = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            report::say(&format!("bench: {fault}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, Fault> {
    if let Some(Command::Storm {
        seed,
        operations,
        clients,
        within,
        history,
    }) = arguments.command
    {
        let forecast = Forecast {
            seed,
            operations,
            clients,
            within: within.map(Duration::from_secs),
        };
        return storm::run(
            forecast,
            arguments.bootstraps.as_deref(),
            history.as_deref(),
        )
        .await;
    }
    if matches!(arguments.command, Some(Command::Reservations)) {
        let mut report = Report::default();
        let world = World::build(Bootstraps::none(), false).await?;
        let wrong = reservations(&world, &mut report, if arguments.quick { 1 } else { 10 }).await?;
        report.print();
        return Ok(wrong == 0);
    }
    if matches!(arguments.command, Some(Command::Costs)) {
        let mut report = Report::default();
        cost::measure(&mut report).await?;
        return Ok(report.print() == 0);
    }
    let wanted = bootstraps::wanted(&arguments.only)?;
    let bootstraps = match arguments.bootstraps {
        Some(directory) => Bootstraps::find(&directory, &wanted)?,
        None => Bootstraps::build(&wanted)?,
    };
    let mut world = World::build(
        bootstraps,
        matches!(arguments.command, Some(Command::Runtime)),
    )
    .await?;
    if matches!(arguments.command, Some(Command::Runtime)) {
        return proof::run(&world).await;
    }
    let scale = if arguments.quick { 1 } else { 10 };
    let mut report = Report::default();
    cold::measure(&world, &mut report, scale).await?;
    warm::measure(&world, &mut report, scale).await?;
    cost::measure(&mut report).await?;
    throughput::measure(&mut world, &mut report, scale).await?;
    let wrong = reservations(&world, &mut report, scale).await?;
    // What this machine's time is, it decides; what is counted in bytes, requests and units is
    // ours. So are the sums, however short it is.
    Ok((report.print() == 0 || arguments.quick) && wrong == 0)
}

/// The reservations on one account; answers with how many sums are not what was answered.
async fn reservations(world: &World, report: &mut Report, scale: usize) -> Result<usize, Fault> {
    reservations::measure(world, report, scale).await?;
    let mut so_far = std::mem::take(report);
    let (grown, wrong) = tokio::task::spawn_blocking(move || {
        let wrong = reservations::rush(&mut so_far, scale)?;
        Ok::<_, Fault>((so_far, wrong))
    })
    .await??;
    *report = grown;
    Ok(wrong)
}
