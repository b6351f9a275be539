//! Logs to standard error and to a file a day in the platform's log directory. Secrets and names never reach them: the
//! crates do not log them, and a panic is logged by its place.

use std::path::Path;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// Files that are kept, one a day.
const FILE_LIMIT: usize = 7;
/// Lines that may wait for the disk. Full: further lines are dropped and counted, the app goes on.
const LINE_CAPACITY: usize = 8192;
/// Libraries that speak of every packet are kept short unless `AHOY_LOG` asks for more.
const DEFAULT_FILTER: &str = "info,rtc=error,rtc_ice=error,webrtc=warn,str0m=warn,zbus=warn";

/// Writes what waits to disk when it is dropped.
pub struct LogGuard(Option<WorkerGuard>);

/// Starts logging for the process. Without a writable directory there is standard error alone.
pub fn start(directory: &Path) -> LogGuard {
    let filter = || EnvFilter::try_from_env("AHOY_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // The appender looks for old files before it makes the directory, and complains; a real fault it tells itself.
    let _ = std::fs::create_dir_all(directory);
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("ahoy")
        .filename_suffix("log")
        .max_log_files(FILE_LIMIT)
        .build(directory);
    let (writer, guard) = match file {
        Ok(file) => {
            let (writer, guard) =
                NonBlockingBuilder::default().buffered_lines_limit(LINE_CAPACITY).lossy(true).finish(file);
            (Some(writer), Some(guard))
        }
        Err(error) => {
            eprintln!("no log file in {}: {error}", directory.display());
            (None, None)
        }
    };
    let to_file = writer.map(|writer| fmt::layer().with_ansi(false).with_writer(writer).with_filter(filter()));
    let to_stderr = fmt::layer().with_writer(std::io::stderr).with_filter(filter());
    tracing_subscriber::registry().with(to_file).with(to_stderr).init();
    log_panics();
    LogGuard(guard)
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// A panic's text may hold what a person typed: only its place and thread go into the log file.
fn log_panics() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(thread = thread.name().unwrap_or("?"), place, "panic");
        earlier(panic);
    }));
}
