//! What an administrator can ask, read from the parameters of each action and checked.

use super::fault::Fault;
use super::parameters::{Parameters, needed};
use crate::records::{CommId, Page, RETENTION, RoomsQuery, UsersQuery};
use crate::rooms::Blocked;
use protocol::RoomId;

/// Users in one RemoveUser.
const USERS_LIMIT: usize = 10;

/// Users in one DescribeUserInfo, and rows of one page.
const ROWS_LIMIT: u64 = 100;

/// Longest time that a query spans, in seconds.
const ROOMS_SPAN: u64 = 24 * 3600;
const USERS_SPAN: u64 = 4 * 3600;

/// A query for exactly as long ago as records are kept may come a little later than it was written; seconds.
const GRACE: u64 = 300;

/// Each action by its documented name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the documented ones")]
pub enum Api {
    RemoveUser,
    RemoveUserByStrRoomId,
    DismissRoom,
    DismissRoomByStrRoomId,
    SetUserBlocked,
    SetUserBlockedByStrRoomId,
    DescribeRoomInfo,
    DescribeUserInfo,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RemoveUser,
        Self::RemoveUserByStrRoomId,
        Self::DismissRoom,
        Self::DismissRoomByStrRoomId,
        Self::SetUserBlocked,
        Self::SetUserBlockedByStrRoomId,
        Self::DescribeRoomInfo,
        Self::DescribeUserInfo,
    ];

    /// The documented name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RemoveUser => "RemoveUser",
            Self::RemoveUserByStrRoomId => "RemoveUserByStrRoomId",
            Self::DismissRoom => "DismissRoom",
            Self::DismissRoomByStrRoomId => "DismissRoomByStrRoomId",
            Self::SetUserBlocked => "SetUserBlocked",
            Self::SetUserBlockedByStrRoomId => "SetUserBlockedByStrRoomId",
            Self::DescribeRoomInfo => "DescribeRoomInfo",
            Self::DescribeUserInfo => "DescribeUserInfo",
        }
    }

    /// By its documented name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }

    /// Whether it changes something, and therefore goes into the audit log.
    #[must_use]
    pub fn acts(self) -> bool {
        match self {
            Self::RemoveUser
            | Self::RemoveUserByStrRoomId
            | Self::DismissRoom
            | Self::DismissRoomByStrRoomId
            | Self::SetUserBlocked
            | Self::SetUserBlockedByStrRoomId => true,
            Self::DescribeRoomInfo | Self::DescribeUserInfo => false,
        }
    }
}

/// A request that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Put these out of the room.
    Remove {
        /// Where.
        room: RoomId,
        /// Whom: identities in the room.
        users: Vec<String>,
    },
    /// End the room.
    Dismiss {
        /// Which.
        room: RoomId,
    },
    /// Stop or free this one's voice and picture.
    Block {
        /// Where.
        room: RoomId,
        /// Whom: an identity in the room.
        user: [String; 1],
        /// What.
        blocked: Blocked,
    },
    /// Which rooms there were.
    Rooms(RoomsQuery),
    /// Who was in a room.
    Users(UsersQuery),
}

impl Request {
    /// Reads and checks what `api` needs. `now` is in seconds since 1970.
    pub fn read(api: Api, mut parameters: Parameters, sdk_app_id: u64, now: u64) -> Result<Self, Fault> {
        let app = needed("SdkAppId", parameters.whole("SdkAppId")?)?;
        if app != sdk_app_id {
            return Err(Fault::OtherApp);
        }
        let request = match api {
            Api::RemoveUser => Self::Remove { room: numbered(&mut parameters)?, users: users(&mut parameters)? },
            Api::RemoveUserByStrRoomId => {
                Self::Remove { room: named(&mut parameters, "RoomId")?, users: users(&mut parameters)? }
            }
            Api::DismissRoom => Self::Dismiss { room: numbered(&mut parameters)? },
            Api::DismissRoomByStrRoomId => Self::Dismiss { room: named(&mut parameters, "RoomId")? },
            Api::SetUserBlocked => block(numbered(&mut parameters)?, &mut parameters)?,
            Api::SetUserBlockedByStrRoomId => block(named(&mut parameters, "StrRoomId")?, &mut parameters)?,
            Api::DescribeRoomInfo => Self::Rooms(rooms_query(&mut parameters, now)?),
            Api::DescribeUserInfo => Self::Users(users_query(&mut parameters, sdk_app_id, now)?),
        };
        parameters.finish()?;
        Ok(request)
    }

