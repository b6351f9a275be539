//! The step per packet of one subscription: which packet passes, and with which sequence number and timestamp.
//!
//! The worker owns one [`Forward`] per subscription and calls it for each packet of the track. The subscriber sees one
//! unbroken stream: numbers start low (a fresh SRTP receiver expects rollover counter 0, RFC 3711 section 3.3.1), and
//! go on without a gap when the layer changes or the track pauses.

use std::time::{Duration, Instant};

/// One simulcast layer: 0 is the smallest. A track without simulcast has layer 0 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer(pub u8);

impl Layer {
    /// Most layers a track can have.
    pub const LIMIT: usize = 3;

    /// By the restriction id that LiveKit's clients use: `q`, `h` and `f`; also plain numbers.
    #[must_use]
    pub fn from_rid(rid: &str) -> Self {
        match rid {
            "h" | "1" => Self(1),
            "f" | "2" => Self(2),
            _ => Self(0),
        }
    }
}

/// What the step needs to know of an incoming packet.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// The layer it belongs to.
    pub layer: Layer,
    /// Its stream (SSRC). A publisher may begin another one in the same section, with numbers of its own.
    pub stream: u32,
    /// Extended sequence number of its own stream.
    pub sequence: u64,
    /// RTP timestamp, in the codec's clock.
    pub timestamp: u32,
    /// A decoder can start here.
    pub keyframe: bool,
    /// When it came.
    pub arrived: Instant,
}

/// The numbers under which a packet goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// The first packet of another layer than before.
    pub switched: bool,
}

/// The first outgoing sequence number: room for packets that come late, and rollover counter 0 all the same.
const FIRST_SEQUENCE: u64 = 1_000;

/// A replaced stream's packets are late, not the publisher's change of mind, for this long.
const RETIRED_FOR: Duration = Duration::from_secs(1);

/// How a stream that is being forwarded maps to the outgoing one.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    layer: Layer,
    stream: u32,
    /// Incoming number of the first packet of this mapping; older ones belong to what came before.
    first_in: u64,
    first_out: u64,
    timestamp_offset: u32,
}

/// One subscription's state.
#[derive(Clone, Debug)]
pub struct Forward {
    clock_rate: u32,
    /// Starts and switches wait for a keyframe; otherwise any packet will do.
    wait_for_keyframe: bool,
    target: Layer,
    paused: bool,
    mapping: Option<Mapping>,
    /// Highest numbers sent: sequence, timestamp, and when.
    last: Option<(u64, u32, Instant)>,
    /// The wanted layer goes on in another stream than the one that is forwarded.
    is_replaced: bool,
    /// The stream that another one replaced, and when: its last packets may come late.
    retired: Option<(u32, Instant)>,
}

impl Forward {
    /// A subscription that has sent nothing. `clock_rate` in **Hz**; `wait_for_keyframe` where keyframes can be read.
    #[must_use]
    pub fn new(clock_rate: u32, wait_for_keyframe: bool) -> Self {
        Self {
            clock_rate,
            wait_for_keyframe,
            target: Layer(0),
            paused: false,
            mapping: None,
            last: None,
            is_replaced: false,
            retired: None,
        }
    }

    /// Sets the layer that is wanted. True if a keyframe of it is needed for the change.
    pub fn set_target(&mut self, layer: Layer) -> bool {
        self.target = layer;
        self.is_waiting()
    }

    /// Stops or resumes. True if a keyframe is needed to go on.
    pub fn set_paused(&mut self, paused: bool) -> bool {
        if paused {
            self.mapping = None;
        }
        self.paused = paused;
        self.is_waiting()
    }

