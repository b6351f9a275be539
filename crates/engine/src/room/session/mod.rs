//! The body of one membership: obeys the brain, feeds it, and carries messages between signal, peer connection and core.

mod ended;
mod sending;

use super::attempt::{self, Attempt, Joined};
use super::roster::{Change, Roster};
use super::signal::{Request, Response, ResumeError, Signal, SignalInput, SignalInputs, description};
use super::transport::{Kind, RemoteTrack, Transport, TransportEvent};
use super::{Denied, Line, Reports, RoomCommand, RoomConfig, RoomEvent, ServerQuality, leave_reason};
use livekit_protocol as proto;
use room::client::{Client, Output, Told};
use sending::{ClearInto as _, Own};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// How often it is looked whether remote media moves. A tile may say "reconnecting" this much late.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Looks between two reports of figures.
const LOOKS_PER_REPORT: u32 = 4;
/// A socket that does not close is left to the operating system.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// TRTC `ERR_TRTC_INVALID_USER_SIG`: the server refused the token.
const ERR_TOKEN: i32 = -3320;
/// TRTC `ERR_TRTC_ROOM_ENTER_FAIL`.
const ERR_ENTER: i32 = -3301;

/// A remote track whose owner the server has not named yet, or that is watched for silence.
struct Watched {
    identity: String,
    packets: Arc<AtomicU64>,
    seen: u64,
}

pub(super) struct Session {
    config: RoomConfig,
    reports: Reports,
    brain: Client,
    started_at: Instant,
    signal: Option<Signal>,
    inputs: Option<SignalInputs>,
    transport: Option<Transport>,
    transport_events: Option<mpsc::Receiver<TransportEvent>>,
    /// One at most; off the loop, because a person may leave meanwhile.
    attempt: JoinSet<Attempt>,
    own: BTreeMap<Kind, Own>,
    /// Lines that no track has been made for yet.
    lines: BTreeMap<Kind, (bool, watch::Sender<Option<Line>>)>,
    paused: bool,
    /// The room was entered once: entering it again needs a fresh token.
    joined: bool,
    /// The path works: what is sent before it does is lost, and a lost first keyframe costs the first picture.
    connected: bool,
    /// Said already that something may not be received.
    told_deaf: bool,
    roster: Roster,
    /// Media that came before its owner was announced.
    unowned: Vec<RemoteTrack>,
    watched: BTreeMap<String, Watched>,
    looks: u32,
}

impl Session {
    pub(super) fn new(
        config: RoomConfig,
        reports: Reports,
        voice: watch::Sender<Option<Line>>,
        picture: watch::Sender<Option<Line>>,
    ) -> Self {
        let lines =
            BTreeMap::from([(Kind::Voice, (config.voice_on, voice)), (Kind::Picture, (config.picture_on, picture))]);
        Self {
            brain: Client::enter(Duration::ZERO, config.purpose, config.times),
            started_at: Instant::now(),
            config,
            reports,
            signal: None,
            inputs: None,
            transport: None,
            transport_events: None,
            attempt: JoinSet::new(),
            own: BTreeMap::new(),
            lines,
            paused: false,
            joined: false,
            connected: false,
            told_deaf: false,
            roster: Roster::default(),
            unowned: Vec::new(),
            watched: BTreeMap::new(),
            looks: 0,
        }
    }

