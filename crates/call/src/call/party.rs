//! One person's part in a call.

use protocol::{CallEndReason, CallRole, DeviceId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// One person's part in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Who.
    pub user: UserId,
    /// Caller or called.
    pub role: CallRole,
    /// Who invited them; the caller themselves.
    pub inviter: UserId,
    /// Where they stand.
    pub standing: Standing,
    /// Since when the call plane has not heard of their device.
    pub offline: Option<UnixMillis>,
}

/// Where a person stands.
///
/// ```text
/// Ringing --accept--> In --hangup, lost, removed--> Out
///    '------reject, busy, time-out, cancelled--------^
/// ```
///
/// The caller is `In` from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It rings there.
    Ringing {
        /// Until then.
        until: UnixMillis,
        /// A device has shown it.
        shown: bool,
    },
    /// Takes part.
    In {
        /// With this device.
        device: DeviceId,
        /// Since when their time counts; none for a caller whom nobody has answered.
        began: Option<UnixMillis>,
        /// Whether the room has seen them.
        presence: Presence,
    },
    /// No longer takes part. Final.
    Out(CallEndReason),
}

/// Whether somebody who takes part is in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// Not there (yet, or any more): leaves the call at that time.
    Awaited {
        /// At that time.
        until: UnixMillis,
    },
    /// There.
    Joined,
}

impl Party {
    /// Takes part.
    #[must_use]
    pub fn is_in(&self) -> bool {
        matches!(self.standing, Standing::In { .. })
    }

    /// It rings there.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        matches!(self.standing, Standing::Ringing { .. })
    }

    /// Whether the room has them; nothing where they do not take part.
    #[must_use]
    pub fn in_room(&self) -> Option<bool> {
        match self.standing {
            Standing::In { presence, .. } => Some(presence == Presence::Joined),
            Standing::Ringing { .. } | Standing::Out(_) => None,
        }
    }

    /// The device with which they take part.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match &self.standing {
            Standing::In { device, .. } => Some(device),
            Standing::Ringing { .. } | Standing::Out(_) => None,
        }
    }
}