    /// Whether nothing, or another layer than the wanted one, flows, and a keyframe would change that.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.paused && self.wait_for_keyframe && self.wants_other()
    }

    fn wants_other(&self) -> bool {
        self.is_replaced || self.mapping.is_none_or(|mapping| mapping.layer != self.target)
    }

    /// The layer that flows.
    #[must_use]
    pub fn current(&self) -> Option<Layer> {
        self.mapping.map(|mapping| mapping.layer)
    }

    /// Decides about one packet; `None`: it is not for this subscriber.
    pub fn step(&mut self, packet: Incoming) -> Option<Outgoing> {
        if self.paused {
            return None;
        }
        let is_start = packet.keyframe || !self.wait_for_keyframe;
        let is_late = |(stream, since): (u32, Instant)| {
            stream == packet.stream && packet.arrived.saturating_duration_since(since) < RETIRED_FOR
        };
        if self.retired.is_some_and(is_late) {
            return None;
        }
        let is_another = |mapping: Mapping| mapping.layer == packet.layer && mapping.stream != packet.stream;
        self.is_replaced |= packet.layer == self.target && self.mapping.is_some_and(is_another);
        let mut switched = false;
        if self.wants_other() && packet.layer == self.target && is_start {
            switched = self.mapping.is_some();
            self.bind(packet);
        }
        let is_its = |mapping: &Mapping| mapping.layer == packet.layer && mapping.stream == packet.stream;
        let mapping = self.mapping.filter(is_its)?;
        // What was sent before a switch is not repeated under new numbers; before the very first packet there is room.
        let is_first_mapping = mapping.first_out == FIRST_SEQUENCE;
        let sequence = if packet.sequence >= mapping.first_in {
            mapping.first_out + (packet.sequence - mapping.first_in)
        } else if is_first_mapping && !self.wait_for_keyframe {
            mapping.first_out.checked_sub(mapping.first_in - packet.sequence)?
        } else {
            return None;
        };
        let timestamp = packet.timestamp.wrapping_add(mapping.timestamp_offset);
        if self.last.is_none_or(|(highest, ..)| sequence > highest) {
            self.last = Some((sequence, timestamp, packet.arrived));
        }
        Some(Outgoing { sequence, timestamp, switched })
    }

    /// Makes `packet` the next one of the outgoing stream.
    fn bind(&mut self, packet: Incoming) {
        let (first_out, timestamp) = match self.last {
            None => (FIRST_SEQUENCE, packet.timestamp),
            Some((sequence, timestamp, sent)) => {
                let elapsed = packet.arrived.saturating_duration_since(sent);
                (sequence + 1, timestamp.wrapping_add(self.ticks(elapsed).max(1)))
            }
        };
        let replaced = self.mapping.filter(|mapping| mapping.layer == packet.layer && mapping.stream != packet.stream);
        self.retired = replaced.map(|mapping| (mapping.stream, packet.arrived)).or(self.retired);
        self.is_replaced = false;
        self.mapping = Some(Mapping {
            layer: packet.layer,
            stream: packet.stream,
            first_in: packet.sequence,
            first_out,
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
        });
    }

    fn ticks(&self, elapsed: Duration) -> u32 {
        let ticks = elapsed.as_micros().saturating_mul(u128::from(self.clock_rate)) / 1_000_000;
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// Which layers of a track are alive, so that nobody waits for one that its publisher does not send.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveLayers {
    seen: [Option<Instant>; Layer::LIMIT],
}

/// A layer without a packet for this long is not being sent. Lower: flutter at low frame rates; higher: a frozen
/// picture for longer when a publisher drops a layer.
const LAYER_SILENCE_LIMIT: Duration = Duration::from_millis(1_500);

impl LiveLayers {
    /// Notes a packet. True if the layer was not alive before.
    pub fn note(&mut self, layer: Layer, now: Instant) -> bool {
        let Some(slot) = self.seen.get_mut(usize::from(layer.0)) else { return false };
        let was_alive = slot.is_some_and(|seen| now.saturating_duration_since(seen) < LAYER_SILENCE_LIMIT);
        *slot = Some(now);
        !was_alive
    }

