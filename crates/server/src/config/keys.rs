//! Every key that a server can be told, each in one row: name, value, what it is, and what it sets.

use super::{Config, RoomsKind};
use crate::admin_keys::{self, AdminKey};
use crate::tokens::ApiKey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// LiveKit asks for secrets of 32 characters and more.
const SECRET_LENGTH: usize = 32;

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One text.
    Text,
    /// One number; in a file without quotes, too.
    Number,
    /// On or off; a flag alone is on.
    Switch,
    /// Any number of texts: a repeated flag, a list in a file, separated by spaces or commas in the environment.
    List,
}

/// One key.
pub struct Key {
    /// As in the file. The flag is the same with `--`, the variable in capitals with `AHOY_` and `_`.
    pub name: &'static str,
    /// How it is written.
    pub form: Form,
    /// What stands for its value in the help.
    pub value: &'static str,
    /// One line for the help; the default in brackets at the end.
    pub help: &'static str,
    /// Sets it, or says in words what is taken. Values are not repeated there: some are secrets.
    pub(super) set: fn(&mut Config, &str) -> Result<(), &'static str>,
}

impl Key {
    /// The name of its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("AHOY_{}", self.name.replace('-', "_").to_uppercase())
    }
}

/// All keys, in the order of the help.
pub const KEYS: &[Key] = &[
    Key {
        name: "listen",
        form: Form::Text,
        value: "ADDR:PORT",
        help: "HTTP and WebSocket; port 0 takes a free one [default: 127.0.0.1:7880]",
        set: |config, text| set(&mut config.listen, address(text)),
    },
    Key {
        name: "media",
        form: Form::Text,
        value: "ADDR:PORT",
        help: "Media over UDP; port 0 takes a free one [default: 127.0.0.1:7882]",
        set: |config, text| set(&mut config.media, address(text)),
    },
    Key {
        name: "data-dir",
        form: Form::Text,
        value: "DIR",
        help: "Store and secrets [default: the platform's data directory]",
        set: |config, text| {
            let dir = if text.is_empty() { Err("a directory is needed") } else { Ok(PathBuf::from(text)) };
            set(&mut config.data_dir, dir)
        },
    },
    Key {
        name: "api-key",
        form: Form::List,
        value: "KEY:SECRET",
        help: "A room API key, as LiveKit has them; repeatable",
        set: |config, text| push(&mut config.api_keys, api_key(text)),
    },
    Key {
        name: "sdk-app-id",
        form: Form::Number,
        value: "N",
        help: "The application of the tickets [default: 1400000000]",
        set: |config, text| {
            let id = text.parse().ok().filter(|id: &u64| *id > 0 && *id <= u64::from(u32::MAX));
            set(&mut config.sdk_app_id, id.ok_or("an application id is a number of 1 to 4294967295"))
        },
    },
    Key {
        name: "ticket-key",
        form: Form::Text,
        value: "SECRET",
        help: "The key that signs tickets [default: made at the first start]",
        set: |config, text| {
            let key = Some(text.to_owned()).filter(|key| key.len() >= 8);
            set(&mut config.ticket_key, key.map(Some).ok_or("a ticket key has 8 or more characters"))
        },
    },
    Key {
        name: "public-url",
        form: Form::Text,
        value: "URL",
        help: "Where clients reach this server, if it is not what they asked for",
        set: |config, text| set(&mut config.public_url, web_address(text).map(Some)),
    },
    Key {
        name: "multi-device",
        form: Form::Switch,
        value: "BOOL",
        help: "Whether users may let several of their devices be signed in at once [default: true]",
        set: |config, text| set(&mut config.multi_device, switch(text)),
    },
    Key {
        name: "rooms",
        form: Form::Text,
        value: "WHO",
        help: "Who carries the rooms: embedded or livekit [default: embedded]",
        set: |config, text| {
            let kind = match text {
                "embedded" => Ok(RoomsKind::Embedded),
                "livekit" => Ok(RoomsKind::LiveKit),
                _ => Err("the rooms are \"embedded\" or on \"livekit\""),
            };
            set(&mut config.rooms, kind)
        },
    },
    Key {
        name: "livekit-url",
        form: Form::Text,
        value: "URL",
        help: "Where clients and this server reach the LiveKit deployment; its key is the first --api-key",
        set: |config, text| {
            let schemes = ["ws", "wss", "http", "https"];
            let url = url::Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
            set(&mut config.livekit_url, url.map(Some).ok_or("an address is written ws://host or wss://host"))
        },
    },
    Key {
        name: "admin-key",
        form: Form::List,
        value: "SECRETID:SECRETKEY",
        help: "A key of the administration API; repeatable",
        set: |config, text| push(&mut config.admin_keys, admin_key(text)),
    },
    Key {
        name: "admin-rate",
        form: Form::Number,
        value: "N",
        help: "Requests a second of one action by one of those keys [default: 20]",
        set: |config, text| {
            let rate = text.parse().ok().filter(|rate: &u32| *rate > 0);
            set(&mut config.admin_rate, rate.ok_or("a rate is a number of requests a second, 1 or more"))
        },
    },
    Key {
        name: "require-map-key",
        form: Form::Switch,
        value: "BOOL",
        help: "Rooms are entered with a PrivateMapKey only [default: false]",
        set: |config, text| set(&mut config.require_map_key, switch(text)),
    },
    Key {
        name: "room-limit",
        form: Form::Number,
        value: "N",
        help: "People in one room, where its maker says nothing else; 0: any number [default: 0]",
        set: |config, text| set(&mut config.rules.room_limit, limit(text)),
    },
    Key {
        name: "join-rate",
        form: Form::Number,
        value: "N",
        help: "Joins in one second from one address; 0: any number [default: 200]",
        set: |config, text| set(&mut config.rules.join_rate, limit(text)),
    },
    Key {
        name: "remote-unmute",
        form: Form::Switch,
        value: "BOOL",
        help: "Whether administrators may unmute tracks, not only mute them [default: false]",
        set: |config, text| set(&mut config.rules.remote_unmute, switch(text)),
    },
    Key {
        name: "webhook-url",
        form: Form::List,
        value: "URL",
        help: "Is told by LiveKit's webhooks what happens in rooms; repeatable",
        set: |config, text| push(&mut config.webhook_urls, web_address(text)),
    },
    Key {
        name: "webhook-api-key",
        form: Form::Text,
        value: "KEY",
        help: "Name of the --api-key that signs webhooks",
        set: |config, text| {
            let name = Some(text.to_owned()).filter(|name| !name.is_empty());
            set(&mut config.webhook_api_key, name.map(Some).ok_or("the name of an API key is needed"))
        },
    },
    Key {
        name: "callback-url",
        form: Form::List,
        value: "URL",
        help: "Is told by TRTC's event callbacks what happens in rooms; repeatable",
        set: |config, text| push(&mut config.callback_urls, web_address(text)),
    },
    Key {
        name: "callback-key",
        form: Form::Text,
        value: "SECRET",
        help: "Signs event callbacks [default: they are not signed]",
        set: |config, text| set(&mut config.callback_key, callback_key(text).map(Some)),
    },
    Key {
        name: "member-timeout",
        form: Form::Number,
        value: "SECS",
        help: "A member of a room who is silent for so long is out [default: 90]",
        set: |config, text| set(&mut config.rules.member_timeout, seconds(text)),
    },
    Key {
        name: "closed-timeout",
        form: Form::Number,
        value: "SECS",
        help: "The same where the member's connection was closed, too [default: 5]",
        set: |config, text| set(&mut config.rules.closed_timeout, seconds(text)),
    },
];

