//! Reading a client's offer for what the room must know, and dressing the answer that `str0m` makes.
//!
//! `str0m` negotiates; it cannot set the msid of media that the client offered, nor leave an unused section inactive.
//! Those lines are rewritten here, section by section.

use room::server::{Kind, Section, SectionPlan, Slot};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use str0m::RtcError;

/// Makes an offer that leaves the DTLS role open ask us to start: 30–40 ms sooner connected than waiting.
pub(super) fn let_us_start(offer: &str) -> String {
    offer.replace("a=setup:actpass", "a=setup:passive")
}

/// Makes our own offer say that we start.
pub(super) fn we_start(offer: &str) -> String {
    offer.replace("a=setup:actpass", "a=setup:active")
}

/// The audio and video sections of a client's offer.
pub(super) fn sections(offer: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    for text in split(offer).skip(1) {
        let kind = match text.first().map(|line| line.split(' ').next().unwrap_or_default()) {
            Some("m=audio") => Kind::Audio,
            Some("m=video") => Kind::Video,
            Some(_) | None => continue,
        };
        let value = |name: &str| text.iter().find_map(|line| line.strip_prefix(name));
        let Some(mid) = value("a=mid:") else { continue };
        let has = |name: &str| text.contains(&name);
        let (sends, receives) = if has("a=inactive") {
            (false, false)
        } else if has("a=sendonly") {
            (true, false)
        } else if has("a=recvonly") {
            (false, true)
        } else {
            (true, true)
        };
        let track = || value("a=msid:").and_then(|msid| msid.split(' ').nth(1)).unwrap_or_default().to_owned();
        sections.push(Section { slot: Slot(mid.to_owned()), kind, sends: sends.then(track), receives });
    }
    sections
}

/// Sections of one description; a client in a full room has some hundred.
const SECTION_LIMIT: usize = 1_000;

/// Refuses what `str0m` would trip over, or chew on for long: sections without end, and a payload type that means two
/// things in one description (all its sections share one transport, RFC 9143 section 9.1).
pub(super) fn check(sdp: &str) -> Result<(), RtcError> {
    let refuse = |why: String| Err(RtcError::RemoteSdp(why));
    if sdp.lines().filter(|line| line.starts_with("m=")).count() > SECTION_LIMIT {
        return refuse(format!("more than {SECTION_LIMIT} sections"));
    }
    let mut codecs: BTreeMap<&str, &str> = BTreeMap::new();
    let mut formats: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for line in sdp.lines() {
        if let Some((pt, codec)) = line.strip_prefix("a=rtpmap:").and_then(|map| map.split_once(' ')) {
            if codecs.insert(pt, codec).is_some_and(|other| !other.eq_ignore_ascii_case(codec)) {
                return refuse(format!("payload type {pt} stands for two codecs"));
            }
        } else if let Some((pt, format)) = line.strip_prefix("a=fmtp:").and_then(|map| map.split_once(' ')) {
            for (name, value) in format.split(';').filter_map(|part| part.trim().split_once('=')) {
                let tells_apart = ["apt", "profile-level-id", "packetization-mode", "profile-id"].contains(&name);
                let other = tells_apart.then(|| formats.insert((pt, name), value)).flatten();
                if other.is_some_and(|other| !other.eq_ignore_ascii_case(value)) {
                    return refuse(format!("payload type {pt} has two values of {name}"));
                }
            }
        }
    }
    Ok(())
}

/// The streams of one of our sending sections: the main SSRC, and that of its retransmissions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    pub main: u32,
    pub resend: Option<u32>,
}

impl Streams {
    /// As a section of ours names them itself.
    fn read(text: &[&str]) -> Option<Self> {
        let mut numbers = text.iter().filter_map(|line| line.strip_prefix("a=ssrc-group:FID "));
        if let Some((main, resend)) = numbers.next().and_then(|pair| pair.split_once(' ')) {
            return Some(Self { main: main.parse().ok()?, resend: Some(resend.parse().ok()?) });
        }
        let first = text.iter().find_map(|line| line.strip_prefix("a=ssrc:"))?;
        Some(Self { main: first.split(' ').next()?.parse().ok()?, resend: None })
    }
}

