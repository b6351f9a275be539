//! PrivateMapKey: what somebody may do in one room, signed like a ticket (behaviour 2.3).
//!
//! A key is a UserSig with a `TLS.userbuf`, base64 of the following, big-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | 0 a numbered room, 1 a named one |
//! | 2 + n | length and text of the user id |
//! | 4 | application |
//! | 4 | number of the room, 0 for a named one |
//! | 4 | when it expires, seconds since 1970 |
//! | 4 | what it allows ([`Privileges`]) |
//! | 4 | kind of account, always 0 |
//! | 2 + m | length and name of the room, for a named one |

use crate::codes::{Code, Refusal};
use crate::ids::{RoomId, UserId};
use crate::time::UnixMillis;
use crate::usersig::{SigError, TicketKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::time::Duration;

/// How long a key is valid unless asked otherwise: long enough to enter with it.
pub const DEFAULT_EXPIRE: Duration = Duration::from_secs(300);

const NUMBERED: u8 = 0;
const NAMED: u8 = 1;

/// What somebody may do in a room: a set of bits with documented values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Privileges(pub u32);

impl Privileges {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Make the room exist by entering it.
    pub const CREATE: Self = Self(1);
    /// Enter the room.
    pub const ENTER: Self = Self(2);
    /// Send voice.
    pub const SEND_AUDIO: Self = Self(4);
    /// Hear the others.
    pub const RECEIVE_AUDIO: Self = Self(8);
    /// Send a picture.
    pub const SEND_VIDEO: Self = Self(16);
    /// See the others.
    pub const RECEIVE_VIDEO: Self = Self(32);
    /// Share a screen ("sub-stream").
    pub const SEND_SCREEN: Self = Self(64);
    /// See shared screens.
    pub const RECEIVE_SCREEN: Self = Self(128);
    /// Everything: what a member of a call has.
    pub const ALL: Self = Self(255);

    /// Whether all of `wanted` is allowed.
    #[must_use]
    pub fn allow(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether anything of `wanted` is allowed.
    #[must_use]
    pub fn allow_any(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }
}

impl std::ops::BitOr for Privileges {
    type Output = Self;
    fn bitor(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }
}

impl fmt::Debug for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Privileges({})", self.0)
    }
}

/// Why a key does not open the room, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapKeyError {
    /// Not what a generator makes: damaged, or a field is missing.
    #[error("damaged or incomplete")]
    Undecodable,
    /// Made for another application.
    #[error("for another application")]
    OtherApp,
    /// The HMAC does not match.
    #[error("signed with another key")]
    Forged,
    /// A UserSig, which signs in and opens no room.
    #[error("a ticket to sign in (UserSig), not a key for a room")]
    IsTicket,
    /// Made for another user.
    #[error("for another user")]
    OtherUser,
    /// Made for another room.
    #[error("for another room")]
    OtherRoom,
    /// No longer valid.
    #[error("expired")]
    Expired,
}

impl From<SigError> for MapKeyError {
    fn from(error: SigError) -> Self {
        match error {
            SigError::Undecodable => Self::Undecodable,
            SigError::OtherApp => Self::OtherApp,
            SigError::Forged => Self::Forged,
            SigError::IsMapKey => Self::IsTicket,
            SigError::OtherUser => Self::OtherUser,
            SigError::Expired => Self::Expired,
        }
    }
}

impl From<MapKeyError> for Refusal {
    /// All of them answer -100006; the sentence says which.
    fn from(error: MapKeyError) -> Self {
        Self::because(Code::NoPrivilege, format!("The key for the room (PrivateMapKey) is {error}."))
    }
}

/// The inside of a key, without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserBuf {
    /// Whose it is.
    pub user: UserId,
    /// Of which application.
    pub sdk_app_id: u32,
    /// For which room.
    pub room: RoomId,
    /// **Seconds** since 1970.
    pub expires: u32,
    /// What it allows.
    pub privileges: Privileges,
}

impl UserBuf {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, number, name) = match &self.room {
            RoomId::Number(number) => (NUMBERED, *number, None),
            RoomId::Text(name) => (NAMED, 0, Some(name)),
        };
        let mut bytes = vec![kind];
        put_text(&mut bytes, self.user.as_str());
        for field in [self.sdk_app_id, number, self.expires, self.privileges.0, 0] {
            bytes.extend(field.to_be_bytes());
        }
        if let Some(name) = name {
            put_text(&mut bytes, name);
        }
        bytes
    }

    /// Reads the bytes; `None` where they are not exactly one whole [`UserBuf`].
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [kind] = reader.array()?;
        let user = UserId::new(reader.text()?).ok()?;
        let (sdk_app_id, number, expires) = (reader.number()?, reader.number()?, reader.number()?);
        let privileges = Privileges(reader.number()?);
        let _account_type = reader.number()?;
        let room = match kind {
            NUMBERED => RoomId::number(number).ok()?,
            NAMED => RoomId::text(reader.text()?).ok()?,
            _ => return None,
        };
        reader.0.is_empty().then_some(Self { user, sdk_app_id, room, expires, privileges })
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // User ids and room names are far shorter than 65536 bytes.
    bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Option<&str> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        std::str::from_utf8(head).ok()
    }
}

impl TicketKey {
    /// A key with which `user` may do `privileges` in `room`, valid for `expire` from `now` on. Applications and times
    /// beyond 32 bits, which the format cannot write, are cut to its largest number.
    #[must_use]
    pub fn mint_map_key(
        &self,
        user: &UserId,
        room: &RoomId,
        privileges: Privileges,
        expire: Duration,
        now: UnixMillis,
    ) -> String {
        let fit = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let inside = UserBuf {
            user: user.clone(),
            sdk_app_id: fit(self.sdk_app_id()),
            room: room.clone(),
            expires: fit(now.seconds().saturating_add(expire.as_secs())),
            privileges,
        };
        self.seal(user, expire, now, Some(STANDARD.encode(inside.encode())))
    }

    /// Checks a key of `user` for `room`; the first failure answers, in the order of [`MapKeyError`]. Gives back what
    /// it allows.
    pub fn check_map_key(
        &self,
        key: &str,
        user: &UserId,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Privileges, MapKeyError> {
        let fields = self.open(key)?;
        let Some(userbuf) = &fields.userbuf else { return Err(MapKeyError::IsTicket) };
        let bytes = STANDARD.decode(userbuf).map_err(|_| MapKeyError::Undecodable)?;
        let inside = UserBuf::decode(&bytes).ok_or(MapKeyError::Undecodable)?;
        if u64::from(inside.sdk_app_id) != self.sdk_app_id() {
            return Err(MapKeyError::OtherApp);
        }
        if fields.identifier != user.as_str() || inside.user != *user {
            return Err(MapKeyError::OtherUser);
        }
        if inside.room != *room {
            return Err(MapKeyError::OtherRoom);
        }
        if fields.expires().min(u64::from(inside.expires)) <= now.seconds() {
            return Err(MapKeyError::Expired);
        }
        Ok(inside.privileges)
    }
}
