//! Measurements on this machine, printed as tables. Nothing is asserted: goals stand beside the figures.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use tests_bench::measure::{admin, call, ear, join, load, setup};

/// Measures Ahoy on loopback.
#[derive(Parser)]
#[command(name = "ahoy-bench")]
struct Options {
    /// Where foreign clients and LiveKit's server are installed.
    #[arg(long, default_value = "target/interop")]
    tools: PathBuf,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// From accepting to hearing and seeing.
    Setup {
        #[arg(long, default_value_t = 20)]
        calls: usize,
    },
    /// A foreign client joins a live publisher; LiveKit's server beside ours.
    Join {
        #[arg(long, default_value_t = 20)]
        joins: usize,
    },
    /// An administrator removes people; many calls in a row.
    Admin {
        #[arg(long, default_value_t = 50)]
        rooms: usize,
    },
    /// The call plane alone: rings, answers, set-ups a second, idle clients.
    Call {
        /// Clients that are signed in and do nothing.
        #[arg(long, default_value_t = 10_000)]
        idle: usize,
        /// How long calls are set up at each rate.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
    },
    /// Mouth to ear.
    Ear,
    /// Processor and memory of a 720p call.
    Load {
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
}

fn main() -> Result<()> {
    let options = Options::parse();
    match options.what {
        Some(What::Setup { calls }) => setup::run(calls),
        Some(What::Join { joins }) => join::run(joins, &options.tools),
        Some(What::Admin { rooms }) => admin::run(rooms),
        Some(What::Call { idle, seconds }) => call::run(idle, seconds),
        Some(What::Ear) => ear::run(),
        Some(What::Load { minutes }) => load::run(minutes),
        None => {
            // One that cannot be taken here does not keep the others from being taken.
            let all = [
                ("setup", setup::run(20)),
                ("join", join::run(20, &options.tools)),
                ("admin", admin::run(50)),
                ("call", call::run(10_000, 15)),
                ("ear", ear::run()),
                ("load", load::run(10)),
            ];
            for (name, done) in all {
                if let Err(error) = done {
                    println!("\n{name} could not be measured: {error:#}");
                }
            }
            Ok(())
        }
    }
}
