//! `cargo run -p local`: the whole service on this machine, until Ctrl-C.

mod greeting;
mod options;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use local::Stack;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::greeting::Greeting;
use crate::options::CommandLine;

#[tokio::main]
async fn main() -> ExitCode {
    logs();
    match run(CommandLine::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where even that cannot be written, the exit code is left.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command_line: CommandLine) -> Result<(), Box<dyn std::error::Error>> {
    let options = command_line.options();
    let data = options.data.clone();
    let mut terminated = signal(SignalKind::terminate())?;
    let stack = Stack::start(options).await?;
    let mut out = io::stdout();
    // A reader that went away, as behind `| head`, is no reason to stop.
    let _ = write!(
        out,
        "{}",
        Greeting {
            stack: &stack,
            data: data.as_deref()
        }
    )
    .and_then(|()| out.flush());
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    stack.stop().await;
    Ok(())
}

/// Of ours only what the functions log in Lambda too: at `trace` the SDK logs whole requests, codes
/// and passwords among them. The engine warns of every condition that does not hold, which is daily
/// business.
fn logs() {
    let wanted = shared::kernel::config::env("RUST_LOG").unwrap_or_else(|| "warn".into());
    let filter = shared::edge::start::filter(&wanted).with_target("dynoxide", LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_writer(io::stderr);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    shared::edge::start::panics();
}
