//! The same events in the names and fields of the older page (2022): a pure mapping of the one typed stream.
//!
//! Strings are those of npm `tuicall-engine-webrtc` 3.1.7 (spec 4.3), constants those of the page. There the kinds of a
//! call are numbered 1 voice and 2 video, roles are words, and a room is a number or a text.

use crate::event::{DeviceInfo, Event};
use crate::{CallEndReason, CallId, CallMediaType, CallRole, RoomId, UserId};
use serde::Serialize;

/// An event of the older page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event")]
#[allow(missing_docs, reason = "fields carry the names under which they are documented")]
pub enum OlderEvent {
    /// ERROR
    #[serde(rename = "onError")]
    Error { code: i32, message: String },
    /// SDK_READY
    #[serde(rename = "sdkReady")]
    SdkReady,
    /// KICKED_OUT
    #[serde(rename = "onKickedOut")]
    KickedOut,
    /// USER_ACCEPT
    #[serde(rename = "onUserAccept")]
    UserAccept {
        #[serde(rename = "userID")]
        user_id: UserId,
    },
    /// USER_ENTER
    #[serde(rename = "onUserEnter")]
    UserEnter {
        #[serde(rename = "userID")]
        user_id: UserId,
    },
    /// USER_LEAVE
    #[serde(rename = "onUserLeave")]
    UserLeave {
        #[serde(rename = "userID")]
        user_id: UserId,
    },
    /// REJECT
    #[serde(rename = "onReject")]
    Reject {
        #[serde(rename = "userID")]
        user_id: UserId,
    },
    /// NO_RESP
    #[serde(rename = "onNoResp")]
    NoResp {
        sponsor: UserId,
        #[serde(rename = "userIDList")]
        user_id_list: Vec<UserId>,
    },
    /// LINE_BUSY
    #[serde(rename = "onLineBusy")]
    LineBusy {
        #[serde(rename = "userID")]
        user_id: UserId,
    },
    /// CALLING_TIMEOUT
    #[serde(rename = "onCallingTimeout")]
    CallingTimeout {
        #[serde(rename = "callId")]
        call_id: CallId,
        sponsor: UserId,
    },
    /// USER_VIDEO_AVAILABLE
    #[serde(rename = "onUserVideoAvailable")]
    UserVideoAvailable {
        #[serde(rename = "userID")]
        user_id: UserId,
        #[serde(rename = "isVideoAvailable")]
        is_video_available: bool,
    },
    /// USER_AUDIO_AVAILABLE
    #[serde(rename = "onUserAudioAvailable")]
    UserAudioAvailable {
        #[serde(rename = "userID")]
        user_id: UserId,
        #[serde(rename = "isAudioAvailable")]
        is_audio_available: bool,
    },
    /// USER_VOICE_VOLUME
    #[serde(rename = "onUserVoiceVolume")]
    UserVoiceVolume {
        #[serde(rename = "volumeMap")]
        volume_map: Vec<OlderVolume>,
    },
    /// GROUP_CALL_INVITEE_LIST_UPDATE
    #[serde(rename = "onGroupCallInviteeListUpdate")]
    GroupCallInviteeListUpdate {
        #[serde(rename = "userIDList")]
        user_id_list: Vec<UserId>,
    },
    /// INVITED
    #[serde(rename = "onInvited")]
    Invited {
        sponsor: UserId,
        #[serde(rename = "userIDList")]
        user_id_list: Vec<UserId>,
        #[serde(rename = "isFromGroup")]
        is_from_group: bool,
        #[serde(rename = "inviteData")]
        invite_data: String,
        #[serde(rename = "inviteID")]
        invite_id: CallId,
        #[serde(rename = "userData")]
        user_data: String,
        #[serde(rename = "callId")]
        call_id: CallId,
        #[serde(rename = "roomID")]
        room_id: OlderRoomId,
        #[serde(rename = "callMediaType")]
        call_media_type: OlderCallType,
        #[serde(rename = "callRole")]
        call_role: OlderCallRole,
    },
    /// CALLING_CANCEL
    #[serde(rename = "onCallingCancel")]
    CallingCancel {
        #[serde(rename = "callId")]
        call_id: CallId,
        sponsor: UserId,
    },
    /// CALLING_END
    #[serde(rename = "onCallEnd")]
    CallingEnd {
        #[serde(rename = "roomID")]
        room_id: OlderRoomId,
        #[serde(rename = "callMediaType")]
        call_media_type: OlderCallType,
        #[serde(rename = "callRole")]
        call_role: OlderCallRole,
        #[serde(rename = "totalTime")]
        total_time: u64,
        #[serde(rename = "userID")]
        user_id: UserId,
        #[serde(rename = "callId")]
        call_id: CallId,
    },
    /// DEVICED_UPDATED
    #[serde(rename = "onDeviceUpdated")]
    DevicedUpdated {
        #[serde(rename = "microphoneList")]
        microphone_list: Vec<DeviceInfo>,
        #[serde(rename = "cameraList")]
        camera_list: Vec<DeviceInfo>,
        #[serde(rename = "currentMicrophoneID")]
        current_microphone_id: String,
        #[serde(rename = "currentCameraID")]
        current_camera_id: String,
    },
    /// CALL_TYPE_CHANGED
    #[serde(rename = "onCallTypeChanged")]
    CallTypeChanged {
        #[serde(rename = "oldCallType")]
        old_call_type: OlderCallType,
        #[serde(rename = "newCallType")]
        new_call_type: OlderCallType,
    },
}

