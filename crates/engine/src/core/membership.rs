//! The room that this device is in (or leaves): who is there, what comes from them, how well.

use crate::api::{Figures as ShownFigures, Presence, Secret};
use crate::incoming::Road;
use crate::report::{RemoteReport, Report};
use crate::room::{Figures, Kind, Member, MembershipId, RoomCommand, RoomHandle, ServerQuality};
use media::PictureId;
use media::voice::Receiver;
use protocol::{CallId, LeaveReason, NetworkQuality, RoomId, UserId};
use room::client::Link;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A tile of somebody who left stays this long.
const LEFT_TILE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why this device is in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Call(CallId),
    /// Entered by its id, by way of the call plane; with this PrivateMapKey, which is shown again at a rejoin.
    Room(RoomId, Option<Secret>),
    /// Entered with a token.
    Token,
}

/// A remote track on its way to speaker or screen.
pub(super) struct Stream {
    pub(super) sid: String,
    pub(super) kind: Kind,
    pub(super) ssrc: u32,
    pub(super) road: Road,
    /// Of a picture.
    pub(super) picture: Option<PictureId>,
}

/// Somebody else.
#[derive(Default)]
pub(super) struct Remote {
    /// In the room.
    pub(super) present: bool,
    pub(super) voice: bool,
    pub(super) picture: bool,
    pub(super) reconnecting: bool,
    pub(super) left: Option<(LeaveReason, Instant)>,
    /// Their leaving was reported; they have not entered again since.
    pub(super) leave_told: bool,
    pub(super) streams: Vec<Stream>,
    pub(super) receiver: Option<Arc<Receiver>>,
    pub(super) server_quality: Option<ServerQuality>,
    /// As the server hears them, 0–100, where nothing is decoded here.
    pub(super) server_level: u8,
    pub(super) quality: Option<NetworkQuality>,
    pub(super) figures: ShownFigures,
    /// Voice or picture should have arrived at the last rating.
    due: bool,
    /// What came by streams that are over.
    past: RemoteReport,
}

impl Remote {
    /// Entered, and not said to have left since.
    pub(super) fn is_in(&self) -> bool {
        self.present && !self.leave_told
    }

    pub(super) fn level(&self) -> u8 {
        self.receiver.as_ref().map_or(self.server_level, |receiver| receiver.level())
    }

    /// Ends the streams that are no longer wanted, and remembers what came by them.
    pub(super) fn end_streams(&mut self, over: impl Fn(&Stream) -> bool) {
        let level = self.level();
        for stream in self.streams.iter().filter(|stream| over(stream)) {
            let frames = stream.road.frames.load(Ordering::Relaxed);
            match stream.kind {
                Kind::Voice => {
                    let jitter = self.receiver.take().map(|receiver| receiver.stats()).unwrap_or_default();
                    self.past.audio_packets += frames;
                    self.past.concealed_ms += jitter.concealed_samples / 48;
                    self.past.audio_level = level;
                }
                Kind::Picture => self.past.video_frames += frames,
            }
        }
        self.streams.retain(|stream| !over(stream));
    }

    pub(super) fn presence(&self) -> Presence {
        match self.left {
            Some((reason, _)) => Presence::Left(reason),
            None if self.reconnecting => Presence::Reconnecting,
            None if self.present => Presence::In,
            None => Presence::Connecting,
        }
    }
}

pub(super) struct Membership {
    pub(super) id: MembershipId,
    pub(super) what: What,
    pub(super) me: UserId,
    /// The room as people write it.
    pub(super) room_name: String,
    room: RoomHandle,
    /// Media may leave since then; the clock of the first voice and picture.
    pub(super) clock_from: Option<Instant>,
    pub(super) entered_at: Option<Instant>,
    /// What entering took, until it is reported.
    pub(super) entered_after: Option<Duration>,
    pub(super) began_at: std::time::SystemTime,
    pub(super) link: Link,
    /// Somebody's voice or picture has come: "connecting" is over for good, also when they leave and another one rings.
    pub(super) has_flowed: bool,
    pub(super) remotes: BTreeMap<UserId, Remote>,
    /// Numbers of those who left; a room of guests keeps one small entry for each.
    gone: BTreeMap<UserId, RemoteReport>,
    pub(super) figures: Figures,
    previous: (Figures, Instant),
    pub(super) report: Report,
    pub(super) local_quality: NetworkQuality,
    pub(super) local_figures: ShownFigures,
    pub(super) own_server_quality: Option<ServerQuality>,
}

