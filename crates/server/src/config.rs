//! What a server can be told: by flags, over the environment, over one TOML file.
//!
//! Every place takes the same keys and the same text for each value, read by one function; what is wrong is refused
//! with its key and, in a file, its line.

use crate::tokens::ApiKey;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// HTTP and WebSocket.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7880);

/// Media over UDP, one port for all rooms.
pub const DEFAULT_MEDIA: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7882);

/// The application that tickets are minted for unless another is configured.
pub const DEFAULT_SDK_APP_ID: u64 = 1_400_000_000;

/// LiveKit asks for secrets of 32 characters and more.
const SECRET_LENGTH: usize = 32;

/// All that a server needs to know. Port 0 takes any free port.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// HTTP and WebSocket.
    pub listen: SocketAddr,
    /// Media over UDP.
    pub media: SocketAddr,
    /// Store and generated secrets.
    pub data_dir: PathBuf,
    /// Room API keys, as LiveKit has them. The server always has one more of its own.
    pub api_keys: Vec<ApiKey>,
    /// The application of the tickets.
    pub sdk_app_id: u64,
    /// Signs tickets; generated and kept in the data directory where absent.
    pub ticket_key: Option<String>,
    /// `http(s)://host[:port]` under which clients reach this server; the address that they used where absent.
    pub public_url: Option<url::Url>,
    /// Whether users may let several of their devices be signed in at once.
    pub multi_device: bool,
    /// How often clients are pinged.
    pub heartbeat: Duration,
}

impl Default for Config {
    /// Loopback with any free port, and the platform's data directory.
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any,
            media: any,
            data_dir: default_data_dir(),
            api_keys: Vec::new(),
            sdk_app_id: DEFAULT_SDK_APP_ID,
            ticket_key: None,
            public_url: None,
            multi_device: true,
            heartbeat: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("media", &self.media)
            .field("data_dir", &self.data_dir)
            .field("api_keys", &self.api_keys)
            .field("sdk_app_id", &self.sdk_app_id)
            .finish_non_exhaustive()
    }
}

fn default_data_dir() -> PathBuf {
    match directories::ProjectDirs::from("org", "Ahoy", "ahoy-server") {
        Some(dirs) => dirs.data_dir().to_owned(),
        // No home directory: a service account. The working directory is the least surprising place left.
        None => PathBuf::from("ahoy-server-data"),
    }
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        why: String,
    },
    /// Not TOML.
    #[error("line {line}: {why}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// No such key.
    #[error("line {line}: there is no key \"{key}\"; the keys are {known}", known = KEYS.join(", "))]
    UnknownKey {
        /// From 1.
        line: usize,
        /// As written.
        key: String,
    },
    /// A value that its key does not take.
    #[error("{place}: {why}")]
    BadValue {
        /// Flag, variable, or line and key.
        place: String,
        /// What is taken instead.
        why: String,
    },
}

/// Every key, as in the file. Flags are the same with `--`, variables in capitals with `AHOY_` and `_`.
pub const KEYS: [&str; 8] =
    ["listen", "media", "data-dir", "api-key", "sdk-app-id", "ticket-key", "public-url", "multi-device"];

/// What one place says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    listen: Option<SocketAddr>,
    media: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    api_keys: Vec<ApiKey>,
    sdk_app_id: Option<u64>,
    ticket_key: Option<TicketSecret>,
    public_url: Option<url::Url>,
    multi_device: Option<bool>,
}

/// Kept from `Debug`.
#[derive(Clone, PartialEq, Eq)]
struct TicketSecret(String);

impl std::fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

impl Layer {
    /// Sets one key. `place` says where, for the refusal; values are not repeated there: some are secrets.
    pub fn set(&mut self, key: &str, value: &str, place: &str) -> Result<(), ConfigError> {
        let bad = |why: &str| ConfigError::BadValue { place: place.to_owned(), why: why.to_owned() };
        let address = || value.parse().map_err(|_| bad("an address is written ADDR:PORT, for example 127.0.0.1:7880"));
        match key {
            "listen" => self.listen = Some(address()?),
            "media" => self.media = Some(address()?),
            "data-dir" if value.is_empty() => return Err(bad("a directory is needed")),
            "data-dir" => self.data_dir = Some(PathBuf::from(value)),
            "api-key" => {
                let (key, secret) = value.split_once(':').ok_or_else(|| bad("an API key is written KEY:SECRET"))?;
                if key.is_empty() || secret.len() < SECRET_LENGTH {
                    return Err(bad("an API key is written KEY:SECRET, with a secret of 32 or more characters"));
                }
                self.api_keys.push(ApiKey { key: key.to_owned(), secret: secret.to_owned() });
            }
            "sdk-app-id" => {
                let id = value.parse().ok().filter(|id: &u64| *id > 0 && *id <= u64::from(u32::MAX));
                self.sdk_app_id = Some(id.ok_or_else(|| bad("an application id is a number of 1 to 4294967295"))?);
            }
            "ticket-key" if value.len() < 8 => return Err(bad("a ticket key has 8 or more characters")),
            "ticket-key" => self.ticket_key = Some(TicketSecret(value.to_owned())),
            "public-url" => {
                let url = url::Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
                self.public_url = Some(url.ok_or_else(|| bad("an address is written http://host or https://host"))?);
            }
            "multi-device" => {
                self.multi_device = Some(value.parse().map_err(|_| bad("it is written true or false"))?);
            }
            _ => return Err(bad("there is no such key")),
        }
        Ok(())
    }

