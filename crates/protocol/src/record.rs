//! Calls as lists show them: those that are over, and those that somebody may still join.

use crate::ids::{CallId, RoomId, UserId};
use crate::kinds::{CallEndReason, CallMediaType, CallRole, CallScene, RecordResult};
use crate::profile::Profile;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records in one answer unless the client asks for fewer.
pub const RECORDS_LIMIT: u32 = 100;

/// Ids in one request to delete.
pub const DELETE_LIMIT: usize = 200;

/// A call that is over for whoever asks, as it was for them (TUICallKit's `CallRecords`, spec 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Which call.
    pub call_id: CallId,
    /// Who invited the reader; the caller themselves.
    pub inviter: UserId,
    /// Everyone who was ever called.
    pub invite_list: Vec<UserId>,
    /// For two, or for more.
    pub scene: CallScene,
    /// Voice or video, as it was at the end.
    pub media_type: CallMediaType,
    /// The chat group, or empty.
    #[serde(default)]
    pub group_id: String,
    /// The reader's role.
    pub role: CallRole,
    /// Missed, incoming or outgoing.
    pub result: RecordResult,
    /// When it was placed, or the reader was invited into it.
    pub begin_time: UnixMillis,
    /// **Seconds** that the reader was in it.
    pub total_time: u64,
    /// Why it ended for the reader (an extra field).
    pub reason: CallEndReason,
    /// The room (an extra field).
    pub room_id: RoomId,
}

/// Which records somebody wants to read; the newest come first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordFilter {
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<UnixMillis>,
    /// Not after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<UnixMillis>,
    /// Only these; all where absent or 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_type: Option<RecordResult>,
    /// At most so many, 1 to [`RECORDS_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the last answer ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<RecordCursor>,
}

impl RecordFilter {
    /// Whether a record is wanted, wherever the page begins.
    #[must_use]
    pub fn wants(&self, record: &CallRecord) -> bool {
        let kind = self.result_type.unwrap_or(RecordResult::Unknown);
        self.begin.is_none_or(|begin| record.begin_time >= begin)
            && self.end.is_none_or(|end| record.begin_time <= end)
            && (kind == RecordResult::Unknown || kind == record.result)
            && self.cursor.as_ref().is_none_or(|cursor| cursor.is_before(record))
    }
}

/// The last record of a page. The next page begins behind it, whatever was added meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordCursor {
    /// Of that record.
    pub begin_time: UnixMillis,
    /// Of that record.
    pub call_id: CallId,
}

impl RecordCursor {
    /// Newest first, and among those of one millisecond by id.
    fn is_before(&self, record: &CallRecord) -> bool {
        (record.begin_time, &record.call_id) < (self.begin_time, &self.call_id)
    }
}

impl From<&CallRecord> for RecordCursor {
    fn from(record: &CallRecord) -> Self {
        Self { begin_time: record.begin_time, call_id: record.call_id.clone() }
    }
}

/// A running call that the reader was invited to, is not in, and may join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCard {
    /// Which call.
    pub call_id: CallId,
    /// Who placed it.
    pub caller_id: UserId,
    /// Voice or video.
    pub call_media_type: CallMediaType,
    /// The chat group, or empty.
    #[serde(default)]
    pub group_id: String,
    /// Who is in.
    pub members: Vec<UserId>,
    /// Since when it runs, on the server's clock.
    pub began_at: UnixMillis,
    /// How they call themselves, as far as they have said it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<UserId, Profile>,
}
