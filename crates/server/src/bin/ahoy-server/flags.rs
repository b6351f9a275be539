//! The flags, one for each key of the configuration.

use anyhow::{Context as _, Result};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use protocol::usersig::TicketKey;
use server::Secrets;
use server::config::keys::{Form, KEYS};
use server::config::{Config, Layer};
use std::path::PathBuf;

/// One flag for each key. Each can also be said in the environment, or in the file; flags count most, the file least.
pub struct Flags {
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
    /// What all layers make together.
    pub fn config(&self) -> Result<Config> {
        let env = Layer::from_env(|name| std::env::var(name).ok())?;
        let file = match self.file.clone().or_else(|| std::env::var_os("AHOY_CONFIG").map(PathBuf::from)) {
            Some(path) => Layer::from_file(&path).with_context(|| format!("in {}", path.display()))?,
            None => Layer::default(),
        };
        Ok(self.layer.clone().over(env).over(file).finish())
    }

    /// What signs tickets and keys for rooms.
    pub fn ticket_key(&self) -> Result<TicketKey> {
        let config = self.config()?;
        Ok(server::ticket_key(&config, &Secrets::load(&config.data_dir)?))
    }
}
