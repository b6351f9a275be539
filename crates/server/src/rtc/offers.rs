//! Two connections: what we offer the client to receive, one offer at a time.
//!
//! A section whose track ended is offered inactive; once that is answered it may carry another track, with another SSRC.
//! `str0m` names a section's track once and for all, so the text says which it is ([`super::sdp`]).

use super::connection::{Connection, LOSSY, RELIABLE, channel, mid};
use super::sdp;
use livekit_protocol as proto;
use room::server::{Delivery, Kind, SectionPlan, Slot, TrackId};
use std::collections::{BTreeMap, VecDeque};
use str0m::RtcError;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};

/// A change to the sections that we offer.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Carry a track.
    Add(Delivery, Kind),
    /// Carry nothing here any more.
    Remove(Slot),
}

/// What one of our sections is used for.
///
/// ```text
///   Carries ── removed ──▶ Ending ── answered ──▶ Idle ── another track ──▶ Carries
/// ```
#[derive(Clone, Debug)]
enum Use {
    Carries(Delivery),
    Ending,
    Idle,
}

#[derive(Clone, Debug)]
struct Ours {
    kind: Kind,
    used: Use,
}

struct Pending {
    offer: SdpPendingOffer,
    id: u32,
    /// As it was sent: it may have been lost with the socket.
    text: proto::SessionDescription,
    added: Vec<(TrackId, Mid)>,
    ended: Vec<Slot>,
}

/// The offers of one connection.
#[derive(Default)]
pub(super) struct Offers {
    sections: BTreeMap<Slot, Ours>,
    /// Offered and not answered.
    pending: Option<Pending>,
    /// Waiting for the next offer.
    changes: VecDeque<Change>,
    made: u32,
}

impl Offers {
    fn idle(&self, kind: Kind) -> Option<Slot> {
        let fits = |ours: &Ours| ours.kind == kind && matches!(ours.used, Use::Idle);
        self.sections.iter().find(|(_, ours)| fits(ours)).map(|(slot, _)| slot.clone())
    }

    fn plans(&self) -> BTreeMap<Slot, SectionPlan> {
        let delivers = |ours: &Ours| match &ours.used {
            Use::Carries(delivery) => Some(delivery.clone()),
            Use::Ending | Use::Idle => None,
        };
        let plan = |ours| SectionPlan { publishes: None, delivers: delivers(ours) };
        self.sections.iter().map(|(slot, ours)| (slot.clone(), plan(ours))).collect()
    }
}

impl Connection {
    /// Queues a change of what we offer.
    pub fn change(&mut self, change: Change) {
        self.offers.changes.push_back(change);
    }

    /// The first offer, with the data channels.
    pub fn offer_channels(&mut self) -> Option<proto::SessionDescription> {
        let mut api = self.rtc.sdp_api();
        self.reliable = Some(api.add_channel_with_config(channel(RELIABLE, None, true)));
        self.lossy = Some(api.add_channel_with_config(channel(LOSSY, None, false)));
        let (offer, pending) = api.apply()?;
        Some(self.send_offer(&offer, pending, Vec::new(), Vec::new()))
    }

