//! Who and where: the identifiers of people, devices, calls and rooms. Each is checked when it is made.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// TRTC code -3319.
    #[error("a user id has 1 to 32 characters of A-Z a-z 0-9 _ and -")]
    User,
    /// TRTC code -3318.
    #[error("a room number is 1 to 4294967294")]
    RoomNumber,
    /// TRTC codes -100014 (character) and -102030 (length).
    #[error(
        "a room name has 1 to 64 characters of a-z A-Z 0-9 space ! # $ % & ( ) + - : ; < = . > ? @ [ ] ^ _ {{ }} | ~ ,"
    )]
    RoomName,
    /// Neither `n:<number>` nor `s:<text>`.
    #[error("a room on the wire is named n:<number> or s:<text>")]
    RoomWire,
    /// Calls and devices are named by whoever made them.
    #[error("an id has 1 to 64 characters of A-Z a-z 0-9 _ and -")]
    Token,
}

/// A person, 1–32 bytes of `[A-Za-z0-9_-]` (settled points, "Identity").
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

/// One call, named by the server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(try_from = "String", into = "String")]
pub struct CallId(String);

/// One installation of a client, named by the client and kept by it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

fn is_word(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

macro_rules! word_id {
    ($name:ident, $longest:literal, $error:expr) => {
        impl $name {
            /// Checks the text and keeps it.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if !is_word(&text, $longest) {
                    return Err($error);
                }
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word_id!(UserId, 32, IdError::User);
word_id!(CallId, 64, IdError::Token);
word_id!(DeviceId, 64, IdError::Token);

/// A room: numbers and texts are two name spaces, 123 and "123" are different rooms (TRTC 3.1).
///
/// On the LiveKit wire a room is named `n:123` or `s:123` (settled points, "Rooms").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(try_from = "RoomIdJson", into = "RoomIdJson")]
pub enum RoomId {
    /// 1…4294967294.
    Number(u32),
    /// 1–64 bytes of the 89 characters that TRTC allows.
    Text(String),
}

const ROOM_PUNCTUATION: &[u8] = b" !#$%&()+-:;<=.>?@[]^_{}|~,";

impl RoomId {
    /// A numbered room.
    pub fn number(n: u32) -> Result<Self, IdError> {
        if n == 0 || n == u32::MAX {
            return Err(IdError::RoomNumber);
        }
        Ok(Self::Number(n))
    }

    /// A named room.
    pub fn text(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || ROOM_PUNCTUATION.contains(&b);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(IdError::RoomName);
        }
        Ok(Self::Text(text))
    }

    /// The name of the LiveKit room that carries this one.
    #[must_use]
    pub fn wire_name(&self) -> String {
        match self {
            Self::Number(n) => format!("n:{n}"),
            Self::Text(text) => format!("s:{text}"),
        }
    }

    /// Reads [`RoomId::wire_name`] back.
    pub fn from_wire_name(name: &str) -> Result<Self, IdError> {
        if let Some(number) = name.strip_prefix("n:") {
            return Self::number(number.parse().map_err(|_| IdError::RoomNumber)?);
        }
        Self::text(name.strip_prefix("s:").ok_or(IdError::RoomWire)?)
    }
}

/// The documented JSON shape `{intRoomId, strRoomId}`: the number wins where it is not 0.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
struct RoomIdJson {
    #[serde(default)]
    int_room_id: u32,
    #[serde(default)]
    str_room_id: String,
}

impl From<RoomId> for RoomIdJson {
    fn from(room: RoomId) -> Self {
        match room {
            RoomId::Number(int_room_id) => Self { int_room_id, str_room_id: String::new() },
            RoomId::Text(str_room_id) => Self { int_room_id: 0, str_room_id },
        }
    }
}

impl TryFrom<RoomIdJson> for RoomId {
    type Error = IdError;

    fn try_from(json: RoomIdJson) -> Result<Self, IdError> {
        if json.int_room_id == 0 { Self::text(json.str_room_id) } else { Self::number(json.int_room_id) }
    }
}