    /// The room that an act is about.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Remove { room, .. } | Self::Dismiss { room } | Self::Block { room, .. } => Some(room),
            Self::Rooms(_) | Self::Users(_) => None,
        }
    }

    /// Whom an act is about.
    #[must_use]
    pub fn users(&self) -> &[String] {
        match self {
            Self::Remove { users, .. } => users,
            Self::Block { user, .. } => user,
            Self::Dismiss { .. } | Self::Rooms(_) | Self::Users(_) => &[],
        }
    }

    /// What an act does, where its name does not say it.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Block { blocked, .. } => Some(match (blocked.voice, blocked.picture) {
                (false, false) => "nothing blocked",
                (true, true) => "voice and picture blocked",
                (true, false) => "voice blocked",
                (false, true) => "picture blocked",
            }),
            Self::Remove { .. } | Self::Dismiss { .. } | Self::Rooms(_) | Self::Users(_) => None,
        }
    }
}

fn numbered(parameters: &mut Parameters) -> Result<RoomId, Fault> {
    let number = needed("RoomId", parameters.whole("RoomId")?)?;
    // 0 stands for everything that does not fit, and is none itself.
    Ok(RoomId::number(number.try_into().unwrap_or(0))?)
}

fn named(parameters: &mut Parameters, field: &'static str) -> Result<RoomId, Fault> {
    Ok(RoomId::text(needed(field, parameters.text(field)?)?)?)
}

fn block(room: RoomId, parameters: &mut Parameters) -> Result<Request, Fault> {
    let user = needed("UserId", parameters.text("UserId")?)?;
    if user.is_empty() {
        return Err(Fault::Invalid("UserId", "a user id"));
    }
    let (voice, picture) = match needed("IsMute", parameters.whole("IsMute")?)? {
        0 => (false, false),
        1 => (true, true),
        2 => (true, false),
        3 => (false, true),
        _ => return Err(Fault::Invalid("IsMute", "0 (nothing), 1 (audio and video), 2 (audio) or 3 (video)")),
    };
    Ok(Request::Block { room, user: [user], blocked: Blocked { voice, picture } })
}

fn users(parameters: &mut Parameters) -> Result<Vec<String>, Fault> {
    let users = needed("UserIds", parameters.texts("UserIds")?)?;
    let is_good = (1..=USERS_LIMIT).contains(&users.len()) && users.iter().all(|user| !user.is_empty());
    if is_good { Ok(users) } else { Err(Fault::Invalid("UserIds", "a list of 1 to 10 user ids")) }
}

fn rooms_query(parameters: &mut Parameters, now: u64) -> Result<RoomsQuery, Fault> {
    let (from, to) = span(parameters, ROOMS_SPAN, now)?;
    let room = parameters.text("RoomId")?;
    Ok(RoomsQuery { from, to, room, page: page(parameters, 10)? })
}

fn users_query(parameters: &mut Parameters, sdk_app_id: u64, now: u64) -> Result<UsersQuery, Fault> {
    let comm = needed("CommId", parameters.text("CommId")?)?;
    let (from, to) = span(parameters, USERS_SPAN, now)?;
    let users = parameters.texts("UserIds")?.unwrap_or_default();
    if users.len() as u64 > ROWS_LIMIT {
        return Err(Fault::Invalid("UserIds", "a list of at most 100 user ids"));
    }
    let comm = CommId::parse(&comm).filter(|comm| comm.sdk_app_id == sdk_app_id);
    let comm = comm.ok_or(Fault::Invalid("CommId", "the CommId of a room, from DescribeRoomInfo"))?;
    Ok(UsersQuery { room: comm.room, created: comm.created, from, to, users, page: page(parameters, 6)? })
}

/// StartTime and EndTime, both included.
fn span(parameters: &mut Parameters, longest: u64, now: u64) -> Result<(u64, u64), Fault> {
    let from = needed("StartTime", parameters.whole("StartTime")?)?;
    let to = needed("EndTime", parameters.whole("EndTime")?)?;
    if to < from {
        return Err(Fault::Rule("InvalidParameter.EndTs", "EndTime must not be before StartTime."));
    }
    if to - from > longest {
        return Err(Fault::Rule("InvalidParameter.QueryScaleOversize", "StartTime and EndTime are too far apart."));
    }
    if from.saturating_add(RETENTION.as_secs() + GRACE) < now {
        return Err(Fault::Rule("InvalidParameter.StartTimeExpire", "Records are kept for 14 days."));
    }
    Ok((from, to))
}

fn page(parameters: &mut Parameters, default_size: u64) -> Result<Page, Fault> {
    let number = parameters.whole("PageNumber")?.unwrap_or(0);
    let size = parameters.whole("PageSize")?.unwrap_or(default_size);
    if size > ROWS_LIMIT {
        return Err(Fault::Rule("InvalidParameter.PageSizeOversize", "PageSize is 100 at most."));
    }
    if size == 0 {
        return Err(Fault::Invalid("PageSize", "1 to 100"));
    }
    // Far beyond any record; a larger number would not fit where the database counts.
    let number = number.min(u64::from(u32::MAX));
    Ok(Page { number, size })
}

#[cfg(test)]
mod tests;