    /// The next offer, if there are changes and none is under way.
    pub fn offer_changes(&mut self) -> Option<proto::SessionDescription> {
        if self.offers.pending.is_some() || self.offers.changes.is_empty() {
            return None;
        }
        let (mut added, mut ended, mut fresh, mut directions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for change in std::mem::take(&mut self.offers.changes) {
            match change {
                Change::Add(delivery, kind) => match self.offers.idle(kind) {
                    Some(slot) => {
                        self.renew_stream(&slot, kind);
                        directions.push((mid(&slot), Direction::SendOnly));
                        added.push((delivery.track, mid(&slot)));
                        self.offers.sections.insert(slot, Ours { kind, used: Use::Carries(delivery) });
                    }
                    None => fresh.push((delivery, kind)),
                },
                Change::Remove(slot) => {
                    directions.push((mid(&slot), Direction::Inactive));
                    if let Some(ours) = self.offers.sections.get_mut(&slot) {
                        ours.used = Use::Ending;
                        ended.push(slot);
                    }
                }
            }
        }
        let mut api = self.rtc.sdp_api();
        for (mid, direction) in directions {
            api.set_direction(mid, direction);
        }
        for (delivery, kind) in fresh {
            let media = match kind {
                Kind::Audio => MediaKind::Audio,
                Kind::Video => MediaKind::Video,
            };
            let mid = api.add_media(media, Direction::SendOnly, None, None, None);
            added.push((delivery.track, mid));
            self.offers.sections.insert(Slot(mid.to_string()), Ours { kind, used: Use::Carries(delivery) });
        }
        let (offer, pending) = api.apply()?;
        Some(self.send_offer(&offer, pending, added, ended))
    }

    /// Another track is another stream: a receiver that knows the old SSRC would mix them up.
    fn renew_stream(&mut self, slot: &Slot, kind: Kind) {
        let mid = mid(slot);
        if self.rtc.media(mid).is_none() {
            return;
        }
        let mut api = self.rtc.direct_api();
        if let Some(old) = api.stream_tx_by_mid(mid, None).map(|stream| stream.ssrc()) {
            api.remove_stream_tx(old);
        }
        let (main, resend) = (api.new_ssrc(), (kind == Kind::Video).then(|| api.new_ssrc()));
        api.declare_stream_tx(main, resend, mid, None);
    }

    fn send_offer(
        &mut self,
        offer: &SdpOffer,
        pending: SdpPendingOffer,
        added: Vec<(TrackId, Mid)>,
        ended: Vec<Slot>,
    ) -> proto::SessionDescription {
        self.offers.made += 1;
        let id = self.offers.made;
        let plans = self.offers.plans();
        let (sdp, mid_to_track_id) = self.dress(&sdp::we_start(&offer.to_sdp_string()), &plans);
        let text = proto::SessionDescription { r#type: "offer".into(), sdp, id, mid_to_track_id };
        self.offers.pending = Some(Pending { offer: pending, id, text: text.clone(), added, ended });
        text
    }

    /// The offer that is under way: where it, or its answer, was lost, no other one would ever follow.
    pub fn unanswered_offer(&self) -> Option<proto::SessionDescription> {
        self.offers.pending.as_ref().map(|pending| pending.text.clone())
    }

    /// The client's answer to our offer: which track now has which section. An answer to an older offer is ignored.
    pub fn accept_answer(&mut self, answer: &proto::SessionDescription) -> Result<Vec<(TrackId, Slot)>, RtcError> {
        let Some(pending) = self.offers.pending.take_if(|pending| answer.id == 0 || answer.id == pending.id) else {
            return Ok(Vec::new());
        };
        sdp::check(&answer.sdp)?;
        let parsed = SdpAnswer::from_sdp_string(&answer.sdp).map_err(|error| RtcError::RemoteSdp(error.to_string()))?;
        self.rtc.sdp_api().accept_answer(pending.offer, parsed)?;
        for slot in pending.ended {
            if let Some(ours) = self.offers.sections.get_mut(&slot) {
                ours.used = Use::Idle;
            }
        }
        Ok(pending.added.into_iter().map(|(track, mid)| (track, Slot(mid.to_string()))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::codecs;
    use super::*;
    use std::collections::BTreeSet;
    use std::net::SocketAddr;
    use std::time::Instant;
    use str0m::Rtc;

    /// A server's connection and a client that answers.
    struct Pair {
        server: Connection,
        client: Rtc,
    }

    impl Pair {
        fn new() -> Self {
            let now = Instant::now();
            let server = Connection::new(now, &[SocketAddr::from(([127, 0, 0, 1], 9))]);
            let mut pair = Self { server, client: codecs::new_rtc(now) };
            let offer = pair.server.offer_channels().unwrap();
            pair.answer(&offer);
            pair
        }

        fn answer(&mut self, offer: &proto::SessionDescription) -> Vec<(TrackId, Slot)> {
            let parsed = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
            let sdp = self.client.sdp_api().accept_offer(parsed).unwrap().to_sdp_string();
            let answer = proto::SessionDescription { r#type: "answer".into(), sdp, id: offer.id, ..Default::default() };
            self.server.accept_answer(&answer).unwrap()
        }

        /// Offers the changes and has them answered: the offer, and the sections of what was added.
        fn offer(&mut self, changes: Vec<Change>) -> (proto::SessionDescription, Vec<Slot>) {
            changes.into_iter().for_each(|change| self.server.change(change));
            let offer = self.server.offer_changes().unwrap();
            let added = self.answer(&offer);
            (offer, added.into_iter().map(|(_, slot)| slot).collect())
        }
    }

    fn add(number: u32, kind: Kind) -> Change {
        let (track_sid, publisher_sid) = (format!("TR_{number}"), "PA_x".into());
        Change::Add(Delivery { track: TrackId(number), track_sid, publisher_sid }, kind)
    }

    fn lines<'a>(offer: &'a proto::SessionDescription, start: &str) -> Vec<&'a str> {
        offer.sdp.lines().filter(|line| line.starts_with(start)).collect()
    }

    #[test]
    fn an_ended_section_is_inactive_and_nameless_and_then_carries_the_next_track_as_another_stream() {
        let mut pair = Pair::new();
        let mut seen = BTreeSet::new();
        for round in 1..5 {
            let (offer, slots) = pair.offer(vec![add(round, Kind::Audio), add(100 + round, Kind::Video)]);
            assert_eq!(lines(&offer, "m=audio").len() + lines(&offer, "m=video").len(), 2, "no section is wasted");
            assert_eq!(lines(&offer, "a=msid:").len(), 2, "each track is named once");
            assert!(offer.sdp.contains(&format!("a=msid:PA_x|TR_{round} TR_{round}\r\n")));
            assert_eq!(offer.mid_to_track_id.get(&slots[0].0), Some(&format!("TR_{round}")));
            let streams = lines(&offer, "a=ssrc:").into_iter().filter(|line| line.contains("cname"));
            for line in streams {
                assert!(seen.insert(line.to_owned()), "an SSRC is used again: {line}");
            }
            let (offer, _) = pair.offer(slots.into_iter().map(Change::Remove).collect());
            assert_eq!(lines(&offer, "a=inactive").len(), 2);
            assert!(lines(&offer, "a=msid:").is_empty() && lines(&offer, "a=ssrc").is_empty());
        }
    }

    #[test]
    fn a_section_is_not_used_again_before_its_end_is_answered() {
        let mut pair = Pair::new();
        let (_, slots) = pair.offer(vec![add(1, Kind::Audio)]);
        let (offer, added) = pair.offer(vec![Change::Remove(slots[0].clone()), add(2, Kind::Audio)]);
        assert_eq!(lines(&offer, "m=audio").len(), 2);
        assert_ne!(added, slots);
        pair.server.change(add(3, Kind::Audio));
        let offer = pair.server.offer_changes().unwrap();
        pair.server.change(add(4, Kind::Audio));
        assert!(pair.server.offer_changes().is_none(), "one offer at a time");
        assert_eq!(pair.server.unanswered_offer().as_ref(), Some(&offer), "as it was sent, should it have been lost");
        assert_eq!(pair.answer(&offer), [(TrackId(3), slots[0].clone())]);
        assert_eq!(pair.server.unanswered_offer(), None);
        let (offer, _) = pair.offer(Vec::new());
        assert_eq!(lines(&offer, "a=msid:").len(), 3);
    }
}
