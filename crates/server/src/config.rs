//! What a server can be told: by flags, over the environment, over one TOML file.
//!
//! Every place takes the same keys and the same text for each value, read by one function; what is wrong is refused
//! with its key and, in a file, its line.

pub mod keys;

use crate::admin_keys::AdminKey;
use crate::tc3::limit::DEFAULT_RATE;
use crate::tokens::ApiKey;
use keys::{Form, KEYS, Key};
use std::collections::BTreeMap;
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

/// Who carries the rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RoomsKind {
    /// This process.
    #[default]
    Embedded,
    /// A LiveKit deployment.
    LiveKit,
}

/// What the embedded rooms allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomRules {
    /// So many people enter a room where its maker says nothing else; 0: any number.
    pub room_limit: u32,
    /// So many joins in a second from one address; 0: any number.
    pub join_rate: u32,
    /// Administrators may unmute, too: LiveKit leaves it off, because nobody likes to be heard unawares.
    pub remote_unmute: bool,
    /// A member who is silent for so long is out.
    pub member_timeout: Duration,
    /// The same where the member's signal socket was closed, too.
    pub closed_timeout: Duration,
}

impl Default for RoomRules {
    fn default() -> Self {
        Self {
            room_limit: 0,
            join_rate: 200,
            remote_unmute: false,
            member_timeout: Duration::from_secs(90),
            closed_timeout: Duration::from_secs(5),
        }
    }
}

/// All that a server needs to know. Port 0 takes any free port.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// HTTP and WebSocket.
    pub listen: SocketAddr,
    /// Media over UDP.
    pub media: SocketAddr,
    /// Store and generated secrets.
    pub data_dir: PathBuf,
    /// Room API keys, as LiveKit has them. Embedded rooms always have one more of their own; with LiveKit the first one
    /// is the deployment's.
    pub api_keys: Vec<ApiKey>,
    /// Who carries the rooms.
    pub rooms: RoomsKind,
    /// Where clients and this server reach the LiveKit deployment: `ws(s)://` or `http(s)://`.
    pub livekit_url: Option<url::Url>,
    /// The application of the tickets.
    pub sdk_app_id: u64,
    /// Signs tickets; generated and kept in the data directory where absent.
    pub ticket_key: Option<String>,
    /// `http(s)://host[:port]` under which clients reach this server; the address that they used where absent.
    pub public_url: Option<url::Url>,
    /// Keys of the administration API. More are kept in the data directory.
    pub admin_keys: Vec<AdminKey>,
    /// Requests a second of one action by one of those keys.
    pub admin_rate: u32,
    /// Rooms are entered with a PrivateMapKey only.
    pub require_map_key: bool,
    /// Receivers of LiveKit's webhooks.
    pub webhook_urls: Vec<url::Url>,
    /// Name of the API key that signs them, one of `api_keys`.
    pub webhook_api_key: Option<String>,
    /// Receivers of TRTC's event callbacks.
    pub callback_urls: Vec<url::Url>,
    /// Signs the callbacks; they are not signed where it is absent.
    pub callback_key: Option<String>,
    /// What the embedded rooms allow.
    pub rules: RoomRules,
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
            rooms: RoomsKind::default(),
            livekit_url: None,
            sdk_app_id: DEFAULT_SDK_APP_ID,
            ticket_key: None,
            public_url: None,
            admin_keys: Vec::new(),
            admin_rate: DEFAULT_RATE,
            require_map_key: false,
            webhook_urls: Vec::new(),
            webhook_api_key: None,
            callback_urls: Vec::new(),
            callback_key: None,
            rules: RoomRules::default(),
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
            .field("rooms", &self.rooms)
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
    #[error("line {line}: there is no key \"{key}\"; the keys are {known}", known = names())]
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

fn names() -> String {
    KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
}

