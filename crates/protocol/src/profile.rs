//! How people call themselves.

use crate::codes::{Code, Refusal};
use serde::{Deserialize, Serialize};

/// Bytes of a nickname (spec 4.5).
pub const NICKNAME_LIMIT: usize = 500;

/// Bytes of a picture's address. Nine of them have to fit into one frame beside everything else.
pub const AVATAR_LIMIT: usize = 512;

/// What somebody says of themselves; both empty where they have said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What others read instead of the user id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nickname: String,
    /// `http(s)://` address of a picture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub avatar: String,
}

impl Profile {
    /// Nothing said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nickname.is_empty() && self.avatar.is_empty()
    }

    /// The rules: a nickname is one line of text, an avatar the address of a picture.
    ///
    /// # Errors
    /// [`Code::BadParameter`] with a sentence that names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let wrong = |message: String| Err(Refusal::because(Code::BadParameter, message));
        if self.nickname.len() > NICKNAME_LIMIT {
            return wrong(format!("A nickname has at most {NICKNAME_LIMIT} bytes."));
        }
        if self.nickname.chars().any(char::is_control) {
            return wrong("A nickname is one line without control characters.".to_owned());
        }
        if self.avatar.len() > AVATAR_LIMIT {
            return wrong(format!("The address of an avatar has at most {AVATAR_LIMIT} bytes."));
        }
        let web = self.avatar.starts_with("https://") || self.avatar.starts_with("http://");
        let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        let is_address = web && self.avatar.bytes().all(plain);
        if !self.avatar.is_empty() && !is_address {
            return wrong("An avatar is an http:// or https:// address.".to_owned());
        }
        Ok(())
    }
}
