//! What a device knows: the state of its link to the server and of its one call.

use super::RING_SLACK;
use protocol::{CallEndReason, CallId, CallMediaType, CallRole, Refusal, RequestId, RoomId, UserId};
use std::time::Instant;

/// The link to the call plane.
///
/// ```text
/// Down --connected--> Greeting --welcome--> Online
///  ^  \                  |  \                 | |
///  |   '<----closed------'   '--refused--.    | '--kicked, signed out--> Over
///  '<--------closed----------------------|----'
///                         Refused <------'   (a new ticket leads back to Down)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// No socket; the body opens one, again and again.
    Down,
    /// `hello` is out.
    Greeting,
    /// Requests go through.
    Online,
    /// The server refused the sign-in: no use in trying again without another ticket.
    Refused(Refusal),
    /// The same user signed in elsewhere.
    Kicked,
    /// Signed out by the user.
    SignedOut,
}

/// The one call of this device.
///
/// ```text
///        place            reply            begun
/// Idle ---------> Placing -----> Outgoing -------.
///  | |                               |            v
///  | |  invited         begun (after accept)    Live
///  | '-----> Incoming -----------------------------^
///  |   join                        begun           |
///  '-------> Joining ------------------------------'
///
/// Placing, Joining --refused, hangup, deadline-> Idle
/// Outgoing, Incoming, Live --hangup, reject, ignore--> Ending --> Idle
/// Outgoing, Incoming, Live --cancelled, ended, deadline---------> Idle
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallState {
    /// None.
    Idle,
    /// Asked the server for one.
    Placing(Placing),
    /// Asked the server to let this user into a running one.
    Joining(Joining),
    /// It rings at the others.
    Outgoing(Outgoing),
    /// It rings here.
    Incoming(Incoming),
    /// In it.
    Live(Live),
    /// This user is done with it; the server's word is awaited, but not for long.
    Ending(Ending),
}

/// A call that the server has not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// The request.
    pub request: RequestId,
    /// Who is called.
    pub callees: Vec<UserId>,
    /// Voice or video.
    pub media: CallMediaType,
    /// More than two may be in it.
    pub group: bool,
    /// Give up when the server has not answered by then.
    pub until: Instant,
}

/// A running call that this user wants to enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The request.
    pub request: RequestId,
    /// Which.
    pub call: CallId,
    /// Give up when it has not begun here by then.
    pub until: Instant,
}

/// A call that rings at others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which.
    pub call: CallId,
    /// Its room.
    pub room: RoomId,
    /// Who is called and may still answer.
    pub callees: Vec<UserId>,
    /// Voice or video.
    pub media: CallMediaType,
    /// More than two may be in it.
    pub group: bool,
    /// A device of a callee has shown the call.
    pub ringing: bool,
    /// Over at the latest, whatever the server says.
    pub until: Instant,
}

/// A call that rings here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Which.
    pub call: CallId,
    /// Its room.
    pub room: RoomId,
    /// Who rings.
    pub caller: UserId,
    /// Everyone who is called, this user too.
    pub callees: Vec<UserId>,
    /// The chat group, or empty.
    pub group_id: String,
    /// Voice or video.
    pub media: CallMediaType,
    /// From the caller.
    pub user_data: String,
    /// More than two may be in it.
    pub group: bool,
    /// Accepted here, not yet confirmed: the ring is silent.
    pub answering: bool,
    /// Over at the latest, whatever the server says.
    pub until: Instant,
}

/// A call that this user is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Which.
    pub call: CallId,
    /// Its room.
    pub room: RoomId,
    /// Voice or video.
    pub media: CallMediaType,
    /// Caller or called.
    pub role: CallRole,
    /// When this user's time began.
    pub began: Instant,
    /// Who invited this user.
    pub inviter: UserId,
    /// More than two may be in it.
    pub group: bool,
    /// The others.
    pub peers: Vec<Peer>,
}

/// Somebody else in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub user: UserId,
    /// Until when it rings there; none for one who has answered.
    pub rings_until: Option<Instant>,
}

