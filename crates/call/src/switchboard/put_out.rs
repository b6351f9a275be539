//! Who was put out of a room and has not freshly entered it since.

use protocol::{ExitReason, RoomId, UserId};
use std::collections::BTreeMap;

/// Marks kept: the oldest go first, and cost their people no more than a refused rejoin.
const LIMIT: usize = 10_000;

type Membership = (RoomId, UserId);

/// The marks, and the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct PutOut {
    marks: BTreeMap<Membership, (ExitReason, u64)>,
    by_age: BTreeMap<u64, Membership>,
    made: u64,
}

impl PutOut {
    pub(super) fn get(&self, membership: &Membership) -> Option<ExitReason> {
        self.marks.get(membership).map(|(reason, _)| *reason)
    }

    /// Marks somebody; gives back whose mark makes place for it.
    pub(super) fn insert(&mut self, membership: Membership, reason: ExitReason) -> Option<Membership> {
        self.remove(&membership);
        let oldest = if self.marks.len() < LIMIT { None } else { self.by_age.pop_first().map(|(_, oldest)| oldest) };
        if let Some(oldest) = &oldest {
            self.marks.remove(oldest);
        }
        self.made += 1;
        self.by_age.insert(self.made, membership.clone());
        self.marks.insert(membership, (reason, self.made));
        oldest
    }

    /// Whether there was a mark.
    pub(super) fn remove(&mut self, membership: &Membership) -> bool {
        let Some((_, made)) = self.marks.remove(membership) else { return false };
        self.by_age.remove(&made);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_mark_makes_place() {
        let somebody = |n: usize| {
            // The newest names come first in the alphabet.
            let room = RoomId::number(u32::try_from(LIMIT * 2 - n).unwrap()).unwrap();
            (room, UserId::new("alice").unwrap())
        };
        let mut put_out = PutOut::default();
        for n in 0..LIMIT {
            assert_eq!(put_out.insert(somebody(n), ExitReason::Removed), None);
        }
        // Marked anew, the first one is the newest.
        assert_eq!(put_out.insert(somebody(0), ExitReason::Dismissed), None);
        assert_eq!(put_out.insert(somebody(LIMIT), ExitReason::Removed), Some(somebody(1)));
        assert_eq!(put_out.get(&somebody(0)), Some(ExitReason::Dismissed));
        assert_eq!(put_out.get(&somebody(1)), None);
        assert!(put_out.remove(&somebody(2)) && !put_out.remove(&somebody(2)));
        assert_eq!(put_out.insert(somebody(1), ExitReason::Removed), None);
    }
}