/// The older page's kinds of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
pub enum OlderCallType {
    /// 1
    Voice,
    /// 2
    Video,
}

impl From<OlderCallType> for u8 {
    fn from(kind: OlderCallType) -> Self {
        match kind {
            OlderCallType::Voice => 1,
            OlderCallType::Video => 2,
        }
    }
}

impl From<CallMediaType> for OlderCallType {
    fn from(media: CallMediaType) -> Self {
        match media {
            CallMediaType::Voice => Self::Voice,
            CallMediaType::Video => Self::Video,
        }
    }
}

/// The older page's roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OlderCallRole {
    /// Not known.
    #[serde(rename = "")]
    Unknown,
    /// Placed the call.
    #[serde(rename = "inviter")]
    Inviter,
    /// Was called.
    #[serde(rename = "invitee")]
    Invitee,
}

impl From<CallRole> for OlderCallRole {
    fn from(role: CallRole) -> Self {
        match role {
            CallRole::Unknown => Self::Unknown,
            CallRole::Caller => Self::Inviter,
            CallRole::Called => Self::Invitee,
        }
    }
}

/// The older page's rooms: a number, or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OlderRoomId {
    /// A numbered room.
    Number(u32),
    /// A named room.
    Text(String),
}

impl From<&RoomId> for OlderRoomId {
    fn from(room: &RoomId) -> Self {
        match room {
            RoomId::Number(number) => Self::Number(*number),
            RoomId::Text(text) => Self::Text(text.clone()),
        }
    }
}

/// One entry of the older page's list of volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OlderVolume {
    /// Who.
    pub user_id: UserId,
    /// 0–100.
    pub audio_volume: u8,
}

impl OlderEvent {
    /// The name of the constant on the older page.
    #[must_use]
    pub fn constant(&self) -> &'static str {
        match self {
            Self::Error { .. } => "ERROR",
            Self::SdkReady => "SDK_READY",
            Self::KickedOut => "KICKED_OUT",
            Self::UserAccept { .. } => "USER_ACCEPT",
            Self::UserEnter { .. } => "USER_ENTER",
            Self::UserLeave { .. } => "USER_LEAVE",
            Self::Reject { .. } => "REJECT",
            Self::NoResp { .. } => "NO_RESP",
            Self::LineBusy { .. } => "LINE_BUSY",
            Self::CallingTimeout { .. } => "CALLING_TIMEOUT",
            Self::UserVideoAvailable { .. } => "USER_VIDEO_AVAILABLE",
            Self::UserAudioAvailable { .. } => "USER_AUDIO_AVAILABLE",
            Self::UserVoiceVolume { .. } => "USER_VOICE_VOLUME",
            Self::GroupCallInviteeListUpdate { .. } => "GROUP_CALL_INVITEE_LIST_UPDATE",
            Self::Invited { .. } => "INVITED",
            Self::CallingCancel { .. } => "CALLING_CANCEL",
            Self::CallingEnd { .. } => "CALLING_END",
            Self::DevicedUpdated { .. } => "DEVICED_UPDATED",
            Self::CallTypeChanged { .. } => "CALL_TYPE_CHANGED",
        }
    }
}

/// Tells one user's events in the words of the older page.
#[derive(Clone, Debug)]
pub struct Older {
    me: UserId,
}

impl Older {
    /// For the events of `me`.
    #[must_use]
    pub fn new(me: UserId) -> Self {
        Self { me }
    }

    /// The same event, where the older page has it.
    #[must_use]
    pub fn tell(&self, event: &Event) -> Option<OlderEvent> {
        tell_received(event)
            .or_else(|| self.tell_no_response(event))
            .or_else(|| self.tell_cancelled(event))
            .or_else(|| tell_end(event))
            .or_else(|| tell_alone(event))
    }

    fn tell_no_response(&self, event: &Event) -> Option<OlderEvent> {
        let Event::OnUserNoResponse { user_id, inviter_id } = event else { return None };
        let sponsor = inviter_id.as_ref().unwrap_or(&self.me).clone();
        Some(OlderEvent::NoResp { sponsor, user_id_list: vec![user_id.clone()] })
    }

