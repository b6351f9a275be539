//! What happened in a call, as the server tells a device.

use crate::ids::{CallId, RoomId, UserId};
use crate::kinds::{CallEndReason, CallMediaType, CallRole, ExitReason};
use crate::message::RoomAccess;
use crate::profile::Profile;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened, as the server tells a device.
///
/// `reason`, `userId` (who caused it) and `inviterId` (who invited the receiver) go with both kinds of end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Push {
    /// Somebody rings here.
    Invited {
        /// Which call.
        call_id: CallId,
        /// Who rings.
        caller_id: UserId,
        /// Everyone who is called together with the receiver, the receiver too; with an invitation into a running call
        /// also those who are in it and those whom it rings.
        callee_id_list: Vec<UserId>,
        /// The chat group, or empty.
        #[serde(default)]
        group_id: String,
        /// Voice or video.
        call_media_type: CallMediaType,
        /// From the caller.
        #[serde(default)]
        user_data: String,
        /// The room that the call will be in.
        room_id: RoomId,
        /// When the ringing ends by itself, on the server's clock.
        ring_until: UnixMillis,
        /// More than two may be in this call.
        #[serde(default)]
        is_group: bool,
        /// How those people call themselves, as far as they have said it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        profiles: BTreeMap<UserId, Profile>,
    },
    /// Somebody is being invited into the call; for those who are in it.
    UserInviting {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
        /// When the ringing ends by itself, on the server's clock.
        ring_until: UnixMillis,
        /// How they call themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<Profile>,
    },
    /// A device of a callee has shown the call.
    Ringing {
        /// Which call.
        call_id: CallId,
        /// Whose device.
        user_id: UserId,
    },
    /// A callee answered; for everyone else who is in or rung. A join follows for those who are in.
    UserAccepted {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// The acceptance was accepted: the receiver is in the call.
    Begun {
        /// Which call.
        call_id: CallId,
        /// The room.
        room_id: RoomId,
        /// Voice or video.
        call_media_type: CallMediaType,
        /// The receiver's role.
        call_role: CallRole,
        /// When the receiver's time counts from, on the server's clock.
        began_at: UnixMillis,
        /// Who else is in.
        members: Vec<UserId>,
        /// Who still rings.
        #[serde(default)]
        ringing: Vec<UserId>,
        /// Until when each of them rings by itself, on the server's clock.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        ringing_until: BTreeMap<UserId, UnixMillis>,
        /// More than two may be in this call.
        #[serde(default)]
        is_group: bool,
        /// Who invited the receiver; the caller themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inviter_id: Option<UserId>,
        /// How those people call themselves, as far as they have said it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        profiles: BTreeMap<UserId, Profile>,
        /// How to get into the room; fresh at each delivery.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access: Option<RoomAccess>,
    },
    /// Somebody else is in the call now.
    UserJoined {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
        /// How they call themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<Profile>,
    },
    /// Somebody else left.
    UserLeft {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
        /// Why.
        reason: CallEndReason,
    },
    /// A callee declined.
    UserRejected {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// A callee did not answer in time.
    UserNoResponse {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// A callee is in another call, or ignored this one.
    UserLineBusy {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// It no longer rings at somebody who is not in, of which the receiver is told nothing else: they ignored it.
    RingEnded {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
    },
    /// The call changed between voice and video.
    MediaTypeChanged {
        /// Which call.
        call_id: CallId,
        /// What it was.
        old_call_media_type: CallMediaType,
        /// What it is.
        new_call_media_type: CallMediaType,
    },
    /// Somebody else in the call changed how they call themselves.
    UserInfo {
        /// Which call.
        call_id: CallId,
        /// Who.
        user_id: UserId,
        /// Name and picture.
        profile: Profile,
    },
    /// The call ended for the receiver before it was in.
    Cancelled {
        /// Which call.
        call_id: CallId,
        /// Documented field of `onCallCancelled`: the caller's or the receiver's own id, case by case.
        caller_id: UserId,
        /// Why.
        reason: CallEndReason,
        /// Who caused it.
        user_id: UserId,
        /// Who invited the receiver.
        inviter_id: UserId,
    },
    /// The call ended for the receiver, who was in.
    Ended {
        /// Which call.
        call_id: CallId,
        /// The room.
        room_id: RoomId,
        /// Voice or video.
        call_media_type: CallMediaType,
        /// The receiver's role.
        call_role: CallRole,
        /// **Seconds** since the receiver's `begun`.
        total_time: u64,
        /// Why.
        reason: CallEndReason,
        /// Who caused it.
        user_id: UserId,
        /// Who invited the receiver.
        inviter_id: UserId,
    },
    /// The receiver was put out of a room (reasons 1 and 2); comes before the `ended` of its call, if it is in one.
    RoomExit {
        /// Which room.
        room_id: RoomId,
        /// Removed or dismissed.
        reason: ExitReason,
        /// Who did it, where the administrator has a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// An event of a newer server: acknowledged and skipped.
    #[serde(other)]
    Unknown,
}

impl Push {
    /// The call that it is about, where it is about one.
    #[must_use]
    pub fn call_id(&self) -> Option<&CallId> {
        match self {
            Self::Invited { call_id, .. }
            | Self::UserInviting { call_id, .. }
            | Self::Ringing { call_id, .. }
            | Self::UserAccepted { call_id, .. }
            | Self::Begun { call_id, .. }
            | Self::UserJoined { call_id, .. }
            | Self::UserLeft { call_id, .. }
            | Self::UserRejected { call_id, .. }
            | Self::UserNoResponse { call_id, .. }
            | Self::UserLineBusy { call_id, .. }
            | Self::RingEnded { call_id, .. }
            | Self::MediaTypeChanged { call_id, .. }
            | Self::UserInfo { call_id, .. }
            | Self::Cancelled { call_id, .. }
            | Self::Ended { call_id, .. } => Some(call_id),
            Self::RoomExit { .. } | Self::Unknown => None,
        }
    }
}