impl Peer {
    /// Has not answered yet.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        self.rings_until.is_some()
    }
}

/// A call that this user has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What to report where the server stays silent.
    pub silent: Conclusion,
    /// What the user asked for. It is done when the call is over here, so that the next call may begin at once.
    pub request: RequestId,
    /// For how long the server's word is awaited.
    pub until: Instant,
}

/// How a call ended for this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCall {
    /// Which.
    pub call: CallId,
    /// Voice or video.
    pub media: CallMediaType,
    /// Why.
    pub reason: CallEndReason,
    /// Who caused it.
    pub by: UserId,
    /// The others.
    pub with: Vec<UserId>,
    /// Length in **seconds**; absent where it never began.
    pub seconds: Option<u64>,
}

/// What there is to say about a call that ends, from this side alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Which.
    pub call: CallId,
    /// Its room.
    pub room: RoomId,
    /// Voice or video.
    pub media: CallMediaType,
    /// Caller or called.
    pub role: CallRole,
    /// Who invited this user.
    pub inviter: UserId,
    /// The others.
    pub with: Vec<UserId>,
    /// Why.
    pub reason: CallEndReason,
    /// When it began, where it did.
    pub began: Option<Instant>,
    /// Ignored: ends without a word.
    pub unreported: bool,
}

impl CallState {
    /// The call's id, once there is one.
    #[must_use]
    pub fn call_id(&self) -> Option<&CallId> {
        match self {
            Self::Idle | Self::Placing(_) => None,
            Self::Joining(joining) => Some(&joining.call),
            Self::Outgoing(outgoing) => Some(&outgoing.call),
            Self::Incoming(incoming) => Some(&incoming.call),
            Self::Live(live) => Some(&live.call),
            Self::Ending(ending) => Some(&ending.silent.call),
        }
    }

    /// Until when it rings, here or at the others, unless somebody answers.
    #[must_use]
    pub fn ring_until(&self) -> Option<Instant> {
        let until = match self {
            Self::Outgoing(outgoing) => outgoing.until,
            Self::Incoming(incoming) => incoming.until,
            Self::Idle | Self::Placing(_) | Self::Joining(_) | Self::Live(_) | Self::Ending(_) => return None,
        };
        until.checked_sub(RING_SLACK)
    }

    /// The moment at which the state ends by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Idle | Self::Live(_) => None,
            Self::Placing(placing) => Some(placing.until),
            Self::Joining(joining) => Some(joining.until),
            Self::Outgoing(outgoing) => Some(outgoing.until),
            Self::Incoming(incoming) => Some(incoming.until),
            Self::Ending(ending) => Some(ending.until),
        }
    }

    /// What this side alone would say if the call ended now for `reason`; nothing where there is no call.
    pub(super) fn conclude(&self, me: &UserId, reason: CallEndReason) -> Option<Conclusion> {
        match self {
            Self::Idle | Self::Placing(_) | Self::Joining(_) => None,
            Self::Outgoing(o) => Some(Conclusion {
                call: o.call.clone(),
                room: o.room.clone(),
                media: o.media,
                role: CallRole::Caller,
                inviter: me.clone(),
                with: o.callees.clone(),
                reason,
                began: None,
                unreported: false,
            }),
            Self::Incoming(i) => {
                let others = i.callees.iter().filter(|user| *user != me);
                Some(Conclusion {
                    call: i.call.clone(),
                    room: i.room.clone(),
                    media: i.media,
                    role: CallRole::Called,
                    inviter: i.caller.clone(),
                    with: std::iter::once(&i.caller).chain(others).cloned().collect(),
                    reason,
                    began: None,
                    unreported: false,
                })
            }
            Self::Live(l) => Some(Conclusion {
                call: l.call.clone(),
                room: l.room.clone(),
                media: l.media,
                role: l.role,
                inviter: l.inviter.clone(),
                with: l.peers.iter().map(|peer| peer.user.clone()).collect(),
                reason,
                began: Some(l.began),
                unreported: false,
            }),
            Self::Ending(e) => Some(e.silent.clone()),
        }
    }
}
