//! What is left of a call when it is over: one record, which each participant reads in their own way.

use super::{Call, Party, Phase};
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRecord, CallRole, CallScene, RecordResult, RoomId, UnixMillis, UserId,
};
use serde::{Deserialize, Serialize};

/// The record of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLog {
    /// Which call.
    pub call_id: CallId,
    /// Its room.
    pub room_id: RoomId,
    /// For two, or for more.
    pub scene: CallScene,
    /// Voice or video, as it was at the end.
    pub media: CallMediaType,
    /// The chat group, or empty.
    pub group_id: String,
    /// When it was placed.
    pub placed_at: UnixMillis,
    /// When somebody answered first; none where nobody did.
    pub began_at: Option<UnixMillis>,
    /// When it was over; none while it runs.
    pub ended_at: Option<UnixMillis>,
    /// Everyone who was ever part of it, the caller first.
    pub people: Vec<LoggedPerson>,
}

/// One person's part in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedPerson {
    /// Who.
    pub user: UserId,
    /// Caller or called.
    pub role: CallRole,
    /// Who invited them.
    pub inviter: UserId,
    /// When they were invited last; the caller when the call was placed.
    pub invited_at: UnixMillis,
    /// Was ever in.
    pub answered: bool,
    /// **Seconds** that they were in.
    pub total_time: u64,
    /// Why it ended for them; none for one who still takes part.
    pub reason: Option<CallEndReason>,
    /// They have deleted their record.
    #[serde(default)]
    pub forgotten: bool,
}

impl Call {
    /// The record, as it is now.
    #[must_use]
    pub fn log(&self) -> CallLog {
        let scene = match (self.group, self.group_id.is_empty()) {
            (_, false) => CallScene::GroupCall,
            (true, true) => CallScene::MultiCall,
            (false, true) => CallScene::SingleCall,
        };
        CallLog {
            call_id: self.id.clone(),
            room_id: self.room.clone(),
            scene,
            media: self.media,
            group_id: self.group_id.clone(),
            placed_at: self.placed_at,
            began_at: self.began_at,
            ended_at: self.ended_at.filter(|_| self.phase == Phase::Over),
            people: self.parties.iter().map(person).collect(),
        }
    }
}

fn person(party: &Party) -> LoggedPerson {
    LoggedPerson {
        user: party.user.clone(),
        role: party.role,
        inviter: party.inviter.clone(),
        invited_at: party.invited_at,
        answered: party.answered,
        total_time: party.talked / 1000,
        reason: party.out(),
        forgotten: party.forgotten,
    }
}

impl CallLog {
    /// The record as `user` reads it; nothing for strangers, for one who still takes part, and for one who has deleted it.
    #[must_use]
    pub fn read_by(&self, user: &UserId) -> Option<CallRecord> {
        let reader = self.people.iter().find(|person| person.user == *user && !person.forgotten)?;
        let reason = reader.reason?;
        let result = match reader.role {
            CallRole::Caller => RecordResult::Outgoing,
            // Whoever declined has seen it: it was not missed.
            CallRole::Called | CallRole::Unknown if reader.answered || reason == CallEndReason::Reject => {
                RecordResult::Incoming
            }
            CallRole::Called | CallRole::Unknown => RecordResult::Missed,
        };
        let called = self.people.iter().filter(|person| person.role != CallRole::Caller);
        Some(CallRecord {
            call_id: self.call_id.clone(),
            inviter: reader.inviter.clone(),
            invite_list: called.map(|person| person.user.clone()).collect(),
            scene: self.scene,
            media_type: self.media,
            group_id: self.group_id.clone(),
            role: reader.role,
            result,
            begin_time: reader.invited_at,
            total_time: reader.total_time,
            reason,
            room_id: self.room_id.clone(),
        })
    }
}
