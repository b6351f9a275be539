//! What the server knows of people beyond their sessions: how they call themselves, and whether several of their devices
//! may be signed in.

use super::Switchboard;
use super::requests::Asker;
use crate::call::Departure;
use protocol::message::Reply;
use protocol::{Code, Profile, Push, Refusal, ServerMessage, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How they call themselves.
    #[serde(default)]
    pub profile: Profile,
    /// Several devices may be signed in at once.
    #[serde(default)]
    pub multi_device: bool,
}

impl Switchboard {
    pub(super) fn is_known(&self, user: &UserId) -> bool {
        self.accounts.contains_key(user)
    }

    pub(super) fn may_have_many_devices(&self, user: &UserId) -> bool {
        self.settings.multi_device && self.accounts.get(user).is_some_and(|account| account.multi_device)
    }

    fn change_account(&mut self, user: &UserId, change: impl FnOnce(&mut Account)) {
        change(self.accounts.entry(user.clone()).or_default());
        self.dirty.users.insert(user.clone());
    }

    pub(super) fn meet(&mut self, user: &UserId) {
        if !self.is_known(user) {
            self.change_account(user, |_| {});
        }
    }

    pub(super) fn set_self_info(&mut self, asker: &Asker, profile: Profile, now: UnixMillis) {
        let checked = profile.check();
        let good = checked.is_ok();
        self.answer(asker, checked.map(|()| Reply::default()));
        // Said again it is no news: nobody is to be told the same without end.
        if !good || self.accounts.get(&asker.user).is_some_and(|account| account.profile == profile) {
            return;
        }
        self.change_account(&asker.user, |account| account.profile = profile.clone());
        if let Some(call) = self.call_by_user.get(&asker.user).cloned() {
            self.with_call(&call, now, |call| call.handle_profile(&asker.user, &profile));
        }
    }

    /// Without the ability the device that switched it off is the one that stays.
    pub(super) fn enable_multi_device(&mut self, asker: &Asker, enable: bool, now: UnixMillis) {
        if enable && !self.settings.multi_device {
            self.answer(asker, Err(Refusal::new(Code::NotOffered)));
            return;
        }
        self.answer(asker, Ok(Reply::default()));
        self.change_account(&asker.user, |account| account.multi_device = enable);
        if !enable {
            for other in self.sessions_by_user.get(&asker.user).cloned().unwrap_or_default() {
                if other != asker.name {
                    self.kick(&other, now);
                }
            }
        }
    }

    /// Ends a session in favour of another device.
    pub(super) fn kick(&mut self, name: &str, now: UnixMillis) {
        if let Some(conn) = self.sessions.get(name).and_then(|session| session.conn) {
            self.send(conn, ServerMessage::Kicked {});
        }
        self.drop_session(name, Departure::SignedOut, now);
    }

    // ---- introductions ----

    /// How somebody calls themselves, where they have said it.
    pub(super) fn profile_of(&self, user: &UserId) -> Option<Profile> {
        self.accounts.get(user).map(|account| account.profile.clone()).filter(|profile| !profile.is_empty())
    }

    pub(super) fn profiles_of<'a>(&self, users: impl IntoIterator<Item = &'a UserId>) -> BTreeMap<UserId, Profile> {
        users.into_iter().filter_map(|user| Some((user.clone(), self.profile_of(user)?))).collect()
    }

    /// The same for as many as fit into the bytes that are left.
    pub(super) fn profiles_within<'a>(
        &self,
        left: &mut usize,
        users: impl IntoIterator<Item = &'a UserId>,
    ) -> BTreeMap<UserId, Profile> {
        let mut profiles = BTreeMap::new();
        for user in users {
            let Some(profile) = self.profile_of(user) else { continue };
            let size = user.as_str().len() + 2 * profile.nickname.len() + profile.avatar.len() + 40;
            if !profiles.contains_key(user) && size <= *left {
                *left -= size;
                profiles.insert(user.clone(), profile);
            }
        }
        profiles
    }

    /// Puts the profiles of the people in it into an event: like tokens they are not stored with it, and fresh at each
    /// delivery.
    pub(super) fn introduce(&self, mut push: Push) -> Push {
        match &mut push {
            Push::Invited { caller_id, callee_id_list, profiles, .. } => {
                *profiles = self.profiles_of(callee_id_list.iter().chain([&*caller_id]));
            }
            Push::Begun { members, ringing, profiles, .. } => {
                *profiles = self.profiles_of(members.iter().chain(&*ringing));
            }
            Push::UserJoined { user_id, profile, .. } | Push::UserInviting { user_id, profile, .. } => {
                *profile = self.profile_of(user_id);
            }
            Push::Ringing { .. }
            | Push::UserAccepted { .. }
            | Push::UserLeft { .. }
            | Push::UserRejected { .. }
            | Push::UserNoResponse { .. }
            | Push::UserLineBusy { .. }
            | Push::RingEnded { .. }
            | Push::MediaTypeChanged { .. }
            | Push::UserInfo { .. }
            | Push::Cancelled { .. }
            | Push::Ended { .. }
            | Push::RoomExit { .. }
            | Push::Unknown => {}
        }
        push
    }
}
