//! Who is in the room and what they publish, read from the server's updates.

use super::transport::Kind;
use livekit_protocol::{ParticipantInfo, TrackType, participant_info};
use std::collections::BTreeMap;

/// Somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) identity: String,
    /// Publishes a microphone that is on.
    pub(crate) voice: bool,
    /// Publishes a camera that is on.
    pub(crate) picture: bool,
}

/// One published track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Published {
    kind: Kind,
    muted: bool,
}

#[derive(Debug)]
struct Participant {
    identity: String,
    version: u32,
    tracks: BTreeMap<String, Published>,
}

/// What an update changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) entered: Option<String>,
    pub(crate) left: Option<String>,
    pub(crate) ended_tracks: Vec<String>,
}

/// Everybody else, by sid.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    participants: BTreeMap<String, Participant>,
}

impl Roster {
    /// Takes one participant's whole state.
    pub(crate) fn update(&mut self, info: &ParticipantInfo) -> Change {
        if info.state() == participant_info::State::Disconnected {
            return self.remove(&info.sid);
        }
        let mut change = Change::default();
        let tracks: BTreeMap<_, _> = info
            .tracks
            .iter()
            .filter_map(|track| {
                let kind = match track.r#type() {
                    TrackType::Audio => Kind::Voice,
                    TrackType::Video => Kind::Picture,
                    TrackType::Data => return None,
                };
                Some((track.sid.clone(), Published { kind, muted: track.muted }))
            })
            .collect();
        match self.participants.get_mut(&info.sid) {
            // Updates of one participant may overtake each other; the version tells.
            Some(known) if info.version != 0 && info.version < known.version => {}
            Some(known) => {
                change.ended_tracks = known.tracks.keys().filter(|sid| !tracks.contains_key(*sid)).cloned().collect();
                known.tracks = tracks;
                known.version = info.version;
            }
            None => {
                let participant = Participant { identity: info.identity.clone(), version: info.version, tracks };
                self.participants.insert(info.sid.clone(), participant);
                change.entered = Some(info.identity.clone());
            }
        }
        change
    }

    fn remove(&mut self, sid: &str) -> Change {
        let Some(gone) = self.participants.remove(sid) else { return Change::default() };
        // The same identity may have entered anew under another sid.
        let still_in = self.participants.values().any(|p| p.identity == gone.identity);
        Change {
            entered: None,
            left: (!still_in).then_some(gone.identity),
            ended_tracks: gone.tracks.into_keys().collect(),
        }
    }

    /// Forgets everybody, before the list of a fresh join.
    pub(crate) fn clear(&mut self) -> Vec<String> {
        std::mem::take(&mut self.participants).into_values().flat_map(|p| p.tracks.into_keys()).collect()
    }

    /// Everybody with what is on.
    pub(crate) fn members(&self) -> Vec<Member> {
        let on = |p: &Participant, kind| p.tracks.values().any(|t| t.kind == kind && !t.muted);
        self.participants
            .values()
            .map(|p| Member { identity: p.identity.clone(), voice: on(p, Kind::Voice), picture: on(p, Kind::Picture) })
            .collect()
    }

    /// Whose track it is: by the participant's sid, else by the track's.
    pub(crate) fn owner(&self, participant: &str, track: &str) -> Option<&str> {
        let by_sid = self.participants.get(participant);
        let by_track = || self.participants.values().find(|p| p.tracks.contains_key(track));
        by_sid.or_else(by_track).map(|p| p.identity.as_str())
    }

    /// Who has this sid.
    pub(crate) fn identity(&self, sid: &str) -> Option<&str> {
        self.participants.get(sid).map(|p| p.identity.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::TrackInfo;

    fn info(sid: &str, identity: &str, version: u32, tracks: &[(&str, TrackType, bool)]) -> ParticipantInfo {
        let tracks = tracks.iter().map(|(sid, kind, muted)| TrackInfo {
            sid: (*sid).to_owned(),
            r#type: *kind as i32,
            muted: *muted,
            ..Default::default()
        });
        ParticipantInfo {
            sid: sid.to_owned(),
            identity: identity.to_owned(),
            version,
            state: participant_info::State::Active as i32,
            tracks: tracks.collect(),
            ..Default::default()
        }
    }

    #[test]
    fn an_overtaken_update_changes_nothing() {
        let mut roster = Roster::default();
        assert_eq!(roster.update(&info("PA_1", "bob", 1, &[])).entered.as_deref(), Some("bob"));
        roster.update(&info("PA_1", "bob", 3, &[("TR_1", TrackType::Audio, false)]));
        roster.update(&info("PA_1", "bob", 2, &[]));
        assert_eq!(roster.members(), vec![Member { identity: "bob".into(), voice: true, picture: false }]);
        assert_eq!(roster.owner("", "TR_1"), Some("bob"));
    }

    #[test]
    fn a_track_that_is_missing_from_an_update_has_ended() {
        let mut roster = Roster::default();
        roster.update(&info("PA_1", "bob", 1, &[("TR_1", TrackType::Audio, false), ("TR_2", TrackType::Video, true)]));
        let change = roster.update(&info("PA_1", "bob", 2, &[("TR_1", TrackType::Audio, true)]));
        assert_eq!(change.ended_tracks, vec!["TR_2".to_owned()]);
        assert_eq!(roster.members(), vec![Member { identity: "bob".into(), voice: false, picture: false }]);
    }

    #[test]
    fn who_entered_anew_has_not_left() {
        let mut roster = Roster::default();
        roster.update(&info("PA_1", "bob", 1, &[]));
        roster.update(&info("PA_2", "bob", 1, &[]));
        let mut gone = info("PA_1", "bob", 2, &[]);
        gone.state = participant_info::State::Disconnected as i32;
        assert_eq!(roster.update(&gone).left, None);
        gone.sid = "PA_2".into();
        assert_eq!(roster.update(&gone).left.as_deref(), Some("bob"));
    }
}
