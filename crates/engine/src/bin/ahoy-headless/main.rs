//! The scriptable client: commands as lines on standard input or from a TOML scenario, events as one JSON object a line.
//! `docs/headless.md` lists both.

mod options;
mod picture;
mod script;

use anyhow::Result;
use clap::Parser as _;
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ahoy-headless: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::parse().with_scenario()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(script::run(options));
    // Standard input may still be read by its thread, which nothing can interrupt.
    runtime.shutdown_background();
    done
}
