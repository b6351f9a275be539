//! Running calls that people may join: each device of theirs is told the whole list whenever it changes.
//!
//! A list, not events: what a lost connection swallowed is replaced by the next one, and nothing piles up for a device
//! that is away.

use super::records::{PAGE_LIMIT, PROFILES_LIMIT};
use super::{ConnId, Switchboard};
use crate::call::{Call, Party};
use protocol::{CallCard, ServerMessage, UserId};
use std::collections::BTreeSet;

impl Switchboard {
    /// Notes what a call has changed; gives back whose list is another one now.
    pub(super) fn note_cards(&mut self, call: &Call) -> BTreeSet<UserId> {
        let card = call.card();
        let mut changed = BTreeSet::new();
        for party in call.parties() {
            let shown = card.as_ref().filter(|_| party.out().is_some());
            let Some(card) = shown else {
                if self.drop_card(party, call) {
                    changed.insert(party.user.clone());
                }
                continue;
            };
            let cards = self.cards_by_user.entry(party.user.clone()).or_default();
            if cards.get(call.id()) != Some(card) {
                cards.insert(call.id().clone(), card.clone());
                changed.insert(party.user.clone());
            }
        }
        changed
    }

    fn drop_card(&mut self, party: &Party, call: &Call) -> bool {
        let Some(cards) = self.cards_by_user.get_mut(&party.user) else { return false };
        let dropped = cards.remove(call.id()).is_some();
        if cards.is_empty() {
            self.cards_by_user.remove(&party.user);
        }
        dropped
    }

    /// The newest first, as many as fit into a frame: others decide into how many calls somebody is invited, and a
    /// frame that is too large costs the connection, at every sign-in.
    fn cards_of(&self, user: &UserId) -> Vec<CallCard> {
        let mut cards: Vec<_> = self.cards_by_user.get(user).into_iter().flat_map(|cards| cards.values()).collect();
        cards.sort_by(|a, b| b.began_at.cmp(&a.began_at).then_with(|| a.call_id.cmp(&b.call_id)));
        let (mut bytes, mut left) = (0, PROFILES_LIMIT);
        let fits = |card: &&CallCard| {
            let names: usize = card.members.iter().map(|user| user.as_str().len() + 3).sum();
            bytes += 400 + names + 6 * card.group_id.len();
            bytes <= PAGE_LIMIT
        };
        let introduced = |card: &CallCard| {
            let profiles = self.profiles_within(&mut left, card.members.iter().chain([&card.caller_id]));
            CallCard { profiles, ..card.clone() }
        };
        cards.into_iter().take_while(fits).map(introduced).collect()
    }

    pub(super) fn send_cards(&mut self, user: &UserId) {
        let cards = self.cards_of(user);
        for name in self.sessions_by_user.get(user).cloned().unwrap_or_default() {
            if let Some(conn) = self.sessions.get(&name).and_then(|session| session.conn) {
                self.send(conn, ServerMessage::Cards { cards: cards.clone() });
            }
        }
    }

    /// A session begins and is resumed without any: only cards that there are need to be told.
    pub(super) fn greet_with_cards(&mut self, conn: ConnId, user: &UserId) {
        let cards = self.cards_of(user);
        if !cards.is_empty() {
            self.send(conn, ServerMessage::Cards { cards });
        }
    }
}
