//! Names that nobody can guess, whatever others they have seen, from one random seed.

use hmac::{Hmac, Mac as _};
use protocol::{CallId, RoomId};
use sha2::Sha256;

/// A keyed hash of a counter. A name tells nothing of the next one: every caller learns the names of their own calls,
/// and a session's name opens the session.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    keyed: Hmac<Sha256>,
    count: u64,
}

impl Ids {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { keyed: Hmac::new_from_slice(seed).expect("HMAC takes a key of any length"), count: 0 }
    }

    fn next(&mut self) -> u128 {
        self.count += 1;
        let hash = self.keyed.clone().chain_update(self.count.to_be_bytes()).finalize().into_bytes();
        hash.iter().take(16).fold(0, |number, byte| (number << 8) | u128::from(*byte))
    }

    pub(super) fn call(&mut self) -> CallId {
        CallId::new(format!("{:016x}", self.next() >> 64)).expect("hexadecimal digits are an id")
    }

    pub(super) fn session(&mut self) -> String {
        format!("{:032x}", self.next())
    }

    /// 1…2147483647, the range that every source allows (behaviour 3.1).
    pub(super) fn room(&mut self) -> RoomId {
        let number = u32::try_from(self.next() >> 97).unwrap_or(0).clamp(1, 2_147_483_647);
        RoomId::number(number).expect("within the range of room numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_seed_and_do_not_repeat() {
        let (mut ids, mut again, mut others) = (Ids::new(&[7; 32]), Ids::new(&[7; 32]), Ids::new(&[8; 32]));
        let first = ids.call();
        assert_eq!((first.as_str().len(), &first), (16, &again.call()));
        assert_ne!(first, others.call());
        let rooms: std::collections::BTreeSet<_> = (0..1000).map(|_| ids.room()).collect();
        assert!(rooms.len() > 995 && rooms.iter().any(|room| *room > RoomId::number(1_000_000_000).unwrap()));
        assert_eq!(ids.session().len(), 32);
    }
}
