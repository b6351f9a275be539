//! Calls beyond the present one, as the screen shows them.

use super::from_engine::text;
use super::{CallMedia, EndReasonView};
use engine::api::CallBook;
use protocol::{CallCard, CallEndReason, CallRecord, CallRole, CallScene, Profile, RecordResult, UserId};
use serde::{Deserialize, Serialize};
use specta::Type;
use std::collections::BTreeMap;

/// Calls beyond the present one, and the people in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BookView {
    /// Running calls that this user may join.
    pub cards: Vec<CardView>,
    /// The last calls, the newest first.
    pub recent: Vec<RecentView>,
    /// How people call themselves, by user id; only those who have said it.
    pub profiles: BTreeMap<String, ProfileView>,
    /// Several devices of this user may be signed in.
    pub multi_device: bool,
}

/// A running call that may be joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CardView {
    /// Which call.
    pub call: String,
    /// Who placed it.
    pub caller: String,
    /// Voice or video.
    pub media: CallMedia,
    /// Who is in.
    pub members: Vec<String>,
    /// Since when; **milliseconds** since the Unix epoch.
    pub began_at: u64,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RecentView {
    /// Which call.
    pub call: String,
    /// Everybody else, whoever rang this user first.
    pub with: Vec<String>,
    /// For more than two.
    pub group: bool,
    /// Voice or video, as it was at the end.
    pub media: CallMedia,
    /// This user placed it.
    pub outgoing: bool,
    /// It rang here and this user neither answered nor declined.
    pub missed: bool,
    /// Why it ended for this user.
    pub reason: EndReasonView,
    /// When it was placed; **milliseconds** since the Unix epoch.
    pub at: u64,
    /// **Seconds** that this user was in it; absent where they never were.
    pub seconds: Option<u64>,
}

/// How somebody calls themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// Empty where they have said none.
    pub nickname: String,
    /// Address of a picture, or empty.
    pub avatar: String,
}

impl BookView {
    /// The book as `me` reads it.
    pub fn of(book: CallBook, me: Option<&UserId>) -> Self {
        Self {
            cards: book.cards.into_iter().map(Into::into).collect(),
            recent: book.recent.into_iter().map(|record| RecentView::of(record, me)).collect(),
            profiles: book.profiles.into_iter().map(|(user, profile)| (user.into(), profile.into())).collect(),
            multi_device: book.multi_device,
        }
    }
}

impl From<CallCard> for CardView {
    fn from(card: CallCard) -> Self {
        Self {
            call: card.call_id.into(),
            caller: card.caller_id.into(),
            media: card.call_media_type.into(),
            members: text(&card.members),
            began_at: card.began_at.0,
        }
    }
}

impl RecentView {
    fn of(record: CallRecord, me: Option<&UserId>) -> Self {
        let mut with: Vec<UserId> = Vec::new();
        for user in std::iter::once(&record.inviter).chain(&record.invite_list) {
            if Some(user) != me && !with.contains(user) {
                with.push(user.clone());
            }
        }
        let never_in = record.total_time == 0 && never_begins(record.reason);
        Self {
            call: record.call_id.into(),
            with: text(&with),
            group: record.scene != CallScene::SingleCall,
            media: record.media_type.into(),
            outgoing: record.role == CallRole::Caller,
            missed: record.result == RecordResult::Missed,
            reason: record.reason.into(),
            at: record.begin_time.0,
            seconds: (!never_in).then_some(record.total_time),
        }
    }
}

/// Reasons for which a call ends before it has begun. A call of less than a second has a time of 0, too.
fn never_begins(reason: CallEndReason) -> bool {
    match reason {
        CallEndReason::Reject
        | CallEndReason::NoResponse
        | CallEndReason::LineBusy
        | CallEndReason::Canceled
        | CallEndReason::OtherDeviceAccepted
        | CallEndReason::OtherDeviceReject => true,
        CallEndReason::Unknown | CallEndReason::Hangup | CallEndReason::Offline | CallEndReason::EndByServer => false,
    }
}

impl From<Profile> for ProfileView {
    fn from(Profile { nickname, avatar }: Profile) -> Self {
        Self { nickname, avatar }
    }
}