impl Membership {
    pub(super) fn new(id: MembershipId, what: What, me: UserId, room_name: String, room: RoomHandle) -> Self {
        Self {
            id,
            what,
            me,
            room_name,
            room,
            clock_from: None,
            entered_at: None,
            entered_after: None,
            began_at: std::time::SystemTime::now(),
            link: Link::Connecting,
            has_flowed: false,
            remotes: BTreeMap::new(),
            gone: BTreeMap::new(),
            figures: Figures::default(),
            previous: (Figures::default(), Instant::now()),
            report: Report::default(),
            local_quality: NetworkQuality::Unknown,
            local_figures: ShownFigures::default(),
            own_server_quality: None,
        }
    }

    pub(super) fn is_call(&self, call: &CallId) -> bool {
        matches!(&self.what, What::Call(own) if own == call)
    }

    pub(super) fn command(&self, command: RoomCommand) {
        self.room.command(command);
    }

    /// Media may leave; voice and picture are clocked from `from`.
    pub(super) fn permit(&mut self, from: Instant) {
        self.clock_from = Some(from);
        self.began_at = std::time::SystemTime::now();
        self.room.command(RoomCommand::Permit);
    }

    /// Whether the call or room has begun: before that it is only prepared.
    pub(super) fn has_begun(&self) -> bool {
        self.clock_from.is_some()
    }

    /// Names in the order of ids; those who are not in the list keep their tile for a while.
    pub(super) fn set_members(&mut self, members: &[(UserId, Member)]) {
        for (user, remote) in &mut self.remotes {
            if !members.iter().any(|(known, _)| known == user) {
                (remote.present, remote.voice, remote.picture) = (false, false, false);
            }
        }
        for (user, member) in members {
            let remote = self.remotes.entry(user.clone()).or_default();
            // The list may be older than the call plane's word that they left.
            if !remote.leave_told {
                (remote.present, remote.voice, remote.picture) = (true, member.voice, member.picture);
                remote.left = None;
            }
        }
    }

    pub(super) fn end_stream(&mut self, sid: &str) {
        for remote in self.remotes.values_mut() {
            remote.end_streams(|stream| stream.sid == sid);
        }
    }

    pub(super) fn next_tile_deadline(&self) -> Option<Instant> {
        self.remotes.values().filter_map(|remote| remote.left).map(|(_, at)| at + LEFT_TILE_TIMEOUT).min()
    }

    pub(super) fn drop_old_tiles(&mut self, now: Instant) {
        let gone = &mut self.gone;
        self.remotes.retain(|user, remote| {
            let stays = remote.left.is_none_or(|(_, at)| at + LEFT_TILE_TIMEOUT > now);
            if !stays {
                gone.insert(user.clone(), remote.past.clone());
            }
            stays
        });
    }

    /// Takes a second's counters.
    pub(super) fn take_figures(&mut self, figures: Figures) {
        self.figures = figures;
        let sum = |pick: fn(&crate::room::StreamFigures) -> u64| self.figures.inbound.values().map(pick).sum();
        self.report.packets_received = sum(|s| s.packets);
        self.report.bytes_received = sum(|s| s.bytes);
        self.report.packets_lost = self.figures.inbound.values().map(|s| s.lost).sum();
        self.report.packets_sent = self.figures.outbound.packets;
        self.report.bytes_sent = self.figures.outbound.bytes;
        self.report.send_loss = self.figures.outbound_loss;
        self.report.round_trip_ms = self.figures.round_trip.map(|seconds| seconds * 1000.0);
    }