/// Rewrites the answer, or our own offer, by the room's plan: direction, msid and SSRCs of what is delivered, and the announced codec
/// first where the client publishes (`livekit-client` sends whatever stands first).
pub(super) fn dress(answer: &str, plans: &BTreeMap<Slot, SectionPlan>, streams: &BTreeMap<Slot, Streams>) -> String {
    let mut out = String::with_capacity(answer.len() + 256);
    for (index, text) in split(answer).enumerate() {
        let mid = text.iter().find_map(|line| line.strip_prefix("a=mid:"));
        let slot = mid.map(|mid| Slot(mid.to_owned()));
        match slot.as_ref().and_then(|slot| Some((slot, plans.get(slot)?))).filter(|_| index > 0) {
            Some((slot, plan)) => {
                let streams = streams.get(slot).copied().or_else(|| Streams::read(&text));
                dress_section(&mut out, &text, plan, streams);
            }
            None => text.iter().for_each(|line| push(&mut out, line)),
        }
    }
    out
}

fn dress_section(out: &mut String, text: &[&str], plan: &SectionPlan, streams: Option<Streams>) {
    const DIRECTIONS: [&str; 4] = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];
    let receives = text.iter().any(|line| matches!(*line, "a=sendrecv" | "a=recvonly"));
    let delivery = plan.delivers.as_ref().zip(streams);
    let direction = match (delivery.is_some(), receives) {
        (true, true) => "a=sendrecv",
        (true, false) => "a=sendonly",
        (false, true) => "a=recvonly",
        (false, false) => "a=inactive",
    };
    for line in text {
        if let Some(codec) = plan.publishes.as_ref().map(|publication| &publication.codec)
            && line.starts_with("m=")
        {
            push(out, &put_first(line, text, codec));
        } else if DIRECTIONS.contains(line) {
            push(out, direction);
        } else if !line.starts_with("a=msid:") && !line.starts_with("a=ssrc") {
            push(out, line);
        }
    }
    if let Some((delivery, streams)) = delivery {
        let msid = format!("{}|{} {}", delivery.publisher_sid, delivery.track_sid, delivery.track_sid);
        push(out, &format!("a=msid:{msid}"));
        if let Some(resend) = streams.resend {
            push(out, &format!("a=ssrc-group:FID {} {resend}", streams.main));
        }
        for ssrc in std::iter::once(streams.main).chain(streams.resend) {
            push(out, &format!("a=ssrc:{ssrc} cname:{}", delivery.publisher_sid));
            push(out, &format!("a=ssrc:{ssrc} msid:{msid}"));
        }
    }
}

/// Reorders an m-line's payload types: those of `codec` and their retransmissions first.
fn put_first(line: &str, text: &[&str], codec: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let Some((head, pts)) = words.split_at_checked(3) else { return line.to_owned() };
    let is_codec = |pt: &str| {
        text.iter().filter_map(|line| line.strip_prefix("a=rtpmap:")).any(|map| {
            map.split_once(' ').is_some_and(|(number, name)| {
                number == pt && name.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(codec))
            })
        })
    };
    let is_resend = |pt: &str| {
        text.iter().filter_map(|line| line.strip_prefix("a=fmtp:")).any(|format| {
            format.split_once(" apt=").is_some_and(|(number, primary)| {
                number == pt && is_codec(primary.split(';').next().unwrap_or_default())
            })
        })
    };
    let (first, rest): (Vec<&str>, Vec<&str>) = pts.iter().partition(|pt| is_codec(pt) || is_resend(pt));
    let mut out = head.join(" ");
    for pt in first.iter().chain(&rest) {
        let _ = write!(out, " {pt}");
    }
    out
}

