//! What people and the world do, and the lines in which a plan of it is written down.

use super::{Seen, World, identity};
use call::CallSession;
use call::call::RoomNews;
use call::switchboard::RoomsEvent;
use protocol::message::{InviteUser, PlaceCall};
use protocol::{CallId, CallMediaType, Profile, RecordFilter, Refusal, UserId};

/// At that millisecond, by that device (`bob`, `bob/phone`), that action.
pub type Step = (u64, &'static str, Action);

/// What a device does at some time.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Call(Vec<&'static str>),
    Accept,
    Reject,
    Ignore,
    Hangup,
    /// Into the call that this device is in; refused in a call for two.
    Invite(Vec<&'static str>),
    /// The same by the button that makes a call for two a group call.
    AddPerson(Vec<&'static str>),
    /// Enter the first call of which this device sees a card.
    Join,
    /// Make it a voice call.
    ToVoice,
    /// Calls themselves so.
    Nickname(&'static str),
    MultiDevice(bool),
    /// Hands in a ticket that lives for so many milliseconds.
    Renew(u64),
    /// Reads all records.
    Recent,
    /// Deletes the record of the newest call that this device saw end.
    DeleteRecord,
    /// Cuts the link for so many milliseconds.
    Offline(u64),
    /// The process dies; a new one signs in after so many milliseconds.
    Die(u64),
    /// Another device of the same user signs in.
    Elsewhere(&'static str),
    SignOut,
    /// The administrator removes this user from the room of their call.
    Removed,
    /// The administrator dismisses the room of this user's call.
    Dismissed,
    /// The administrator ends this user's call.
    EndCall,
    /// The path of media is lost: the room says so.
    MediaLost,
    /// The server is killed and starts again from its store.
    Restart,
}

impl World {
    pub(super) fn act(&mut self, who: &str, action: &Action) {
        // A plan that lost steps may speak of a device that never came.
        let (Some(at), now) = (self.index(who), self.instant()) else { return };
        let device = &mut self.devices[at];
        let session = &mut device.session;
        let result: Result<(), Refusal> = match action {
            Action::Call(callees) => session.place(wish(callees), now).map(drop),
            Action::Accept => session.accept().map(drop),
            Action::Reject => session.reject(now).map(drop),
            Action::Ignore => session.ignore(now).map(drop),
            Action::Hangup => session.hangup(now).map(drop),
            Action::Invite(users) => session.invite(invitation(users, false)).map(drop),
            Action::AddPerson(users) => session.invite(invitation(users, true)).map(drop),
            Action::Join => match session.cards().first().map(|card| card.call_id.clone()) {
                Some(call) => session.join(call, now).map(drop),
                None => Ok(()),
            },
            Action::ToVoice => session.switch_media(CallMediaType::Voice).map(drop),
            Action::Nickname(name) => {
                let profile = Profile { nickname: (*name).to_owned(), avatar: String::new() };
                session.set_self_info(profile).map(drop)
            }
            Action::MultiDevice(on) => session.enable_multi_device(*on).map(drop),
            Action::Renew(ms) => {
                let renewed = session.renew_ticket((self.now + ms).to_string()).map(drop);
                if device.conn.is_none() && device.reconnect_at.is_none() {
                    device.reconnect_at = Some(self.now + 1);
                }
                renewed
            }
            Action::Recent => session.recent_calls(RecordFilter::default()).map(drop),
            Action::DeleteRecord => match last_end(&device.seen) {
                Some(call) => session.delete_records(vec![call]).map(drop),
                None => Ok(()),
            },
            Action::SignOut => {
                session.sign_out(now);
                Ok(())
            }
            Action::Offline(_)
            | Action::Die(_)
            | Action::Elsewhere(_)
            | Action::Removed
            | Action::Dismissed
            | Action::EndCall
            | Action::MediaLost
            | Action::Restart => {
                self.befall(at, action);
                Ok(())
            }
        };
        if let Err(refusal) = result {
            self.devices[at].seen.push(Seen::Refused(refusal.code));
        }
        if at < self.devices.len() {
            self.pump(at);
        }
    }

    /// What happens to a device, whatever its session thinks of it.
    fn befall(&mut self, at: usize, action: &Action) {
        match action {
            Action::Offline(ms) => {
                let back = self.now + ms;
                self.cut(at);
                self.devices[at].reconnect_at = Some(back);
            }
            Action::Die(ms) => self.die(at, *ms),
            Action::Elsewhere(name) => {
                let user = self.devices[at].user.clone();
                self.add(user.as_str(), name);
            }
            Action::EndCall => {
                if let Some(call) = self.devices[at].session.call().call_id().cloned() {
                    self.board.handle_end_call(&call, self.unix());
                    self.flush();
                }
            }
            Action::Restart => self.restart(),
            _ => self.room_trouble(at, action),
        }
    }

    fn die(&mut self, at: usize, ms: u64) {
        self.cut(at);
        let device = &mut self.devices[at];
        device.gives_up_at = None;
        device.session = CallSession::new(identity(&device.user, &device.name), u64::MAX.to_string());
        device.seen.push(Seen::Died);
        device.reconnect_at = Some(self.now + ms);
        if let Some(room) = device.room.take() {
            let event = RoomsEvent::Member { room, user: device.user.clone(), news: RoomNews::Lost };
            self.news.push_back((self.now + 5000, event));
        }
    }

    fn room_trouble(&mut self, at: usize, action: &Action) {
        let user = self.devices[at].user.clone();
        let by = Some("boss".to_owned());
        let Some(room) = self.devices[at].room.clone() else { return };
        let mut out = vec![at];
        let event = match action {
            Action::Dismissed => {
                let others = self.devices.iter().enumerate().filter(|(_, device)| device.room.as_ref() == Some(&room));
                out = others.map(|(at, _)| at).collect();
                RoomsEvent::Dismissed { room, by }
            }
            Action::Removed => RoomsEvent::Member { room, user, news: RoomNews::Removed { by } },
            _ => RoomsEvent::Member { room, user, news: RoomNews::Lost },
        };
        for at in out {
            let device = &mut self.devices[at];
            device.room = None;
            // The call plane says so first, as long as it can reach the device; else the room's own side gives up.
            device.gives_up_at = Some(self.now + 90_000);
        }
        self.news.push_back((self.now, event));
    }
}

fn last_end(seen: &[Seen]) -> Option<CallId> {
    use protocol::Event::{OnCallCancelled, OnCallEnd};
    seen.iter().rev().find_map(|seen| match seen {
        Seen::Event(OnCallEnd { call_id, .. } | OnCallCancelled { call_id, .. }) => Some(call_id.clone()),
        _ => None,
    })
}

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| UserId::new(*name).unwrap()).collect()
}

pub fn wish(callees: &[&str]) -> PlaceCall {
    PlaceCall {
        callee_id_list: users(callees),
        call_media_type: CallMediaType::Video,
        user_data: "hello".to_owned(),
        timeout: None,
        room_id: None,
        group_id: String::new(),
    }
}

fn invitation(names: &[&str], add_person: bool) -> InviteUser {
    InviteUser {
        // The session fills in its own.
        call_id: CallId::new("mine").unwrap(),
        callee_id_list: users(names),
        user_data: String::new(),
        timeout: None,
        add_person,
    }
}