    /// Reads `AHOY_LISTEN` and so on. Several API keys are separated by spaces or commas.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for key in KEYS {
            let name = format!("AHOY_{}", key.replace('-', "_").to_uppercase());
            let Some(value) = lookup(&name) else { continue };
            if key == "api-key" {
                for part in value.split([' ', ',']).filter(|part| !part.is_empty()) {
                    layer.set(key, part, &name)?;
                }
            } else {
                layer.set(key, &value, &name)?;
            }
        }
        Ok(layer)
    }

    /// Reads a file.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.display().to_string(), why: error.to_string() })?;
        Self::from_toml(&text)
    }

    /// Reads the text of a file.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let line = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            line: line(error.span().map_or(0, |span| span.start)),
            why: error.message().to_owned(),
        })?;
        let mut layer = Self::default();
        for (key, value) in table.get_ref() {
            let (name, at) = (key.get_ref().as_ref(), line(key.span().start));
            if !KEYS.contains(&name) {
                return Err(ConfigError::UnknownKey { line: at, key: name.to_owned() });
            }
            layer.set_value(name, value.get_ref(), &format!("line {at}, key \"{name}\""))?;
        }
        Ok(layer)
    }

    fn set_value(&mut self, key: &str, value: &DeValue<'_>, place: &str) -> Result<(), ConfigError> {
        match value {
            DeValue::String(text) => self.set(key, text, place),
            DeValue::Integer(number) if key == "sdk-app-id" => self.set(key, number.as_str(), place),
            DeValue::Boolean(value) if key == "multi-device" => self.set(key, &value.to_string(), place),
            DeValue::Array(items) if key == "api-key" => {
                items.iter().try_for_each(|item| self.set_value(key, item.get_ref(), place))
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                let why = format!("it does not take a value of the kind {}", value.type_str());
                Err(ConfigError::BadValue { place: place.to_owned(), why })
            }
        }
    }

    /// This layer over `lower`: what is said here counts. Lists are replaced, not joined.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            listen: self.listen.or(lower.listen),
            media: self.media.or(lower.media),
            data_dir: self.data_dir.or(lower.data_dir),
            api_keys: if self.api_keys.is_empty() { lower.api_keys } else { self.api_keys },
            sdk_app_id: self.sdk_app_id.or(lower.sdk_app_id),
            ticket_key: self.ticket_key.or(lower.ticket_key),
            public_url: self.public_url.or(lower.public_url),
            multi_device: self.multi_device.or(lower.multi_device),
        }
    }

    /// The whole, with defaults for what nobody said.
    #[must_use]
    pub fn finish(self) -> Config {
        Config {
            listen: self.listen.unwrap_or(DEFAULT_LISTEN),
            media: self.media.unwrap_or(DEFAULT_MEDIA),
            data_dir: self.data_dir.unwrap_or_else(default_data_dir),
            api_keys: self.api_keys,
            sdk_app_id: self.sdk_app_id.unwrap_or(DEFAULT_SDK_APP_ID),
            ticket_key: self.ticket_key.map(|secret| secret.0),
            public_url: self.public_url,
            multi_device: self.multi_device.unwrap_or(true),
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn flags_go_over_environment_over_file() {
        let file = Layer::from_toml("listen = \"127.0.0.1:1\"\nmedia = \"127.0.0.1:2\"\nsdk-app-id = 7\n").unwrap();
        let env = Layer::from_env(|name| match name {
            "AHOY_LISTEN" => Some("127.0.0.1:3".to_owned()),
            "AHOY_MEDIA" => Some("127.0.0.1:4".to_owned()),
            _ => None,
        });
        let mut flags = Layer::default();
        flags.set("listen", "127.0.0.1:5", "--listen").unwrap();
        let config = flags.over(env.unwrap()).over(file).finish();
        assert_eq!(config.listen.port(), 5);
        assert_eq!(config.media.port(), 4);
        assert_eq!(config.sdk_app_id, 7);
    }

    #[test]
    fn api_keys_come_as_a_list_in_every_place() {
        let pairs = format!("a:{SECRET} b:{SECRET}");
        let env = Layer::from_env(|name| (name == "AHOY_API_KEY").then(|| pairs.clone())).unwrap();
        assert_eq!(env.api_keys.len(), 2);
        let file = Layer::from_toml(&format!("api-key = [\"a:{SECRET}\", \"b:{SECRET}\"]")).unwrap();
        assert_eq!(file.api_keys, env.api_keys);
        assert!(!format!("{file:?}").contains(SECRET));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = Layer::from_toml("listen = \"127.0.0.1:1\"\n\nlisten-adress = \"x\"\n").unwrap_err();
        assert_eq!(error, ConfigError::UnknownKey { line: 3, key: "listen-adress".to_owned() });
        assert!(error.to_string().starts_with("line 3: there is no key \"listen-adress\""));
    }

    #[test]
    fn bad_values_are_refused_with_key_and_line() {
        for (text, start) in [
            ("\nlisten = \"here\"", "line 2, key \"listen\""),
            ("sdk-app-id = 0", "line 1, key \"sdk-app-id\""),
            ("sdk-app-id = \"x\"", "line 1, key \"sdk-app-id\""),
            ("api-key = \"devkey\"", "line 1, key \"api-key\""),
            ("api-key = [\"devkey:short\"]", "line 1, key \"api-key\""),
            ("ticket-key = 5", "line 1, key \"ticket-key\""),
            ("media = [", "line 1:"),
            ("public-url = \"ftp://x\"", "line 1, key \"public-url\""),
            ("multi-device = \"maybe\"", "line 1, key \"multi-device\""),
        ] {
            let error = Layer::from_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{text}: {error}");
        }
        let error = Layer::from_env(|name| (name == "AHOY_LISTEN").then(|| "x".to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("AHOY_LISTEN: "), "{error}");
    }
}
