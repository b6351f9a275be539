//! What a device knows of people: how they call themselves, and which running calls it may join.

use super::CallSession;
use protocol::{CallCard, Event, Profile, UserId};
use std::collections::BTreeMap;

impl CallSession {
    /// Takes in how somebody calls themselves; reports it where it is news. Nothing said is no news of somebody unknown.
    pub(super) fn learn(&mut self, user: &UserId, profile: Option<Profile>) {
        let Some(profile) = profile else { return };
        if self.profiles.get(user).cloned().unwrap_or_default() == profile {
            return;
        }
        if profile.is_empty() {
            self.profiles.remove(user);
        } else {
            self.profiles.insert(user.clone(), profile.clone());
        }
        let Profile { nickname, avatar } = profile;
        self.report(Event::OnUserInfoChanged { user_id: user.clone(), nickname, avatar });
    }

    pub(super) fn learn_all(&mut self, profiles: BTreeMap<UserId, Profile>) {
        for (user, profile) in profiles {
            self.learn(&user, Some(profile));
        }
    }

    pub(super) fn handle_cards(&mut self, cards: Vec<CallCard>) {
        for card in &cards {
            self.learn_all(card.profiles.clone());
        }
        self.cards = cards;
    }
}
