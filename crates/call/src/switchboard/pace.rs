//! How fast one user may place calls: each rings at somebody, and nobody is to be rung without end.

use protocol::{Code, Refusal, UnixMillis, UserId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time that one call uses up: five a second in the long run. No person calls so fast; what dials by itself has room.
const PER_CALL: Duration = Duration::from_millis(200);

/// Calls at once.
const BURST: u32 = 30;

/// Users remembered before those are looked for who have all their calls at hand again.
const KEPT: usize = 1024;

/// Until when the calls of each user have used up their time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    used_until: BTreeMap<UserId, UnixMillis>,
}

impl Pace {
    /// A call is about to be placed.
    pub(super) fn take(&mut self, user: &UserId, now: UnixMillis) -> Result<(), Refusal> {
        // No further ahead than calls can be: the clock may have been set back.
        let used = self.used_until.get(user).copied().unwrap_or(now).clamp(now, now + PER_CALL * BURST);
        if used.since(now) > PER_CALL * (BURST - 1) {
            self.used_until.insert(user.clone(), used);
            return Err(Refusal::because(Code::Signalling, "Too many calls in a short time."));
        }
        if self.used_until.len() >= KEPT {
            self.used_until.retain(|_, until| *until > now);
        }
        self.used_until.insert(user.clone(), used + PER_CALL);
        Ok(())
    }
}