    /// At the one who was called: a ring that ran out, or that ended without one's own doing. At the caller the older
    /// page has REJECT, NO_RESP and LINE_BUSY alone.
    fn tell_cancelled(&self, event: &Event) -> Option<OlderEvent> {
        let Event::OnCallCancelled { call_id, reason, inviter_id, .. } = event else { return None };
        if *inviter_id == self.me {
            return None;
        }
        let (call_id, sponsor) = (call_id.clone(), inviter_id.clone());
        match reason {
            CallEndReason::NoResponse => Some(OlderEvent::CallingTimeout { call_id, sponsor }),
            CallEndReason::Reject => None,
            CallEndReason::Unknown
            | CallEndReason::Hangup
            | CallEndReason::Offline
            | CallEndReason::LineBusy
            | CallEndReason::Canceled
            | CallEndReason::OtherDeviceAccepted
            | CallEndReason::OtherDeviceReject
            | CallEndReason::EndByServer => Some(OlderEvent::CallingCancel { call_id, sponsor }),
        }
    }
}

fn tell_received(event: &Event) -> Option<OlderEvent> {
    let Event::OnCallReceived { call_id, caller_id, callee_id_list, group_id, call_media_type, user_data, room_id } =
        event
    else {
        return None;
    };
    Some(OlderEvent::Invited {
        sponsor: caller_id.clone(),
        user_id_list: callee_id_list.clone(),
        is_from_group: !group_id.is_empty() || callee_id_list.len() > 1,
        invite_data: user_data.clone(),
        invite_id: call_id.clone(),
        user_data: user_data.clone(),
        call_id: call_id.clone(),
        room_id: room_id.into(),
        call_media_type: (*call_media_type).into(),
        call_role: OlderCallRole::Invitee,
    })
}

fn tell_end(event: &Event) -> Option<OlderEvent> {
    let Event::OnCallEnd { call_id, room_id, call_media_type, call_role, total_time, user_id, .. } = event else {
        return None;
    };
    Some(OlderEvent::CallingEnd {
        room_id: room_id.into(),
        call_media_type: (*call_media_type).into(),
        call_role: (*call_role).into(),
        total_time: *total_time,
        user_id: user_id.clone(),
        call_id: call_id.clone(),
    })
}

/// What is the same for everybody.
fn tell_alone(event: &Event) -> Option<OlderEvent> {
    let told = match event.clone() {
        Event::OnError { code, message } => OlderEvent::Error { code, message },
        Event::SdkReady => OlderEvent::SdkReady,
        Event::OnKickedOffline => OlderEvent::KickedOut,
        Event::OnUserAccept { user_id } => OlderEvent::UserAccept { user_id },
        Event::OnUserJoin { user_id } => OlderEvent::UserEnter { user_id },
        Event::OnUserLeave { user_id } => OlderEvent::UserLeave { user_id },
        Event::OnUserReject { user_id } => OlderEvent::Reject { user_id },
        Event::OnUserLineBusy { user_id } => OlderEvent::LineBusy { user_id },
        Event::OnUserVideoAvailable { user_id, is_video_available } => {
            OlderEvent::UserVideoAvailable { user_id, is_video_available }
        }
        Event::OnUserAudioAvailable { user_id, is_audio_available } => {
            OlderEvent::UserAudioAvailable { user_id, is_audio_available }
        }
        Event::OnUserVoiceVolumeChanged { volume_map } => {
            let volume = |(user_id, audio_volume)| OlderVolume { user_id, audio_volume };
            OlderEvent::UserVoiceVolume { volume_map: volume_map.into_iter().map(volume).collect() }
        }
        Event::OnGroupCallInviteeListUpdate { user_id_list } => OlderEvent::GroupCallInviteeListUpdate { user_id_list },
        Event::OnDeviceUpdated { microphone_list, camera_list, current_microphone_id, current_camera_id, .. } => {
            OlderEvent::DevicedUpdated { microphone_list, camera_list, current_microphone_id, current_camera_id }
        }
        Event::OnCallMediaTypeChanged { old_call_media_type, new_call_media_type } => OlderEvent::CallTypeChanged {
            old_call_type: old_call_media_type.into(),
            new_call_type: new_call_media_type.into(),
        },
        // Told above, newer than the older page, or of the room.
        Event::OnCallReceived { .. }
        | Event::OnCallCancelled { .. }
        | Event::OnCallEnd { .. }
        | Event::OnUserNoResponse { .. }
        | Event::OnCallBegin { .. }
        | Event::OnUserInviting { .. }
        | Event::OnUserInfoChanged { .. }
        | Event::OnUserSigExpired
        | Event::OnUserNetworkQualityChanged { .. }
        | Event::OnEnterRoom { .. }
        | Event::OnExitRoom { .. }
        | Event::OnRemoteUserEnterRoom { .. }
        | Event::OnRemoteUserLeaveRoom { .. }
        | Event::OnConnectionLost
        | Event::OnTryToReconnect
        | Event::OnConnectionRecovery
        | Event::OnFirstAudioFrame { .. }
        | Event::OnFirstVideoFrame { .. } => return None,
    };
    Some(told)
}
