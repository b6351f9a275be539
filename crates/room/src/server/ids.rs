//! The names of members, tracks and slots.

/// One membership: who leaves and comes back is another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// One published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

/// One media section of a member's connection, by whatever the body calls it (its `mid`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub String);

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SID_LENGTH: usize = 12;

/// Makes LiveKit's sids (`RM_…`, `PA_…`, `TR_…`) out of a seed that the body drew: names, not secrets.
#[derive(Clone, Debug)]
pub struct SidMaker(u64);

impl SidMaker {
    /// From a random seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A new sid behind `prefix`.
    pub fn next(&mut self, prefix: &str) -> String {
        let mut sid = String::with_capacity(prefix.len() + SID_LENGTH);
        sid.push_str(prefix);
        for _ in 0..SID_LENGTH {
            let index = usize::try_from(self.draw() % 62).unwrap_or(0);
            sid.push(char::from(LETTERS[index]));
        }
        sid
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
