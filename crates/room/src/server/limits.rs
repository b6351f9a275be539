//! What is too long, too large or too many. Sizes in **bytes**, as LiveKit counts them.

use livekit_protocol as proto;
use std::collections::BTreeMap;

/// A room's name, an identity, a participant's name.
pub const NAME_LIMIT: usize = 256;

/// Metadata of a room or a participant. LiveKit's documented bound; everybody in the room is sent every change of it.
pub const METADATA_LIMIT: usize = 512 << 10;

/// All attributes of a participant together, keys and values.
pub const ATTRIBUTES_LIMIT: usize = 64 << 10;

/// One data packet, whole. Larger ones do not fit the data channels' largest message (SCTP, 64 KiB).
pub const DATA_LIMIT: usize = 64_000;

/// What is said of a track when it is announced, **bytes** on the wire: names, layers, codecs. Everybody is told all of it
/// with every change.
pub(super) const ANNOUNCEMENT_LIMIT: usize = 4 << 10;

/// Features of an audio track; LiveKit knows ten.
pub(super) const FEATURE_LIMIT: usize = 16;

/// Most tracks that one member may announce or publish: more is a mistake or an attack.
pub(super) const TRACK_LIMIT: usize = 32;

/// What is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// See [`NAME_LIMIT`].
    #[error("a name has at most {NAME_LIMIT} bytes")]
    Name,
    /// See [`METADATA_LIMIT`].
    #[error("metadata has at most {METADATA_LIMIT} bytes")]
    Metadata,
    /// See [`ATTRIBUTES_LIMIT`].
    #[error("all attributes together have at most {ATTRIBUTES_LIMIT} bytes")]
    Attributes,
    /// See [`DATA_LIMIT`].
    #[error("a data packet has at most {DATA_LIMIT} bytes")]
    Data,
}

/// Checks a name.
pub fn check_name(name: &str) -> Result<(), TooLarge> {
    if name.len() <= NAME_LIMIT { Ok(()) } else { Err(TooLarge::Name) }
}

/// Checks metadata.
pub fn check_metadata(metadata: &str) -> Result<(), TooLarge> {
    if metadata.len() <= METADATA_LIMIT { Ok(()) } else { Err(TooLarge::Metadata) }
}

/// Checks all attributes of a participant.
pub fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), TooLarge> {
    let size: usize = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size <= ATTRIBUTES_LIMIT { Ok(()) } else { Err(TooLarge::Attributes) }
}

impl super::Joining {
    /// Checks all that a client brings along.
    pub fn check(&self) -> Result<(), TooLarge> {
        check_name(&self.identity)?;
        check_name(&self.name)?;
        check_metadata(&self.metadata)?;
        check_attributes(&self.attributes)
    }
}

/// Whether somebody counts as a person: what records or serves a room does not fill it.
pub(super) fn is_person(joining: &super::Joining) -> bool {
    use proto::participant_info::Kind;
    #[allow(deprecated)]
    let serves = joining.permission.agent || joining.permission.recorder;
    !serves && !matches!(joining.kind, Kind::Agent | Kind::Egress)
}