    /// The highest live layer not above `most`; the lowest live one if all are above.
    #[must_use]
    pub fn best(&self, most: Layer, now: Instant) -> Option<Layer> {
        let alive = |layer: &Layer| {
            let seen = self.seen.get(usize::from(layer.0)).copied().flatten();
            seen.is_some_and(|seen| now.saturating_duration_since(seen) < LAYER_SILENCE_LIMIT)
        };
        let layers = [Layer(0), Layer(1), Layer(2)];
        layers.into_iter().rev().filter(|layer| *layer <= most).find(alive).or_else(|| layers.into_iter().find(alive))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // An instant to count from: any will do.
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(base: Instant, ms: u64, layer: u8, sequence: u64, keyframe: bool) -> Incoming {
        Incoming {
            layer: Layer(layer),
            stream: u32::from(layer),
            sequence,
            timestamp: u32::try_from(ms * 90).expect("small"),
            keyframe,
            arrived: base + Duration::from_millis(ms),
        }
    }

    #[test]
    fn a_picture_starts_at_a_keyframe_and_with_rollover_counter_zero() {
        let base = Instant::now();
        let mut forward = Forward::new(90_000, true);
        assert_eq!(forward.step(at(base, 0, 0, 70_000, false)), None);
        assert!(forward.is_waiting());
        let first = forward.step(at(base, 33, 0, 70_001, true)).expect("a keyframe passes");
        assert_eq!(first.sequence, 1_000);
        assert!(first.sequence < 65_536);
        assert_eq!(forward.step(at(base, 66, 0, 70_003, false)).map(|out| out.sequence), Some(1_002), "a gap stays");
        assert_eq!(
            forward.step(at(base, 50, 0, 70_002, false)).map(|out| out.sequence),
            Some(1_001),
            "a late one fits"
        );
    }

    #[test]
    fn voice_starts_at_once_and_late_packets_keep_their_place() {
        let base = Instant::now();
        let mut forward = Forward::new(48_000, false);
        assert_eq!(forward.step(at(base, 0, 0, 500, false)).map(|out| out.sequence), Some(1_000));
        assert_eq!(forward.step(at(base, 1, 0, 498, false)).map(|out| out.sequence), Some(998));
    }

    #[test]
    fn a_layer_changes_only_at_a_keyframe_and_leaves_no_gap() {
        let base = Instant::now();
        let mut forward = Forward::new(90_000, true);
        forward.step(at(base, 0, 0, 10, true)).expect("starts");
        assert!(forward.set_target(Layer(2)), "a keyframe of the other layer is needed");
        let low = forward.step(at(base, 33, 0, 11, false)).expect("the old layer flows meanwhile");
        assert_eq!(forward.step(at(base, 34, 2, 9_000, false)), None);
        let high = forward.step(at(base, 66, 2, 9_001, true)).expect("switches");
        assert!(high.switched);
        assert_eq!(high.sequence, low.sequence + 1);
        assert_eq!(high.timestamp.wrapping_sub(low.timestamp), 33 * 90);
        assert_eq!(forward.step(at(base, 67, 0, 12, false)), None, "the old layer is over");
        assert_eq!(forward.step(at(base, 68, 2, 9_000, false)), None, "older than the switch");
    }

    #[test]
    fn another_stream_in_the_same_place_goes_on_without_a_gap() {
        let base = Instant::now();
        let another = |ms, sequence, keyframe| Incoming { stream: 99, ..at(base, ms, 0, sequence, keyframe) };
        let mut picture = Forward::new(90_000, true);
        let before = picture.step(at(base, 0, 0, 40_000, true)).expect("starts");
        assert!(!picture.is_waiting());
        assert_eq!(picture.step(another(33, 7, false)), None);
        assert!(picture.is_waiting(), "a keyframe of the new stream is asked for");
        let after = picture.step(another(66, 8, true)).expect("goes on");
        assert_eq!(after.sequence, before.sequence + 1);
        assert_eq!(picture.step(at(base, 70, 0, 40_001, true)), None, "a late one of the old stream");
        assert!(!picture.is_waiting());
        let back = picture.step(at(base, 3_000, 0, 40_500, true)).expect("the first stream goes on after all");
        assert_eq!(back.sequence, after.sequence + 1);
        let mut voice = Forward::new(48_000, false);
        let before = voice.step(at(base, 0, 0, 40_000, false)).expect("starts");
        let after = voice.step(another(20, 7, false)).expect("at once");
        assert_eq!(after.sequence, before.sequence + 1);
    }

    #[test]
    fn a_pause_leaves_no_gap_and_ends_at_a_keyframe() {
        let base = Instant::now();
        let mut forward = Forward::new(90_000, true);
        let before = forward.step(at(base, 0, 0, 10, true)).expect("starts");
        forward.set_paused(true);
        assert_eq!(forward.step(at(base, 33, 0, 11, false)), None);
        assert!(forward.set_paused(false));
        let after = forward.step(at(base, 66, 0, 40, true)).expect("goes on");
        assert_eq!(after.sequence, before.sequence + 1);
    }

    #[test]
    fn the_best_live_layer_is_the_highest_that_flows() {
        let base = Instant::now();
        let mut layers = LiveLayers::default();
        assert_eq!(layers.best(Layer(2), base), None);
        assert!(layers.note(Layer(0), base));
        assert!(layers.note(Layer(2), base));
        assert_eq!(layers.best(Layer(2), base), Some(Layer(2)));
        assert_eq!(layers.best(Layer(1), base), Some(Layer(0)));
        let later = base + Duration::from_secs(2);
        assert!(layers.note(Layer(0), later), "alive again");
        assert_eq!(layers.best(Layer(2), later), Some(Layer(0)));
    }

    proptest! {
        /// Whatever comes in whatever order, no outgoing number is used for two different packets, and numbers stay
        /// near the count of packets (rollover counter 0 at the start).
        #[test]
        fn no_number_is_given_twice(plan in proptest::collection::vec((0u8..3, 0u64..50, any::<bool>(), 0u8..4), 1..200)) {
            let base = Instant::now();
            let mut forward = Forward::new(90_000, true);
            let mut heads = [70_000u64, 140_000, 10];
            let mut given = std::collections::BTreeMap::new();
            for (step, (layer, back, keyframe, order)) in plan.into_iter().enumerate() {
                match order {
                    0 => { forward.set_target(Layer(layer)); }
                    1 if back < 5 => { forward.set_paused(keyframe); }
                    _ => {
                        let head = &mut heads[usize::from(layer)];
                        *head += 1;
                        let sequence = head.saturating_sub(if back < 5 { back } else { 0 });
                        let packet = at(base, step as u64 * 10, layer, sequence, keyframe);
                        if let Some(out) = forward.step(packet) {
                            let owner = given.entry(out.sequence).or_insert((layer, sequence));
                            prop_assert_eq!(*owner, (layer, sequence));
                        }
                    }
                }
            }
        }
    }
}
