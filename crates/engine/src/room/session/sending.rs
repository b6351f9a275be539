//! What may leave: own tracks, their switches, and the lines that let their packets out.

use super::super::signal::Request;
use super::super::transport::{Kind, LocalTrack};
use super::super::{Denied, Line, Reports, RoomCommand, RoomEvent};
use super::Session;
use livekit_protocol as proto;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// One of our tracks.
pub(super) struct Own {
    pub(super) track: LocalTrack,
    /// The server's name for it, once published.
    pub(super) published: Option<proto::TrackInfo>,
    /// The server does not let us publish it.
    denied: bool,
    pub(super) on: bool,
    pub(super) line: watch::Sender<Option<Line>>,
}

impl Session {
    /// Announces our tracks and offers their sections.
    pub(super) async fn publish(&mut self) {
        let (Some(signal), Some(transport)) = (&self.signal, &self.transport) else { return };
        for (kind, (on, line)) in std::mem::take(&mut self.lines) {
            let track = match transport.publish(kind).await {
                Ok(track) => track,
                Err(error) => {
                    tracing::error!(%error, ?kind, "cannot publish");
                    self.lines.insert(kind, (on, line));
                    continue;
                }
            };
            signal.send(Request::AddTrack(add_track(&track, on))).await;
            tokio::spawn(watch_keyframes(track.clone(), self.reports.clone()));
            self.own.insert(kind, Own { track, published: None, denied: false, on, line });
        }
        self.negotiate().await;
    }

    pub(super) async fn handle_command(&mut self, command: RoomCommand) {
        match command {
            RoomCommand::Permit => {
                self.config.permitted = true;
                self.open_lines().await;
            }
            RoomCommand::Switch { kind, on } => self.switch(kind, on).await,
            RoomCommand::Exit => self.brain.handle_exit(self.now()),
            RoomCommand::DevicesClosed => self.brain.handle_devices_closed(self.now()),
        }
    }

    async fn switch(&mut self, kind: Kind, on: bool) {
        if let Some((wanted, _)) = self.lines.get_mut(&kind) {
            *wanted = on;
        }
        if let Some(own) = self.own.get_mut(&kind) {
            own.on = on;
            if let (Some(signal), Some(track)) = (&self.signal, &own.published) {
                let mute = proto::MuteTrackRequest { sid: track.sid.clone(), muted: !on };
                signal.send(Request::Mute(mute)).await;
            }
            if on && own.denied {
                self.report(RoomEvent::Denied(Denied::Send(kind))).await;
            }
        }
        self.open_lines().await;
    }

    /// The server refuses something; of interest is what we wanted to publish.
    pub(super) async fn handle_request_answer(&mut self, answer: &proto::RequestResponse) {
        let Some(proto::request_response::Request::AddTrack(request)) = &answer.request else { return };
        let Some(own) = self.own.values_mut().find(|own| own.track.cid() == request.cid) else { return };
        tracing::info!(reason = ?answer.reason(), kind = ?own.track.kind(), "the room refuses a track");
        own.denied = answer.reason() == proto::request_response::Reason::NotAllowed;
        if own.denied && own.on {
            let kind = own.track.kind();
            self.report(RoomEvent::Denied(Denied::Send(kind))).await;
        }
    }

    /// Opens the lines that may be open, and closes the others: the only place that lets media out.
    pub(super) async fn open_lines(&mut self) {
        let may = self.config.permitted && self.connected && !self.paused;
        for own in self.own.values() {
            let ready = may && own.on && own.published.is_some();
            let payload_type = if ready { own.track.payload_type().await } else { None };
            let line = payload_type.map(|payload_type| Line { track: own.track.clone(), payload_type });
            own.line.send_if_modified(|current| {
                let changed = current.is_some() != line.is_some();
                *current = line;
                changed
            });
        }
    }

    pub(super) fn close_lines(&mut self) {
        for own in self.own.values() {
            own.line.send_replace(None);
        }
    }
}

/// Gives the lines back for the next connection.
pub(super) trait ClearInto {
    fn clear_into(&mut self, lines: &mut BTreeMap<Kind, (bool, watch::Sender<Option<Line>>)>);
}

impl ClearInto for BTreeMap<Kind, Own> {
    fn clear_into(&mut self, lines: &mut BTreeMap<Kind, (bool, watch::Sender<Option<Line>>)>) {
        for (kind, own) in std::mem::take(self) {
            own.line.send_replace(None);
            lines.insert(kind, (own.on, own.line));
        }
    }
}

fn add_track(track: &LocalTrack, on: bool) -> proto::AddTrackRequest {
    let (name, kind, source) = match track.kind() {
        Kind::Voice => ("microphone", proto::TrackType::Audio, proto::TrackSource::Microphone),
        Kind::Picture => ("camera", proto::TrackType::Video, proto::TrackSource::Camera),
    };
    proto::AddTrackRequest {
        cid: track.cid().to_owned(),
        name: name.to_owned(),
        r#type: kind as i32,
        source: source as i32,
        muted: !on,
        // We send Opus with in-band FEC; RED would be negotiated and not sent.
        disable_red: true,
        ..Default::default()
    }
}

async fn watch_keyframes(track: LocalTrack, reports: Reports) {
    if track.kind() != Kind::Picture {
        return;
    }
    while track.keyframe_wanted().await.is_some() {
        tracing::debug!("somebody wants a keyframe");
        if !reports.send(RoomEvent::KeyframeWanted).await {
            return;
        }
    }
}
