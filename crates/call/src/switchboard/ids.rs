//! Names that are hard to guess and never repeat, from one random seed.

use protocol::{CallId, RoomId};

/// SplitMix64 (Steele, Lea, Flood 2014): every state is visited once, so that 64-bit names never repeat.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    state: u64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn call(&mut self) -> CallId {
        CallId::new(format!("{:016x}", self.next())).expect("hexadecimal digits are an id")
    }

    pub(super) fn session(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// 1…2147483647, the range that every source allows (behaviour 3.1).
    pub(super) fn room(&mut self) -> RoomId {
        let number = u32::try_from(self.next() >> 33).unwrap_or(0).clamp(1, 2_147_483_647);
        RoomId::number(number).expect("within the range of room numbers")
    }
}
