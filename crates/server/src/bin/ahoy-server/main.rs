//! `ahoy-server`: serves, mints tickets and keys for rooms, keeps the keys of administrators and shows what they did.

mod admin;
mod flags;
mod serve;

use anyhow::Result;
use clap::{Parser, Subcommand};
use flags::Flags;
use protocol::usersig;
use protocol::{Privileges, RoomId, UserId, map_key};
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
    AdminKey(admin::AdminKeyCommand),
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
            serve::start_log();
            serve::raise_file_limit();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve::serve(flags.config()?))
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
        Command::AdminKey(command) => admin::admin_key(&command),
        Command::Audit { last, json, flags } => admin::show_audit(last, json, &flags.config()?),
    }
}
