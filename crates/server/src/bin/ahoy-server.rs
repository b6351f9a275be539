//! `ahoy-server`: serves, and mints tickets.

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use protocol::UserId;
use protocol::usersig::DEFAULT_EXPIRE;
use server::config::{Config, Layer};
use server::{Secrets, Server};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// The server of Ahoy: calls, rooms and tickets.
#[derive(Parser)]
#[command(name = "ahoy-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until interrupted.
    Serve(Flags),
    /// Mint a ticket with which USER signs in, and print it.
    Ticket {
        /// 1 to 32 characters of A-Z a-z 0-9 _ and -
        user: String,
        /// For how long it is valid, in seconds [default: 180 days]
        #[arg(long, value_name = "SECS")]
        expire: Option<u64>,
        #[command(flatten)]
        flags: Flags,
    },
}

/// Each can also be said by AHOY_… in the environment, or in the file; flags count most, the file least.
#[derive(Args)]
struct Flags {
    /// TOML file with the keys of the flags below [env: AHOY_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// HTTP and WebSocket; port 0 takes a free one [env: AHOY_LISTEN] [default: 127.0.0.1:7880]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Media over UDP; port 0 takes a free one [env: AHOY_MEDIA] [default: 127.0.0.1:7882]
    #[arg(long, value_name = "ADDR:PORT")]
    media: Option<String>,
    /// Store and secrets [env: AHOY_DATA_DIR] [default: the platform's data directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// A room API key, as LiveKit has them; repeatable [env: AHOY_API_KEY]
    #[arg(long, value_name = "KEY:SECRET")]
    api_key: Vec<String>,
    /// The application of the tickets [env: AHOY_SDK_APP_ID] [default: 1400000000]
    #[arg(long, value_name = "N")]
    sdk_app_id: Option<String>,
    /// The key that signs tickets [env: AHOY_TICKET_KEY] [default: made at the first start]
    #[arg(long, value_name = "SECRET")]
    ticket_key: Option<String>,
    /// Where clients reach this server, if it is not what they asked for [env: AHOY_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Whether users may let several devices be signed in at once: true or false [env: AHOY_MULTI_DEVICE] [default: true]
    #[arg(long, value_name = "BOOL")]
    multi_device: Option<String>,
}

impl Flags {
    fn layer(&self) -> Result<Layer> {
        let mut layer = Layer::default();
        let single = [
            ("listen", &self.listen),
            ("media", &self.media),
            ("data-dir", &self.data_dir),
            ("sdk-app-id", &self.sdk_app_id),
            ("ticket-key", &self.ticket_key),
            ("public-url", &self.public_url),
            ("multi-device", &self.multi_device),
        ];
        for (key, value) in single {
            if let Some(value) = value {
                layer.set(key, value, &format!("--{key}"))?;
            }
        }
        for pair in &self.api_key {
            layer.set("api-key", pair, "--api-key")?;
        }
        Ok(layer)
    }

    fn config(&self) -> Result<Config> {
        let env = Layer::from_env(|name| std::env::var(name).ok())?;
        let file = match self.config.clone().or_else(|| std::env::var_os("AHOY_CONFIG").map(PathBuf::from)) {
            Some(path) => Layer::from_file(&path).with_context(|| format!("in {}", path.display()))?,
            None => Layer::default(),
        };
        Ok(self.layer()?.over(env).over(file).finish())
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ahoy-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Serve(flags) => {
            start_log();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve(flags.config()?))
        }
        Command::Ticket { user, expire, flags } => {
            let user = UserId::new(user)?;
            let config = flags.config()?;
            let key = server::ticket_key(&config, &Secrets::load(&config.data_dir)?);
            let expire = expire.map_or(DEFAULT_EXPIRE, Duration::from_secs);
            println!("{}", key.mint(&user, expire, SystemTime::now().into()));
            Ok(())
        }
    }
}

/// To standard error: standard output belongs to scripts.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AHOY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

async fn serve(config: Config) -> Result<()> {
    let data_dir = config.data_dir.clone();
    let mut interrupted = std::pin::pin!(interrupted()?);
    let server = Server::start(config).await?;
    let ready = serde_json::json!({
        "http": server.http_addr().to_string(),
        "media": server.media_addr().to_string(),
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
