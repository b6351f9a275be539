//! The small enumerations of TRTC and TUICallKit, with their documented numbers.

use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $n:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "specta", derive(specta::Type))]
        #[serde(try_from = "u8", into = "u8")]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $n),+ }

        impl TryFrom<u8> for $name {
            type Error = String;
            fn try_from(n: u8) -> Result<Self, String> {
                match n {
                    $($n => Ok(Self::$variant),)+
                    other => Err(format!("{other} is no {}", stringify!($name))),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(kind: $name) -> u8 {
                kind as u8
            }
        }
    };
}

numbered! {
    /// `callMediaType` (newer event page: 0 voice, 1 video).
    CallMediaType {
        /// Voice only.
        Voice = 0,
        /// Voice and video.
        Video = 1,
    }
}

numbered! {
    /// `callRole`.
    CallRole {
        /// Not known.
        Unknown = 0,
        /// This user placed the call.
        Caller = 1,
        /// This user was called.
        Called = 2,
    }
}

numbered! {
    /// `CallEndReason` (spec 4.2): one enumeration everywhere (settled points, "Calls").
    CallEndReason {
        /// Not known.
        Unknown = 0,
        /// Somebody hung up.
        Hangup = 1,
        /// A callee rejected.
        Reject = 2,
        /// Nobody answered in time.
        NoResponse = 3,
        /// The connection was lost for too long.
        Offline = 4,
        /// The callee is in another call, or ignored this one.
        LineBusy = 5,
        /// The caller took the call back.
        Canceled = 6,
        /// Answered on another device of this user.
        OtherDeviceAccepted = 7,
        /// Rejected on another device of this user.
        OtherDeviceReject = 8,
        /// The server ended the call.
        EndByServer = 9,
    }
}

numbered! {
    /// `scene` of a call record (spec 4.2).
    CallScene {
        /// Not known.
        None = 0,
        /// For a chat group.
        GroupCall = 1,
        /// For more than two.
        MultiCall = 2,
        /// For two.
        SingleCall = 3,
    }
}

numbered! {
    /// `result` of a call record (spec 4.2).
    RecordResult {
        /// Not known; as a filter: all.
        Unknown = 0,
        /// It rang here and this user neither answered nor declined.
        Missed = 1,
        /// This user was called and answered, or declined.
        Incoming = 2,
        /// This user placed the call.
        Outgoing = 3,
    }
}

numbered! {
    /// `onExitRoom(reason)`.
    ExitReason {
        /// By one's own exitRoom.
        Own = 0,
        /// Removed by an administrator.
        Removed = 1,
        /// The room was dismissed.
        Dismissed = 2,
    }
}

numbered! {
    /// `onRemoteUserLeaveRoom(userId, reason)`.
    LeaveReason {
        /// By the user's own exit.
        Left = 0,
        /// The server has not heard from the user for too long.
        TimedOut = 1,
        /// Removed by an administrator.
        Removed = 2,
    }
}

/// `onUserNetworkQualityChanged`: written by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum NetworkQuality {
    /// Not measured yet.
    Unknown,
    /// Nothing to hear or see.
    Excellent,
    /// Hardly anything.
    Good,
    /// Noticeable.
    Poor,
    /// Annoying.
    Bad,
    /// Hardly usable.
    Vbad,
    /// Nothing arrives.
    Down,
}
