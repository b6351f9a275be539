//! What a client reports: the events of TUICallKit's newer page and of TRTC's room, by their documented names.
//!
//! Written as one JSON object: `{"event":"onCallBegin", …fields}`. [`crate::vocabulary`] says the same in the names of the
//! older page.

use crate::{CallEndReason, CallId, CallMediaType, CallRole, ExitReason, LeaveReason, NetworkQuality, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One event, as the engine gives it to the window, to scripts and to logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// Something went wrong; `code` is TRTC's or TUICallKit's.
    OnError { code: i32, message: String },
    /// Somebody rings.
    OnCallReceived {
        call_id: CallId,
        caller_id: UserId,
        callee_id_list: Vec<UserId>,
        group_id: String,
        call_media_type: CallMediaType,
        user_data: String,
        room_id: RoomId,
    },
    /// A call ended before it began. `caller_id` as settled, case by case.
    OnCallCancelled { call_id: CallId, caller_id: UserId, reason: CallEndReason, user_id: UserId, inviter_id: UserId },
    /// The server has accepted the acceptance.
    OnCallBegin { call_id: CallId, room_id: RoomId, call_media_type: CallMediaType, call_role: CallRole },
    /// A call that had begun ended; `total_time` in **seconds**.
    OnCallEnd {
        call_id: CallId,
        room_id: RoomId,
        call_media_type: CallMediaType,
        call_role: CallRole,
        total_time: u64,
        reason: CallEndReason,
        user_id: UserId,
        inviter_id: UserId,
    },
    /// A callee rejected.
    OnUserReject { user_id: UserId },
    /// A callee did not answer in time.
    OnUserNoResponse {
        user_id: UserId,
        /// Who invited this user into the call that it is about; in no words but those of the older page.
        #[serde(skip)]
        inviter_id: Option<UserId>,
    },
    /// A callee is in another call.
    OnUserLineBusy { user_id: UserId },
    /// Somebody was invited into the running call (newest API, an extra).
    OnUserInviting { user_id: UserId },
    /// Somebody says how they call themselves, or has changed it (an extra).
    OnUserInfoChanged { user_id: UserId, nickname: String, avatar: String },
    /// Somebody joined the call.
    OnUserJoin { user_id: UserId },
    /// Somebody left the call.
    OnUserLeave { user_id: UserId },
    /// The call changed between voice and video.
    OnCallMediaTypeChanged { old_call_media_type: CallMediaType, new_call_media_type: CallMediaType },
    /// The same user signed in elsewhere.
    OnKickedOffline,
    /// The ticket ran out.
    OnUserSigExpired,
    /// A user's camera picture comes or goes.
    OnUserVideoAvailable { user_id: UserId, is_video_available: bool },
    /// A user's voice comes or goes.
    OnUserAudioAvailable { user_id: UserId, is_audio_available: bool },
    /// Volumes 0–100, everyone in the call, the local user too, every 300 ms.
    OnUserVoiceVolumeChanged { volume_map: BTreeMap<UserId, u8> },
    /// Network quality of everyone, every 2 s.
    OnUserNetworkQualityChanged { network_quality_map: BTreeMap<UserId, NetworkQuality> },

    /// The room is entered: **milliseconds** spent, or a negative error code.
    OnEnterRoom { result: i64 },
    /// The room is left and every device is released.
    OnExitRoom { reason: ExitReason },
    /// Somebody entered the room.
    OnRemoteUserEnterRoom { user_id: UserId },
    /// Somebody left the room.
    OnRemoteUserLeaveRoom { user_id: UserId, reason: LeaveReason },
    /// No room signal or no path for media for 8 s.
    OnConnectionLost,
    /// Trying to come back.
    OnTryToReconnect,
    /// Back.
    OnConnectionRecovery,
    /// The list of devices or the current ones changed (older page: DEVICED_UPDATED).
    OnDeviceUpdated {
        microphone_list: Vec<DeviceInfo>,
        camera_list: Vec<DeviceInfo>,
        speaker_list: Vec<DeviceInfo>,
        #[serde(rename = "currentMicrophoneID")]
        current_microphone_id: String,
        #[serde(rename = "currentCameraID")]
        current_camera_id: String,
        #[serde(rename = "currentSpeakerID")]
        current_speaker_id: String,
    },
    /// Signed in, calls can be placed and received (older page alone: SDK_READY).
    SdkReady,
    /// A callee answered; also for those whom the call still rings (older page alone: USER_ACCEPT).
    OnUserAccept { user_id: UserId },
    /// Who is invited into the call has changed (older page alone: GROUP_CALL_INVITEE_LIST_UPDATE).
    OnGroupCallInviteeListUpdate { user_id_list: Vec<UserId> },
    /// First voice of a remote user was decoded (an extra for scripts); **milliseconds** since accept.
    OnFirstAudioFrame { user_id: UserId, ms: u64 },
    /// First picture of a remote user was decoded (an extra for scripts); **milliseconds** since accept.
    OnFirstVideoFrame { user_id: UserId, width: u32, height: u32, ms: u64 },
}

impl Event {
    /// On the older page alone: not part of the newer vocabulary.
    #[must_use]
    pub fn is_older_only(&self) -> bool {
        matches!(self, Self::SdkReady | Self::OnUserAccept { .. } | Self::OnGroupCallInviteeListUpdate { .. })
    }
}

/// One device in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    /// Stable while the device is plugged in.
    pub device_id: String,
    /// What the person reads.
    pub device_name: String,
}