/// The session part, then each section, as lines.
fn split(sdp: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for line in sdp.lines() {
        if line.starts_with("m=") {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    parts.into_iter()
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use room::server::{Delivery, Publication, TrackId};

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=msid:stream mic-id\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=recvonly\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    #[test]
    fn an_offer_tells_what_is_sent_and_received_where() {
        let sections = sections(OFFER);
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[0].sends.as_deref(), Some("mic-id"));
        assert!(!sections[0].receives);
        assert_eq!(sections[1].slot, Slot("1".into()));
        assert!(sections[1].receives && sections[1].sends.is_none());
    }

    #[test]
    fn an_unused_section_is_answered_inactive_and_a_used_one_names_its_track() {
        let answer = "v=0\r\nm=audio 9 X 111\r\na=mid:0\r\na=sendonly\r\na=msid:x y\r\na=ssrc:1 cname:x\r\n\
            m=video 9 X 96 97 108 109\r\na=mid:1\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n";
        let delivery = Delivery { track: TrackId(1), track_sid: "TR_v".into(), publisher_sid: "PA_p".into() };
        let plans = BTreeMap::from([
            (Slot("0".into()), SectionPlan::default()),
            (Slot("1".into()), SectionPlan { publishes: None, delivers: Some(delivery) }),
        ]);
        let streams = BTreeMap::from([(Slot("1".into()), Streams { main: 7, resend: Some(8) })]);
        let dressed = dress(answer, &plans, &streams);
        let parts: Vec<&str> = dressed.split("m=video").collect();
        assert!(parts[0].contains("a=inactive\r\n") && !parts[0].contains("ssrc"));
        assert!(parts[1].contains("a=msid:PA_p|TR_v TR_v\r\n"));
        assert!(parts[1].contains("a=ssrc-group:FID 7 8\r\n"));
    }

    #[test]
    fn the_announced_codec_stands_first_with_its_retransmissions() {
        let answer = "v=0\r\nm=video 9 X 96 97 108 109\r\na=mid:1\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n\
            a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:108 H264/90000\r\na=rtpmap:109 rtx/90000\r\n\
            a=fmtp:109 apt=108\r\n";
        let publishes = Some(Publication { track: TrackId(1), codec: "h264".into() });
        let plans = BTreeMap::from([(Slot("1".into()), SectionPlan { publishes, delivers: None })]);
        let dressed = dress(answer, &plans, &BTreeMap::new());
        assert!(dressed.contains("m=video 9 X 108 109 96 97\r\n"), "{dressed}");
        assert!(dressed.contains("a=recvonly\r\n"));
    }

    #[test]
    fn one_payload_type_has_one_meaning_in_all_sections() {
        let video = |pt: u8, codec: &str, format: &str| {
            format!("m=video 9 X {pt}\r\na=rtpmap:{pt} {codec}/90000\r\na=fmtp:{pt} {format}\r\n")
        };
        let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        let fine = video(96, "H264", h264) + &video(96, "h264", h264) + &video(97, "rtx", "apt=96");
        assert!(check(&fine).is_ok());
        assert!(check(&(fine.clone() + &video(96, "VP8", "x"))).is_err());
        assert!(check(&(fine.clone() + &video(97, "rtx", "apt=98"))).is_err());
        assert!(check(&(fine + &video(96, "H264", "profile-level-id=64001f"))).is_err());
        let opus = |format: &str| format!("m=audio 9 X 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 {format}\r\n");
        assert!(check(&(opus("minptime=10;stereo=1") + &opus("minptime=10"))).is_ok());
        assert!(check(&"m=video 9 X 96\r\n".repeat(SECTION_LIMIT + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(m=(audio|video)? ?[ -~]{0,12}\r?\n|a=(mid|msid|fmtp|rtpmap):[ -~]{0,12}\n){0,8}") {
            let found = sections(&text);
            let plans = found.into_iter().map(|section| (section.slot, SectionPlan::default())).collect();
            dress(&text, &plans, &BTreeMap::new());
            let _ = check(&text);
        }
    }
}
