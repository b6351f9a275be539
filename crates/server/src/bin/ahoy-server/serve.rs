//! `ahoy-server serve`.

use anyhow::Result;
use server::Server;
use server::config::Config;
use std::io::Write as _;

/// To standard error: standard output belongs to scripts.
pub fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AHOY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Each client keeps a socket open, and shells and service managers allow a process few open files until it asks for more.
#[cfg(unix)]
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// macOS takes no more, whatever it says is allowed (`OPEN_MAX`).
    const ALWAYS_TAKEN: u64 = 10_240;
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let ask = |files| setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: limit.maximum });
    if let Err(error) = ask(most).or_else(|_| ask(most.min(ALWAYS_TAKEN))) {
        tracing::warn!(%error, current = limit.current, "the limit of open files cannot be raised");
    }
}

/// Windows has no such limit.
#[cfg(not(unix))]
pub fn raise_file_limit() {}

/// Serves until interrupted.
pub async fn serve(config: Config) -> Result<()> {
    let data_dir = config.data_dir.clone();
    let mut interrupted = std::pin::pin!(interrupted()?);
    let server = Server::start(config).await?;
    let ready = serde_json::json!({
        "http": server.http_addr().to_string(),
        "media": server.media_addr().map(|addr| addr.to_string()),
        "url": server.url(),
        "sdkAppId": server.sdk_app_id(),
        "dataDir": data_dir.display().to_string(),
    });
    println!("Ahoy serves at {}.", server.url());
    println!("To sign in: this address, a user id, and the ticket that this prints:");
    println!("  ahoy-server ticket USER --data-dir '{}'", data_dir.display());
    println!("ready {ready}");
    std::io::stdout().flush()?;
    interrupted.as_mut().await;
    tracing::info!("stopping");
    server.shutdown().await;
    Ok(())
}

/// Ends at the first SIGINT or SIGTERM (Ctrl-C elsewhere).
#[cfg(unix)]
fn interrupted() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn interrupted() -> Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a console there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
