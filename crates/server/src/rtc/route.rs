//! One published track on its way to its subscribers.

use super::codecs;
use room::server::{Forward, Incoming, Layer, LiveLayers, MemberId, Outgoing, Readable, Settings, Slot};
use std::collections::BTreeMap;
use std::time::Instant;
use str0m::format::CodecSpec;
use str0m::media::Pt;

/// Where a track goes, one entry per subscriber.
#[derive(Default)]
pub(super) struct Route {
    pub subscribers: BTreeMap<MemberId, Subscription>,
    layers: LiveLayers,
}

/// One subscriber's view of a track.
pub(super) struct Subscription {
    pub slot: Slot,
    settings: Settings,
    /// Made when the first packet tells the codec.
    forward: Option<Forward>,
    /// The publisher's payload type and what it is here.
    pt: Option<(Pt, Pt)>,
}

impl Subscription {
    pub fn new(slot: Slot, settings: Settings) -> Self {
        Self { slot, settings, forward: None, pt: None }
    }

    /// Takes new settings over.
    pub fn adjust(&mut self, settings: Settings) {
        self.settings = settings;
        if let Some(forward) = &mut self.forward {
            forward.set_paused(settings.paused);
        }
    }

    /// The payload type here, asked of `find` once per payload type of the publisher's.
    pub fn pt(&mut self, theirs: Pt, find: impl FnOnce() -> Option<Pt>) -> Option<Pt> {
        match self.pt {
            Some((known, ours)) if known == theirs => Some(ours),
            Some(_) | None => {
                let ours = find()?;
                self.pt = Some((theirs, ours));
                Some(ours)
            }
        }
    }

    /// Whether only a keyframe will bring what is wanted.
    pub fn is_waiting(&self) -> bool {
        self.forward.as_ref().is_some_and(Forward::is_waiting)
    }

    /// Whether, and under which numbers, a packet goes to this subscriber.
    pub fn step(&mut self, spec: &CodecSpec, packet: Incoming) -> Option<Outgoing> {
        let forward = self.forward.get_or_insert_with(|| {
            let readable = Readable::from_name(&codecs::name(spec.codec));
            let mut forward = Forward::new(codecs::clock_rate(spec), readable != Readable::Opaque);
            forward.set_paused(self.settings.paused);
            forward.set_target(packet.layer);
            forward
        });
        forward.step(packet)
    }
}

impl Route {
    /// Notes a packet and aims every subscription at the best layer that flows.
    pub fn aim(&mut self, packet: &Incoming) {
        self.layers.note(packet.layer, packet.arrived);
        for subscription in self.subscribers.values_mut() {
            let best = self.layers.best(subscription.settings.most, packet.arrived).unwrap_or(packet.layer);
            if let Some(forward) = &mut subscription.forward {
                forward.set_target(best);
            }
        }
    }

    /// The layers of which keyframes help somebody: those that are wanted.
    pub fn wanted_layers(&self, now: Instant) -> Vec<Layer> {
        let wanted = |subscription: &Subscription| self.layers.best(subscription.settings.most, now);
        let mut layers: Vec<Layer> =
            self.subscribers.values().filter(|subscription| !subscription.settings.paused).filter_map(wanted).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }
}