    fn now(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Runs until the membership is over, or nobody listens any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<RoomCommand>) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            self.obey().await;
            if self.brain.is_over() {
                return;
            }
            let wake = self.brain.poll_timeout().map(|at| tokio::time::Instant::from_std(self.started_at + at));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command).await,
                    None => return self.disconnect().await,
                },
                Some(input) = next_input(&mut self.inputs) => self.handle_input(input).await,
                Some(event) = next_event(&mut self.transport_events) => self.handle_transport(event).await,
                Some(Ok(attempt)) = self.attempt.join_next() => self.handle_attempt(attempt).await,
                () = sleep_until(wake) => self.brain.handle_timeout(self.now()),
                _ = look.tick() => self.look().await,
            }
        }
    }

    async fn report(&self, event: RoomEvent) {
        self.reports.send(event).await;
    }

    // ---- what the brain wants ----

    async fn obey(&mut self) {
        while let Some(output) = self.brain.poll_output() {
            match output {
                Output::Join => self.begin_join().await,
                Output::Resume => self.begin_resume(),
                Output::RestartIce => self.restart_ice().await,
                Output::PauseSending => self.pause(true).await,
                Output::ResumeSending => self.pause(false).await,
                Output::CloseDevices => {
                    self.close_lines();
                    self.report(RoomEvent::CloseDevices).await;
                }
                Output::SendLeave => self.send_leave().await,
                Output::Disconnect => self.disconnect().await,
                Output::Event(happened) => self.report(RoomEvent::Happened(happened)).await,
            }
        }
    }

    async fn begin_join(&mut self) {
        // The newest token: the server may have renewed the one we came with.
        if let Some(signal) = &self.signal {
            self.config.token = signal.token();
        }
        self.close_lines();
        self.drop_connection().await;
        let (url, token, addresses) =
            (self.config.url.clone(), self.config.token.clone(), self.config.addresses.clone());
        if self.joined && self.config.renewable {
            let (reply, access) = oneshot::channel();
            self.report(RoomEvent::AccessWanted(reply)).await;
            self.attempt.spawn(attempt::rejoin(access, addresses));
        } else {
            self.attempt.spawn(attempt::join(url, token, addresses));
        }
    }

    fn begin_resume(&mut self) {
        match &self.signal {
            Some(signal) => {
                self.attempt.spawn(attempt::resume(signal.clone()));
            }
            None => self.brain.handle_resume_failed(self.now(), true),
        }
    }

    async fn restart_ice(&mut self) {
        if let Some(transport) = &mut self.transport
            && let Err(error) = transport.restart_ice().await
        {
            tracing::debug!(%error, "no ICE restart");
        }
        self.negotiate().await;
    }

    async fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.open_lines().await;
    }

    async fn send_leave(&mut self) {
        match &self.signal {
            Some(signal) if self.inputs.is_some() => {
                let leave = proto::LeaveRequest {
                    reason: proto::DisconnectReason::ClientInitiated as i32,
                    action: proto::leave_request::Action::Disconnect as i32,
                    ..Default::default()
                };
                signal.send(Request::Leave(leave)).await;
            }
            _ => self.brain.handle_leave_acknowledged(self.now()),
        }
    }

    async fn disconnect(&mut self) {
        self.attempt.abort_all();
        self.close_lines();
        self.drop_connection().await;
    }

    async fn drop_connection(&mut self) {
        self.own.clear_into(&mut self.lines);
        self.connected = false;
        self.inputs = None;
        self.transport_events = None;
        for sid in self.watched.keys().cloned().collect::<Vec<_>>() {
            self.end_track(&sid).await;
        }
        let (signal, transport) = (self.signal.take(), self.transport.take());
        // Off the loop: a half-open socket takes its time, and nobody waits for it.
        tokio::spawn(async move {
            if let Some(transport) = transport {
                transport.close().await;
            }
            if let Some(signal) = signal {
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, signal.close()).await;
            }
        });
    }

    // ---- attempts ----

    async fn handle_attempt(&mut self, attempt: Attempt) {
        match attempt {
            Attempt::Join(Ok(joined)) => self.handle_joined(*joined).await,
            Attempt::Join(Err(error)) => {
                tracing::debug!(%error, "join");
                use super::signal::JoinError;
                let refusal = match error {
                    JoinError::Refused(_) => Some(ERR_TOKEN),
                    JoinError::NotAllowed(code) => Some(code),
                    JoinError::TooOld => Some(ERR_ENTER),
                    JoinError::Unreachable => None,
                };
                self.brain.handle_join_failed(self.now(), refusal);
            }
            Attempt::Resume(Ok(())) => self.handle_resumed().await,
            Attempt::Resume(Err(error)) => {
                tracing::debug!(%error, "resume");
                self.brain.handle_resume_failed(self.now(), error == ResumeError::Unknown);
            }
        }
    }

    async fn handle_joined(&mut self, joined: Joined) {
        let Joined { signal, inputs, transport, transport_events, response } = joined;
        self.joined = true;
        self.signal = Some(signal);
        self.inputs = Some(inputs);
        self.transport = Some(transport);
        self.transport_events = Some(transport_events);
        for sid in self.roster.clear() {
            self.end_track(&sid).await;
        }
        for info in &response.other_participants {
            self.roster.update(info);
        }
        let others = self.roster.members().into_iter().map(|member| member.identity).collect();
        self.brain.handle_joined(self.now(), others);
        self.obey().await;
        self.tell_members().await;
        let permission = response.participant.and_then(|participant| participant.permission);
        if permission.is_some_and(|permission| !permission.can_subscribe) {
            self.tell_deaf().await;
        }
        self.publish().await;
    }

    async fn handle_resumed(&mut self) {
        let (Some(signal), Some(transport)) = (self.signal.clone(), &mut self.transport) else { return };
        transport.forget_offer();
        let describe = |kind: &str, sdp: Option<String>| sdp.map(|sdp| description(kind, sdp));
        let sync = proto::SyncState {
            // Nothing to change, and yet named: without it LiveKit's server 1.11.0 dies of the missing message.
            subscription: Some(proto::UpdateSubscription { subscribe: true, ..Default::default() }),
            offer: describe("offer", transport.local_description().await),
            answer: describe("answer", transport.remote_description().await),
            publish_tracks: self
                .own
                .values()
                .filter_map(|own| {
                    let track = own.published.clone()?;
                    Some(proto::TrackPublishedResponse { cid: own.track.cid().to_owned(), track: Some(track) })
                })
                .collect(),
            ..Default::default()
        };
        signal.send(Request::SyncState(sync)).await;
        signal.resumed().await;
        self.brain.handle_resumed(self.now());
        // An offer that the cut swallowed is made again; without one it is a no-op for the server.
        self.negotiate().await;
    }

    // ---- signal ----

    async fn handle_input(&mut self, input: SignalInput) {
        match input {
            SignalInput::Message(message) => self.handle_message(*message).await,
            SignalInput::Closed => self.brain.handle_signal_lost(self.now()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the wire's list grows; what is not named here changes nothing")]
    async fn handle_message(&mut self, message: Response) {
        match message {
            Response::Answer(answer) => self.handle_answer(answer.sdp).await,
            Response::Trickle(trickle) => {
                if let Some(transport) = &mut self.transport
                    && let Err(error) = transport.remote_candidate(&trickle.candidate_init).await
                {
                    tracing::debug!(%error, "a candidate of the server");
                }
            }
            Response::MediaSectionsRequirement(wanted) => self.handle_sections(&wanted).await,
            Response::Update(update) => self.handle_update(&update.participants).await,
            Response::TrackPublished(published) => {
                if let Some(own) = self.own.values_mut().find(|own| own.track.cid() == published.cid) {
                    own.published = published.track;
                }
                self.open_lines().await;
            }
            Response::TrackUnpublished(ended) => self.handle_unpublished(&ended.track_sid).await,
            Response::RequestResponse(answer) => self.handle_request_answer(&answer).await,
            Response::SubscriptionPermissionUpdate(update) if !update.allowed => self.tell_deaf().await,
            Response::Leave(leave) => {
                let told = Told::from_leave(&leave);
                tracing::info!(?told, "the room says goodbye");
                self.brain.handle_told(self.now(), told);
            }
            Response::ConnectionQuality(update) => self.handle_quality(&update.updates).await,
            Response::SpeakersChanged(changed) => {
                let named = changed.speakers.iter().filter_map(|speaker| {
                    let identity = self.roster.identity(&speaker.sid)?;
                    Some((identity.to_owned(), if speaker.active { speaker.level } else { 0.0 }))
                });
                let named = named.collect();
                self.report(RoomEvent::Speakers(named)).await;
            }
            // The server asks for silence, which a person here has not: the own switch stays what it is.
            Response::Mute(_) => {}
            _ => {}
        }
    }

    async fn tell_deaf(&mut self) {
        if !std::mem::replace(&mut self.told_deaf, true) {
            self.report(RoomEvent::Denied(Denied::Receive)).await;
        }
    }

    async fn handle_answer(&mut self, sdp: String) {
        let Some(transport) = &mut self.transport else { return };
        match transport.answer(sdp).await {
            Ok(again) => {
                self.open_lines().await;
                if again {
                    self.negotiate().await;
                }
            }
            Err(error) => tracing::warn!(%error, "an answer of the server"),
        }
    }

    /// Zero of both still wants an offer: free sections get their tracks by its answer.
    async fn handle_sections(&mut self, wanted: &proto::MediaSectionsRequirement) {
        if let Some(transport) = &self.transport {
            for (kind, sections) in [(Kind::Voice, wanted.num_audios), (Kind::Picture, wanted.num_videos)] {
                // A room has 9 people in a call; a number beyond reason is not obeyed.
                if let Err(error) = transport.make_room(kind, sections.min(64)).await {
                    tracing::warn!(%error, "no section to receive");
                }
            }
        }
        self.negotiate().await;
    }

    async fn negotiate(&mut self) {
        let (Some(signal), Some(transport)) = (self.signal.clone(), &mut self.transport) else { return };
        match transport.offer().await {
            Ok(Some(sdp)) => signal.send_offer(sdp).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "no offer"),
        }
    }

    async fn handle_update(&mut self, participants: &[proto::ParticipantInfo]) {
        let own_sid_is_unknown = |info: &&proto::ParticipantInfo| !self.is_me(info);
        let infos: Vec<_> = participants.iter().filter(own_sid_is_unknown).cloned().collect();
        for info in &infos {
            let Change { entered, left, ended_tracks } = self.roster.update(info);
            let now = self.now();
            if let Some(identity) = entered {
                self.brain.handle_remote_entered(now, identity);
            }
            if let Some(identity) = left {
                self.brain.handle_remote_left(&identity, leave_reason(info));
            }
            for sid in ended_tracks {
                self.end_track(&sid).await;
            }
        }
        let own = participants.iter().find(|info| self.is_me(info)).and_then(|info| info.permission.as_ref());
        if let Some(permission) = own {
            self.handle_permission(permission).await;
        }
        self.obey().await;
        self.tell_members().await;
        for track in std::mem::take(&mut self.unowned) {
            self.take_track(track).await;
        }
    }

    fn is_me(&self, info: &proto::ParticipantInfo) -> bool {
        self.signal.as_ref().is_some_and(|signal| signal.own_sid() == info.sid)
    }

    async fn tell_members(&mut self) {
        let members = self.roster.members();
        let now = self.now();
        for member in &members {
            self.brain.handle_expected(now, &member.identity, member.voice || member.picture);
        }
        self.report(RoomEvent::Members(members)).await;
    }

    async fn handle_quality(&mut self, updates: &[proto::ConnectionQualityInfo]) {
        let named = updates.iter().filter_map(|info| {
            let quality = match info.quality() {
                proto::ConnectionQuality::Excellent => ServerQuality::Excellent,
                proto::ConnectionQuality::Good => ServerQuality::Good,
                proto::ConnectionQuality::Poor => ServerQuality::Poor,
                proto::ConnectionQuality::Lost => ServerQuality::Lost,
            };
            let own = self.signal.as_ref().filter(|signal| signal.own_sid() == info.participant_sid);
            let other = || self.roster.identity(&info.participant_sid).map(str::to_owned);
            Some((own.map(Signal::own_identity).or_else(other)?, quality))
        });
        let named = named.collect();
        self.report(RoomEvent::Quality(named)).await;
    }

    // ---- peer connection ----

    async fn handle_transport(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::Path { down_since } => {
                let since = down_since.map(|at| at.saturating_duration_since(self.started_at));
                self.brain.handle_path(self.now(), since);
                if since.is_none() {
                    self.connected = true;
                    self.open_lines().await;
                }
            }
            TransportEvent::Candidate(candidate_init) => {
                if let Some(signal) = &self.signal {
                    let target = proto::SignalTarget::Publisher as i32;
                    let trickle = proto::TrickleRequest { candidate_init, target, r#final: false };
                    signal.send(Request::Trickle(trickle)).await;
                }
            }
            TransportEvent::Track(track) => self.take_track(track).await,
        }
    }

    async fn take_track(&mut self, track: RemoteTrack) {
        tracing::debug!(sid = %track.sid, kind = ?track.kind, codec = ?track.codec, "media arrives");
        let Some(identity) = self.roster.owner(&track.participant, &track.sid).map(str::to_owned) else {
            self.unowned.push(track);
            return;
        };
        let watched = Watched { identity: identity.clone(), packets: track.packets.clone(), seen: 0 };
        self.watched.insert(track.sid.clone(), watched);
        self.report(RoomEvent::Track { identity, track }).await;
    }

    async fn end_track(&mut self, sid: &str) {
        self.unowned.retain(|track| track.sid != sid);
        if self.watched.remove(sid).is_some() {
            self.report(RoomEvent::TrackEnded { sid: sid.to_owned() }).await;
        }
    }

    /// Looks whether media moves, and now and then at the counters.
    async fn look(&mut self) {
        let now = self.now();
        for watched in self.watched.values_mut() {
            let packets = watched.packets.load(Ordering::Relaxed);
            if std::mem::replace(&mut watched.seen, packets) != packets {
                self.brain.handle_heard(now, &watched.identity);
            }
        }
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS_PER_REPORT)
            && let Some(transport) = &self.transport
        {
            let figures = transport.figures().await;
            self.report(RoomEvent::Figures(figures)).await;
        }
    }
}

async fn next_input(inputs: &mut Option<SignalInputs>) -> Option<SignalInput> {
    Some(inputs.as_mut()?.next().await)
}

async fn next_event(events: &mut Option<mpsc::Receiver<TransportEvent>>) -> Option<TransportEvent> {
    events.as_mut()?.recv().await
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