/// What one place says: texts that their keys take.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Layer(BTreeMap<&'static str, Vec<String>>);

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names alone: some values are secrets.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Layer {
    /// Sets one key. `place` says where, for the refusal.
    pub fn set(&mut self, name: &str, value: &str, place: &str) -> Result<(), ConfigError> {
        let bad = |why: &str| ConfigError::BadValue { place: place.to_owned(), why: why.to_owned() };
        let key = keys::find(name).ok_or_else(|| bad("there is no such key"))?;
        (key.set)(&mut Config::default(), value).map_err(bad)?;
        let values = self.0.entry(key.name).or_default();
        if key.form != Form::List {
            values.clear();
        }
        values.push(value.to_owned());
        Ok(())
    }

    /// Reads `AHOY_LISTEN` and so on.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for key in KEYS {
            let variable = key.variable();
            let Some(value) = lookup(&variable) else { continue };
            if key.form == Form::List {
                for part in value.split([' ', ',']).filter(|part| !part.is_empty()) {
                    layer.set(key.name, part, &variable)?;
                }
            } else {
                layer.set(key.name, &value, &variable)?;
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
            let Some(known) = keys::find(name) else {
                return Err(ConfigError::UnknownKey { line: at, key: name.to_owned() });
            };
            layer.set_value(known, value.get_ref(), &format!("line {at}, key \"{name}\""))?;
        }
        Ok(layer)
    }

    fn set_value(&mut self, key: &Key, value: &DeValue<'_>, place: &str) -> Result<(), ConfigError> {
        match value {
            DeValue::String(text) => self.set(key.name, text, place),
            DeValue::Integer(number) if key.form == Form::Number => self.set(key.name, number.as_str(), place),
            DeValue::Boolean(on) if key.form == Form::Switch => self.set(key.name, &on.to_string(), place),
            DeValue::Array(items) if key.form == Form::List => {
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
    pub fn over(self, mut lower: Self) -> Self {
        lower.0.extend(self.0);
        lower
    }

    /// The whole, with defaults for what nobody said.
    #[must_use]
    pub fn finish(self) -> Config {
        let mut config = Config::default();
        for key in KEYS {
            for value in self.0.get(key.name).into_iter().flatten() {
                // Only what the key takes got in here.
                let taken = (key.set)(&mut config, value);
                debug_assert_eq!(taken, Ok(()), "{}", key.name);
            }
        }
        config
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
        assert_eq!(env.clone().finish().api_keys.len(), 2);
        let file = Layer::from_toml(&format!("api-key = [\"a:{SECRET}\", \"b:{SECRET}\"]")).unwrap();
        assert_eq!(file, env);
        assert!(!format!("{file:?}").contains(SECRET));
    }

    #[test]
    fn receivers_come_as_lists_and_their_key_stays_hidden() {
        let file =
            "webhook-url = [\"http://a/x\", \"https://b\"]\ncallback-url = \"http://c\"\ncallback-key = \"k123456\"\n";
        let file = Layer::from_toml(file).unwrap();
        assert!(!format!("{file:?}").contains("k123456"));
        let env =
            Layer::from_env(|name| (name == "AHOY_CALLBACK_URL").then(|| "http://d,http://e".to_owned())).unwrap();
        let config = env.over(file).finish();
        let hosts = |urls: &[url::Url]| urls.iter().filter_map(|url| url.host_str()).collect::<Vec<_>>().join(" ");
        assert_eq!((hosts(&config.webhook_urls), hosts(&config.callback_urls)), ("a b".to_owned(), "d e".to_owned()));
        assert_eq!(config.callback_key.as_deref(), Some("k123456"));
        assert!(!format!("{config:?}").contains("k123456"));
    }

    #[test]
    fn admin_keys_come_as_a_list_in_every_place() {
        let env = Layer::from_env(|name| (name == "AHOY_ADMIN_KEY").then(|| "a:secret-of-a, b:secret-of-b".to_owned()));
        let file = Layer::from_toml("admin-key = [\"a:secret-of-a\", \"b:secret-of-b\"]\nadmin-rate = 50\n").unwrap();
        assert_eq!(file.clone().finish().admin_keys, env.unwrap().finish().admin_keys);
        assert!(!format!("{file:?}").contains("secret-of"));
        let mut flags = Layer::default();
        flags.set("admin-key", "c:colons:are:fine", "--admin-key").unwrap();
        let config = flags.over(file).finish();
        assert_eq!(config.admin_keys[0].secret_key, "colons:are:fine");
        assert_eq!((config.admin_keys.len(), config.admin_rate), (1, 50));
    }

    #[test]
    fn a_switch_is_off_unless_said_and_can_be_said_off() {
        assert!(!Layer::default().finish().require_map_key);
        let file = Layer::from_toml("require-map-key = true").unwrap();
        assert!(file.clone().finish().require_map_key);
        let env = Layer::from_env(|name| (name == "AHOY_REQUIRE_MAP_KEY").then(|| "false".to_owned())).unwrap();
        assert!(!env.over(file).finish().require_map_key);
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
            ("member-timeout = 0", "line 1, key \"member-timeout\""),
            ("admin-key = \"nocolon\"", "line 1, key \"admin-key\""),
            ("admin-key = [\"a b:12345678\"]", "line 1, key \"admin-key\""),
            ("admin-key = \"a:short\"", "line 1, key \"admin-key\""),
            ("admin-rate = 0", "line 1, key \"admin-rate\""),
            ("require-map-key = \"perhaps\"", "line 1, key \"require-map-key\""),
            ("require-map-key = 1", "line 1, key \"require-map-key\""),
            ("webhook-url = \"localhost\"", "line 1, key \"webhook-url\""),
            ("webhook-url = [\"http://a\", 5]", "line 1, key \"webhook-url\""),
            ("webhook-api-key = \"\"", "line 1, key \"webhook-api-key\""),
            ("callback-url = \"file:///x\"", "line 1, key \"callback-url\""),
            ("callback-key = \"no-dashes\"", "line 1, key \"callback-key\""),
            ("rooms = \"zoom\"", "line 1, key \"rooms\""),
            ("livekit-url = \"127.0.0.1:7880\"", "line 1, key \"livekit-url\""),
            ("room-limit = -1", "line 1, key \"room-limit\""),
            ("join-rate = true", "line 1, key \"join-rate\""),
            ("remote-unmute = \"perhaps\"", "line 1, key \"remote-unmute\""),
        ] {
            let error = Layer::from_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{text}: {error}");
        }
        let error = Layer::from_env(|name| (name == "AHOY_LISTEN").then(|| "x".to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("AHOY_LISTEN: "), "{error}");
    }
}
