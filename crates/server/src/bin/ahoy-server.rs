//! `ahoy-server`: serves, mints tickets and keys for rooms, keeps the keys of administrators and shows what they did.

use anyhow::{Context as _, Result};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use protocol::usersig::{self, TicketKey};
use protocol::{Privileges, RoomId, UnixMillis, UserId, map_key};
use server::admin_keys::AdminKeys;
use server::audit::{self, Audit, Entry, Plane};
use server::config::keys::{Form, KEYS};
use server::config::{Config, Layer};
use server::{Secrets, Server};
use std::io::Write as _;
use std::path::{Path, PathBuf};
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
    /// Mint a key with which USER may enter a room (PrivateMapKey), and print it.
    MapKey {
        /// 1 to 32 characters of A-Z a-z 0-9 _ and -
        user: String,
        /// The room's number
        #[arg(long, value_name = "N", required_unless_present = "str_room", conflicts_with = "str_room")]
        room: Option<u32>,
        /// The room's name, if it has one and no number
        #[arg(long, value_name = "NAME")]
        str_room: Option<String>,
        /// The sum of what is allowed: 1 create, 2 enter, 4 send and 8 receive voice, 16 and 32 pictures, 64 and 128 screens
        #[arg(long, value_name = "BITS", default_value_t = 255, value_parser = clap::value_parser!(u32).range(0..=255))]
        privileges: u32,
        /// For how long it is valid, in seconds [default: 5 minutes]
        #[arg(long, value_name = "SECS")]
        expire: Option<u64>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Keys of the administration API that are kept in the data directory. A running server takes changes at once.
    #[command(subcommand)]
    AdminKey(AdminKeyCommand),
    /// Print what administrators did.
    Audit {
        /// So many of the last acts
        #[arg(long, value_name = "N", default_value_t = 100)]
        last: usize,
        /// As JSON lines, as they stand in the file
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
}

#[derive(Subcommand)]
enum AdminKeyCommand {
    /// Make a key, and print SECRETID:SECRETKEY once.
    Create {
        /// The SecretId, shown to people who are put out: 1 to 64 characters of A-Z a-z 0-9 _ and -
        #[arg(value_name = "SECRETID")]
        id: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Print the SecretIds, without their secrets.
    List(Flags),
    /// Drop a key.
    Revoke {
        #[arg(value_name = "SECRETID")]
        id: String,
        #[command(flatten)]
        flags: Flags,
    },
}

/// One flag for each key. Each can also be said in the environment, or in the file; flags count most, the file least.
struct Flags {
    file: Option<PathBuf>,
    layer: Layer,
}

impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let file = Arg::new("config").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf));
        let file = file.help("TOML file with the keys of the flags below [env: AHOY_CONFIG]");
        command.arg(file).args(KEYS.iter().map(|key| {
            let action = if key.form == Form::List { ArgAction::Append } else { ArgAction::Set };
            let help = format!("{} [env: {}]", key.help, key.variable());
            let arg = Arg::new(key.name).long(key.name).value_name(key.value).help(help).action(action);
            if key.form == Form::Switch {
                return arg.num_args(0..=1).require_equals(true).default_missing_value("true");
            }
            arg
        }))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut layer = Layer::default();
        for key in KEYS {
            for value in matches.get_many::<String>(key.name).into_iter().flatten() {
                layer
                    .set(key.name, value, &format!("--{}", key.name))
                    .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")))?;
            }
        }
        Ok(Self { file: matches.get_one::<PathBuf>("config").cloned(), layer })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Flags {
    fn config(&self) -> Result<Config> {
        let env = Layer::from_env(|name| std::env::var(name).ok())?;
        let file = match self.file.clone().or_else(|| std::env::var_os("AHOY_CONFIG").map(PathBuf::from)) {
            Some(path) => Layer::from_file(&path).with_context(|| format!("in {}", path.display()))?,
            None => Layer::default(),
        };
        Ok(self.layer.clone().over(env).over(file).finish())
    }

    fn ticket_key(&self) -> Result<TicketKey> {
        let config = self.config()?;
        Ok(server::ticket_key(&config, &Secrets::load(&config.data_dir)?))
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
            let expire = expire.map_or(usersig::DEFAULT_EXPIRE, Duration::from_secs);
            println!("{}", flags.ticket_key()?.mint(&user, expire, SystemTime::now().into()));
            Ok(())
        }
        Command::MapKey { user, room, str_room, privileges, expire, flags } => {
            let user = UserId::new(user)?;
            let room = match str_room {
                Some(name) => RoomId::text(name)?,
                None => RoomId::number(room.unwrap_or_default())?,
            };
            let expire = expire.map_or(map_key::DEFAULT_EXPIRE, Duration::from_secs);
            let (privileges, now) = (Privileges(privileges), SystemTime::now().into());
            println!("{}", flags.ticket_key()?.mint_map_key(&user, &room, privileges, expire, now));
            Ok(())
        }
        Command::AdminKey(command) => admin_key(&command),
        Command::Audit { last, json, flags } => show_audit(last, json, &flags.config()?),
    }
}

fn admin_key(command: &AdminKeyCommand) -> Result<()> {
    let (AdminKeyCommand::Create { flags, .. } | AdminKeyCommand::List(flags) | AdminKeyCommand::Revoke { flags, .. }) =
        command;
    let Config { admin_keys, data_dir, .. } = flags.config()?;
    let keys = AdminKeys::new(admin_keys, &data_dir);
    match command {
        AdminKeyCommand::Create { id, .. } => {
            let key = keys.create(id, UnixMillis::from(SystemTime::now()).seconds())?;
            note(&data_dir, "CreateAdminKey", id)?;
            println!("{}:{}", key.secret_id, key.secret_key);
        }
        AdminKeyCommand::List(_) => {
            for key in keys.list()? {
                println!("{}  made {}", key.secret_id, server::utc::date_time(key.created));
            }
        }
        AdminKeyCommand::Revoke { id, .. } => {
            keys.revoke(id)?;
            note(&data_dir, "RevokeAdminKey", id)?;
        }
    }
    Ok(())
}

/// Writes down what was done to a key from this machine.
fn note(data_dir: &Path, act: &str, key: &str) -> Result<()> {
    Audit::open(data_dir)?.write_now(&Entry {
        at: SystemTime::now().into(),
        request_id: server::request_id(),
        by: "ahoy-server".to_owned(),
        api: Plane::Local,
        act: act.to_owned(),
        room: None,
        users: Vec::new(),
        detail: Some(key.to_owned()),
        result: audit::OK.to_owned(),
    })
}

fn show_audit(last: usize, json: bool, config: &Config) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in audit::last(&config.data_dir, last)? {
        match serde_json::from_str::<Entry>(&line) {
            Ok(entry) if !json => writeln!(out, "{entry}")?,
            // A line that this version cannot read is shown as it stands, harmless to a terminal.
            Err(_) if !json => writeln!(out, "{}", line.escape_debug())?,
            Ok(_) | Err(_) => writeln!(out, "{line}")?,
        }
    }
    Ok(())
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
