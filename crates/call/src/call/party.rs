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
    /// When they were invited last; the caller when the call was placed.
    #[serde(default)]
    pub invited_at: UnixMillis,
    /// What the inviter gave along for them; the call's own where empty.
    #[serde(default)]
    pub user_data: String,
    /// Was ever in; the caller once somebody answered.
    #[serde(default)]
    pub answered: bool,
    /// **Milliseconds** that they were in, up to the last time they left.
    #[serde(default)]
    pub talked: u64,
    /// They have deleted their record of this call.
    #[serde(default)]
    pub forgotten: bool,
}

/// Where a person stands.
///
/// ```text
/// Ringing --accept--> In --hangup, lost, removed--> Out
///    |                 ^---------join---------------||
///    |'------reject, busy, time-out, cancelled------^|
///    '<-----------------invited again----------------'
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
    /// No longer takes part.
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
    /// Somebody whom it rings from now on, or who is busy.
    pub(super) fn called(user: UserId, inviter: UserId, until: UnixMillis, busy: bool, now: UnixMillis) -> Self {
        let standing =
            if busy { Standing::Out(CallEndReason::LineBusy) } else { Standing::Ringing { until, shown: false } };
        Self {
            user,
            role: CallRole::Called,
            inviter,
            standing,
            offline: None,
            invited_at: now,
            user_data: String::new(),
            answered: false,
            talked: 0,
            forgotten: false,
        }
    }

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

    /// Until when it rings there.
    #[must_use]
    pub fn rings_until(&self) -> Option<UnixMillis> {
        match self.standing {
            Standing::Ringing { until, .. } => Some(until),
            Standing::In { .. } | Standing::Out(_) => None,
        }
    }

    /// Why they no longer take part, where they do not.
    #[must_use]
    pub fn out(&self) -> Option<CallEndReason> {
        match self.standing {
            Standing::Out(reason) => Some(reason),
            Standing::Ringing { .. } | Standing::In { .. } => None,
        }
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
