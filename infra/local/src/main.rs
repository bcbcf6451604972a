//! `cargo run -p local`: the whole service on this machine, until Ctrl-C.

mod greeting;
mod options;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use local::Stack;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::greeting::Greeting;
use crate::options::CommandLine;

/// At `trace` these log whole requests, codes and passwords among them.
const QUIET: [&str; 8] = ["aws_smithy_runtime", "aws_smithy_http_client", "aws_sdk_dynamodb", "aws_sdk_sesv2", "aws_sdk_sns", "hyper", "hyper_util", "dynoxide"];

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
    let _ = write!(out, "{}", Greeting { stack: &stack, data: data.as_deref() }).and_then(|()| out.flush());
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    stack.stop().await;
    Ok(())
}

fn logs() {
    let wanted = shared::config::env("RUST_LOG").unwrap_or_else(|| "warn".into());
    let quiet = QUIET.map(|target| format!(",{target}=warn")).concat();
    let filter = EnvFilter::try_new(format!("{wanted}{quiet}")).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().compact().with_env_filter(filter).with_writer(io::stderr).init();
    shared::start::panics();
}