/// The key of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn set<T>(place: &mut T, value: Result<T, &'static str>) -> Result<(), &'static str> {
    *place = value?;
    Ok(())
}

fn push<T>(list: &mut Vec<T>, value: Result<T, &'static str>) -> Result<(), &'static str> {
    list.push(value?);
    Ok(())
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an address is written ADDR:PORT, for example 127.0.0.1:7880")
}

fn web_address(text: &str) -> Result<url::Url, &'static str> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or("an address is written http://host or https://host")
}

fn api_key(text: &str) -> Result<ApiKey, &'static str> {
    let (key, secret) = text.split_once(':').ok_or("an API key is written KEY:SECRET")?;
    if key.is_empty() || secret.len() < SECRET_LENGTH {
        return Err("an API key is written KEY:SECRET, with a secret of 32 or more characters");
    }
    Ok(ApiKey { key: key.to_owned(), secret: secret.to_owned() })
}

/// As TRTC's console takes it.
fn callback_key(text: &str) -> Result<String, &'static str> {
    if !(1..=32).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("a callback key has 1 to 32 letters and digits");
    }
    Ok(text.to_owned())
}

fn admin_key(text: &str) -> Result<AdminKey, &'static str> {
    let (id, key) = text.split_once(':').unwrap_or_default();
    if !admin_keys::is_secret_id(id) || key.len() < admin_keys::SECRET_LENGTH {
        return Err(
            "an admin key is written SECRETID:SECRETKEY; the id has 1 to 64 characters of A-Z a-z 0-9 _ and -, \
                    the key 8 or more",
        );
    }
    Ok(AdminKey { secret_id: id.to_owned(), secret_key: key.to_owned(), created: 0 })
}

fn limit(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "a number is needed, 0 for no limit")
}

fn switch(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "it is true or false")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or("a time is a whole number of seconds, 1 to 86400")
}