    /// Rates everybody over the time since the last rating.
    pub(super) fn rate(&mut self, now: Instant) {
        let figures = self.figures.clone();
        let seconds = now.saturating_duration_since(self.previous.1).as_secs_f32().max(0.1);
        let trip = figures.round_trip.unwrap_or(0.0) as f32 * 1000.0;
        let (mut received, mut lost) = (0, 0);
        for remote in self.remotes.values_mut() {
            // Over the streams of now: one that is over takes nothing away from the others.
            let streams = || remote.streams.iter().filter_map(|s| figures.inbound.get(&s.ssrc));
            let before = || remote.streams.iter().filter_map(|s| self.previous.0.inbound.get(&s.ssrc));
            let packets = |s: &crate::room::StreamFigures| s.packets;
            let came = streams().map(packets).sum::<u64>().saturating_sub(before().map(packets).sum());
            let gone = streams().map(|s| s.lost).sum::<i64>() - before().map(|s| s.lost).sum::<i64>();
            let gone = gone.max(0) as u64;
            let bytes = streams().map(|s| s.bytes).sum::<u64>().saturating_sub(before().map(|s| s.bytes).sum());
            let jitter = streams().map(|s| s.jitter).fold(0.0, f64::max) as f32 * 1000.0;
            (received, lost) = (received + came, lost + gone);
            let loss = share(gone, came);
            let bits_per_second = (bytes as f32 * 8.0 / seconds) as u32;
            remote.figures = ShownFigures { loss, round_trip_ms: trip, jitter_ms: jitter, bits_per_second };
            // What has only just begun may still be on its way.
            let was_due = std::mem::replace(&mut remote.due, remote.present && (remote.voice || remote.picture));
            let own = match (came, remote.due) {
                (0, true) if was_due => NetworkQuality::Down,
                (0, _) => NetworkQuality::Unknown,
                (_, _) => crate::quality::rate(loss, trip, jitter),
            };
            let server = remote.server_quality.map_or(NetworkQuality::Unknown, crate::quality::of_server);
            remote.quality = Some(crate::quality::worse(own, server));
        }
        let jitter = figures.outbound_jitter as f32 * 1000.0;
        let up = match figures.round_trip {
            None => NetworkQuality::Unknown,
            Some(_) => crate::quality::rate(figures.outbound_loss as f32, trip, jitter),
        };
        let down = if received == 0 {
            NetworkQuality::Unknown
        } else {
            crate::quality::rate(share(lost, received), trip, 0.0)
        };
        let server = self.own_server_quality.map_or(NetworkQuality::Unknown, crate::quality::of_server);
        self.local_quality = match self.link {
            Link::Reconnecting => NetworkQuality::Down,
            Link::Connecting | Link::Up => crate::quality::worse(crate::quality::worse(up, down), server),
        };
        let sent = figures.outbound.bytes.saturating_sub(self.previous.0.outbound.bytes);
        self.local_figures = ShownFigures {
            loss: figures.outbound_loss as f32,
            round_trip_ms: trip,
            jitter_ms: jitter,
            bits_per_second: (sent as f32 * 8.0 / seconds) as u32,
        };
        self.previous = (figures, now);
    }

    /// The numbers so far.
    pub(super) fn full_report(&self) -> Report {
        let mut report = self.report.clone();
        for (user, remote) in &self.remotes {
            let frames = |kind| {
                let of_kind = remote.streams.iter().filter(move |s| s.kind == kind);
                of_kind.map(|s| s.road.frames.load(Ordering::Relaxed)).sum::<u64>()
            };
            let jitter = remote.receiver.as_ref().map(|receiver| receiver.stats()).unwrap_or_default();
            let remote = RemoteReport {
                audio_level: if remote.receiver.is_some() { remote.level() } else { remote.past.audio_level },
                audio_packets: remote.past.audio_packets + frames(Kind::Voice),
                video_frames: remote.past.video_frames + frames(Kind::Picture),
                concealed_ms: remote.past.concealed_ms + jitter.concealed_samples / 48,
                audio_delay_ms: u64::try_from(jitter.delay.as_millis()).unwrap_or(u64::MAX),
            };
            report.remotes.insert(user.clone(), remote);
        }
        report.remotes.extend(self.gone.iter().map(|(user, remote)| (user.clone(), remote.clone())));
        report
    }
}

fn share(lost: u64, received: u64) -> f32 {
    if lost + received == 0 { 0.0 } else { lost as f32 / (lost + received) as f32 }
}
