//! Keys of administrators, and what they did.

use crate::flags::Flags;
use anyhow::Result;
use clap::Subcommand;
use protocol::UnixMillis;
use server::admin_keys::AdminKeys;
use server::audit::{self, Audit, Entry, Plane};
use server::config::Config;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

/// What may be done to the keys.
#[derive(Subcommand)]
pub enum AdminKeyCommand {
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

/// Makes, lists or drops keys.
pub fn admin_key(command: &AdminKeyCommand) -> Result<()> {
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

/// Prints the last acts.
pub fn show_audit(last: usize, json: bool, config: &Config) -> Result<()> {
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
