//! Whose tokens are void. LiveKit knows nothing of it and lets them in; whoever sees them there puts them out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For how long a token can be in somebody's hands after it was made void: LiveKit renews the tokens of those who are in
/// for ten minutes at a time, and a minute goes to clocks that differ.
pub const BAR_LIFE: Duration = Duration::from_secs(11 * 60);

/// Somebody's tokens are void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The last of them has expired by then.
    pub until: Duration,
    /// The sid of the entry that was there before, and stays.
    pub spared: Option<String>,
}

/// Everyone whose tokens are void, and everyone who was given one, by room and identity.
#[derive(Debug, Default)]
pub(super) struct Bars {
    bars: BTreeMap<(String, String), Bar>,
    /// Until when a token may still be used by somebody who is not in.
    admitted: BTreeMap<(String, String), Duration>,
    /// Whose bar has changed and is not kept yet.
    unkept: BTreeSet<(String, String)>,
}

impl Bars {
    /// A token was made: all is forgiven.
    pub(super) fn admit(&mut self, now: Duration, room: &str, identity: &str) {
        let key = (room.to_owned(), identity.to_owned());
        if self.bars.remove(&key).is_some() {
            self.unkept.insert(key.clone());
        }
        self.admitted.insert(key, now + BAR_LIFE);
    }

    /// Makes all tokens void that were made so far; gives back what held before.
    pub(super) fn bar(&mut self, now: Duration, room: &str, identity: &str, spared: Option<String>) -> Option<Bar> {
        let key = (room.to_owned(), identity.to_owned());
        self.unkept.insert(key.clone());
        self.bars.insert(key, Bar { until: now + BAR_LIFE, spared })
    }

    /// The same, where the tokens are our own. Whoever came with another one is the business of those who sign them.
    pub(super) fn bar_if_admitted(&mut self, now: Duration, room: &str, identity: &str) {
        if self.admitted.contains_key(&(room.to_owned(), identity.to_owned())) {
            self.bar(now, room, identity, None);
        }
    }

    /// Makes it as it was.
    pub(super) fn restore(&mut self, room: &str, identity: &str, before: Option<Bar>) {
        let key = (room.to_owned(), identity.to_owned());
        self.unkept.insert(key.clone());
        match before {
            Some(bar) => self.bars.insert(key, bar),
            None => self.bars.remove(&key),
        };
    }

    /// Whether somebody's tokens are void.
    pub(super) fn is_barred(&self, room: &str, identity: &str) -> bool {
        self.bars.contains_key(&(room.to_owned(), identity.to_owned()))
    }

    /// Whether this entry was made with a token that is void.
    pub(super) fn shuts_out(&self, room: &str, identity: &str, sid: &str) -> bool {
        let bar = self.bars.get(&(room.to_owned(), identity.to_owned()));
        bar.is_some_and(|bar| bar.spared.as_deref() != Some(sid))
    }

    /// They have come in nevertheless, and LiveKit has renewed their token.
    pub(super) fn renew(&mut self, now: Duration, room: &str, identity: &str) {
        let key = (room.to_owned(), identity.to_owned());
        if let Some(bar) = self.bars.get_mut(&key) {
            bar.until = now + BAR_LIFE;
            self.unkept.insert(key);
        }
    }

    /// What was kept by an earlier process.
    pub(super) fn recall(&mut self, room: String, identity: String, bar: Bar) {
        self.bars.insert((room, identity), bar);
    }

    /// The next bar that has changed, as it is now.
    pub(super) fn poll_kept(&mut self) -> Option<(String, String, Option<Bar>)> {
        let key = self.unkept.pop_first()?;
        let bar = self.bars.get(&key).cloned();
        Some((key.0, key.1, bar))
    }

    /// Forgets what no token can bring back. LiveKit renews tokens for as long as somebody `is_in`.
    pub(super) fn sweep(&mut self, now: Duration, is_in: impl Fn(&str, &str) -> bool) {
        let over = self.bars.extract_if(.., |_, bar| bar.until <= now);
        self.unkept.extend(over.map(|(key, _)| key));
        self.admitted.retain(|(room, identity), until| *until > now || is_in(room, identity));
    }
}
