//! The one task that owns everything the engine knows.
//!
//! ```text
//! requests ----.                                     .--> snapshot, levels, events
//! call socket --+--> one loop: CallSession, Studio, --+--> call socket
//! room events --+    memberships, own choices         +--> room commands
//! devices -----'                                     '--> devices
//! ```

mod calls;
mod ending;
mod entering;
mod group;
mod membership;
mod pulse;
mod rooms;
mod view;

use crate::api::{
    Answer, Ended, Intent, Levels, Refusal, Reported, Session, Snapshot, VideoEncoderParams, VideoRenderParams,
};
use crate::call_socket::{CallSocket, SocketInput};
use crate::engine::{EngineConfig, Pictures, Request};
use crate::incoming::IncomingEvent;
use crate::outgoing::OutgoingEvent;
use crate::report::Report;
use crate::room::{MembershipId, RoomEvent};
use crate::studio::{Choices, DEVICE_EVENT_CAPACITY, Studio};
use call::CallSession;
use calls::Waiting;
use media::picture::DecodingSink;
use media::{DeviceEvent, DeviceKind, DeviceList, FrameSink, I420, Picture, PictureId};
use membership::Membership;
use protocol::{CallRecord, Event, ExitReason, RequestId, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Events of rooms and roads that wait for the core. Full: sessions wait, their peer connections drop events.
const EVENT_CAPACITY: usize = 256;

pub(crate) type Reply = oneshot::Sender<Result<Answer, Refusal>>;

/// A refusal with the code's number.
pub(crate) fn refuse(code: protocol::Code, message: impl Into<String>) -> Refusal {
    Refusal { code: code.number(), message: message.into() }
}

pub(crate) fn own_refusal(refusal: &protocol::Refusal) -> Refusal {
    Refusal { code: refusal.code, message: refusal.message.clone() }
}

/// A signed-in user.
struct SignedIn {
    calls: CallSession,
    server: url::Url,
    /// None while the server refuses the ticket.
    socket: Option<CallSocket>,
    /// Whoever waits for the first welcome.
    waiting: Option<Reply>,
    /// The first attempt has this long.
    until: Option<Instant>,
    welcomed: bool,
    /// The last calls, the newest first.
    recent: Vec<CallRecord>,
    /// They may have changed since they were read.
    recent_is_old: bool,
}

/// Everything.
pub(crate) struct Core {
    config: EngineConfig,
    /// The same moment on both clocks.
    began: (Instant, SystemTime),
    choices: Choices,
    microphone_wanted: bool,
    camera_wanted: bool,
    /// How people's pictures are to be shown, where somebody has said it.
    renders: BTreeMap<UserId, VideoRenderParams>,
    session: Session,
    signed_in: Option<SignedIn>,
    waiting: BTreeMap<RequestId, Waiting>,
    studio: Studio,
    /// The room of the present call or room.
    membership: Option<Membership>,
    /// Those that are saying goodbye.
    leaving: BTreeMap<MembershipId, Membership>,
    next_membership: u64,
    next_picture: u32,
    /// When the local user accepted; of the call that begins.
    accepted_at: Option<Instant>,
    ended: Option<Ended>,
    /// An administrator put this user out of the room, says the call plane.
    put_out: Option<(ExitReason, Option<UserId>)>,
    devices: DeviceList,
    device_states: BTreeMap<DeviceKind, media::DeviceState>,
    screen: watch::Sender<Arc<dyn FrameSink>>,
    snapshot: watch::Sender<Snapshot>,
    levels: watch::Sender<Levels>,
    events: broadcast::Sender<Reported>,
    last_report: Report,
    room_tx: mpsc::Sender<(MembershipId, RoomEvent)>,
    incoming_tx: mpsc::Sender<IncomingEvent>,
    outgoing_tx: mpsc::Sender<OutgoingEvent>,
}

/// What the core listens to.
struct Inboxes {
    rooms: mpsc::Receiver<(MembershipId, RoomEvent)>,
    incoming: mpsc::Receiver<IncomingEvent>,
    outgoing: mpsc::Receiver<OutgoingEvent>,
    devices: mpsc::Receiver<DeviceEvent>,
    lists: mpsc::Receiver<DeviceList>,
}

/// Shows nothing, until a screen is set.
struct NoScreen;

impl FrameSink for NoScreen {
    fn show(&self, _: PictureId, _: Picture) {}
    fn end(&self, _: PictureId) {}
    fn wants_keyframe(&self, _: PictureId) -> bool {
        false
    }
}

/// Decodes for a screen that cannot.
struct Decoding {
    decoder: DecodingSink,
    screen: Arc<dyn FrameSink>,
}

impl FrameSink for Decoding {
    fn show(&self, id: PictureId, picture: Picture) {
        self.decoder.show(id, picture);
    }
    fn end(&self, id: PictureId) {
        self.decoder.end(id);
        self.screen.end(id);
    }
    fn wants_keyframe(&self, id: PictureId) -> bool {
        self.decoder.wants_keyframe(id) | self.screen.wants_keyframe(id)
    }
}

/// Runs until the last handle is dropped.
pub(crate) async fn run(
    config: EngineConfig,
    mut requests: mpsc::Receiver<Request>,
    snapshot: watch::Sender<Snapshot>,
    levels: watch::Sender<Levels>,
    events: broadcast::Sender<Reported>,
) {
    let (room_tx, rooms) = mpsc::channel(EVENT_CAPACITY);
    let (incoming_tx, incoming) = mpsc::channel(EVENT_CAPACITY);
    let (outgoing_tx, outgoing) = mpsc::channel(EVENT_CAPACITY);
    let (device_tx, devices) = mpsc::channel(DEVICE_EVENT_CAPACITY);
    // The newest list is repeated by the next change; a full channel means that the core is stuck.
    let (list_tx, lists) = mpsc::channel(4);
    let watcher = config.watch_devices.then(|| {
        media::devices::Watcher::start(move |list| {
            let _ = list_tx.try_send(list);
        })
    });
    if let Some(Err(error)) = &watcher {
        tracing::warn!(%error, "nobody watches the devices");
    }
    let screen = watch::channel(Arc::new(NoScreen) as Arc<dyn FrameSink>).0;
    let mut core = Core {
        choices: Choices {
            microphone: config.microphone.clone(),
            speaker: config.speaker.clone(),
            camera: config.camera.clone(),
            processing: config.processing,
            encoder: VideoEncoderParams::default(),
        },
        config,
        began: (Instant::now(), SystemTime::now()),
        microphone_wanted: true,
        camera_wanted: true,
        renders: BTreeMap::new(),
        session: Session::SignedOut { refused: None },
        signed_in: None,
        waiting: BTreeMap::new(),
        studio: Studio::new(screen.subscribe(), device_tx),
        membership: None,
        leaving: BTreeMap::new(),
        next_membership: 1,
        next_picture: 1,
        accepted_at: None,
        ended: None,
        put_out: None,
        devices: DeviceList::default(),
        device_states: BTreeMap::new(),
        screen,
        snapshot,
        levels,
        events,
        last_report: Report::default(),
        room_tx,
        incoming_tx,
        outgoing_tx,
    };
    let mut inboxes = Inboxes { rooms, incoming, outgoing, devices, lists };
    core.live(&mut requests, &mut inboxes).await;
    core.shut_down().await;
    // The thread joins a device query that may be under way.
    let _ = tokio::task::spawn_blocking(move || drop(watcher)).await;
}

impl Core {
    async fn live(&mut self, requests: &mut mpsc::Receiver<Request>, inboxes: &mut Inboxes) {
        let mut pulse = pulse::Pulse::new();
        loop {
            self.follow_session().await;
            self.show();
            let wake = self.next_deadline();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.handle_request(request).await,
                    None => return,
                },
                input = next_socket_input(&mut self.signed_in) => self.handle_socket(input).await,
                Some((id, event)) = inboxes.rooms.recv() => self.handle_room(id, event).await,
                Some(event) = inboxes.incoming.recv() => self.handle_incoming(event),
                Some(event) = inboxes.outgoing.recv() => self.handle_outgoing(event),
                Some(event) = inboxes.devices.recv() => self.handle_device(event),
                Some(list) = inboxes.lists.recv() => self.handle_list(list),
                beat = pulse.beat() => self.handle_beat(beat),
                () = sleep_until(wake) => self.handle_deadline().await,
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let calls = self.signed_in.as_ref().and_then(|s| s.calls.poll_timeout().map(|(at, _)| at));
        let sign_in = self.signed_in.as_ref().and_then(|s| s.until);
        let tiles = self.membership.as_ref().and_then(Membership::next_tile_deadline);
        [calls, sign_in, tiles, self.entering_deadline()].into_iter().flatten().min()
    }

    async fn handle_deadline(&mut self) {
        let now = Instant::now();
        if let Some(membership) = &mut self.membership {
            membership.drop_old_tiles(now);
        }
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.calls.handle_timeout(now);
            if signed_in.until.is_some_and(|until| until <= now) {
                self.give_up_sign_in(refuse(protocol::Code::Signalling, "The server cannot be reached.")).await;
            }
        }
        if self.entering_deadline().is_some_and(|until| until <= now) {
            self.give_up_entering().await;
        }
    }

    async fn handle_request(&mut self, request: Request) {
        match request {
            Request::Intent(intent, reply) => self.handle_intent(*intent, reply).await,
            Request::Screen(screen) => self.set_screen(screen),
            Request::Report(reply) => {
                let _ = reply.send(self.report_now());
            }
        }
    }

    async fn handle_intent(&mut self, intent: Intent, reply: Reply) {
        match intent {
            Intent::SignIn { server, user, ticket } => self.sign_in(server, user, ticket, reply).await,
            Intent::SignOut => {
                self.sign_out().await;
                let _ = reply.send(Ok(Answer::Done));
            }
            Intent::Call { callees, media, user_data, timeout, room } => {
                self.place_call(callees, media, user_data, timeout, room, reply);
            }
            Intent::Accept { camera } => self.accept(camera, reply),
            Intent::Reject => self.ask(reply, |calls, now| calls.reject(now)),
            Intent::Ignore => self.ask(reply, |calls, now| calls.ignore(now)),
            Intent::Hangup => self.hangup(reply),
            Intent::InviteUser { users, user_data, timeout, add_person } => {
                self.invite(users, user_data, timeout, add_person, reply);
            }
            Intent::SwitchCallMediaType(media) => self.ask(reply, |calls, _| calls.switch_media(media)),
            Intent::SetSelfInfo(profile) => self.ask(reply, |calls, _| calls.set_self_info(profile)),
            Intent::EnableMultiDevice(enable) => self.ask(reply, |calls, _| calls.enable_multi_device(enable)),
            Intent::DeleteRecordCalls(calls) => self.ask(reply, |session, _| session.delete_records(calls)),
            Intent::QueryRecentCalls(filter) => self.query_recent(filter, reply),
            Intent::JoinCall { call, camera } => self.join_call(call, camera, reply),
            Intent::RenewTicket(ticket) => self.renew_ticket(ticket, reply),
            Intent::EnterRoom { room, camera, key } => self.enter_room(room, camera, key, reply),
            Intent::EnterRoomByToken { url, token, camera } => {
                let answer = self.enter_by_token(url, token, camera);
                let _ = reply.send(answer);
            }
            Intent::ExitRoom => {
                let _ = reply.send(self.exit_room().await);
            }
            Intent::Microphone(on) => {
                self.microphone_wanted = on;
                self.switch_microphone();
                let _ = reply.send(Ok(Answer::Done));
            }
            Intent::Camera(on) => {
                let _ = reply.send(self.want_camera(on).await);
            }
            Intent::SelectMicrophone(choice) => self.select(DeviceKind::Microphone, choice, reply),
            Intent::SelectSpeaker(choice) => self.select(DeviceKind::Speaker, choice, reply),
            Intent::SelectCamera(choice) => self.select(DeviceKind::Camera, choice, reply),
            Intent::VideoEncoderParams(params) => {
                self.choices.encoder = params;
                self.reopen_camera().await;
                let _ = reply.send(Ok(Answer::Done));
            }
            Intent::VideoRenderParams { user, params } => {
                self.renders.insert(user, params);
                let _ = reply.send(Ok(Answer::Done));
            }
            Intent::DismissEnded => {
                self.ended = None;
                let _ = reply.send(Ok(Answer::Done));
            }
        }
    }

    fn set_screen(&mut self, screen: Arc<dyn FrameSink>) {
        let screen = match self.config.pictures {
            Pictures::Compressed => screen,
            Pictures::Decoded => {
                let shown = screen.clone();
                match DecodingSink::start(move |id, picture: I420| shown.show(id, Picture::Raw(picture))) {
                    Ok(decoder) => Arc::new(Decoding { decoder, screen }),
                    Err(error) => {
                        tracing::error!(%error, "no thread to decode on");
                        screen
                    }
                }
            }
        };
        self.screen.send_replace(screen);
    }

    fn select(&mut self, kind: DeviceKind, choice: media::DeviceChoice, reply: Reply) {
        self.studio.select(kind, &choice);
        match kind {
            DeviceKind::Microphone => self.choices.microphone = choice,
            DeviceKind::Speaker => self.choices.speaker = choice,
            DeviceKind::Camera => self.choices.camera = choice,
        }
        self.report_devices();
        let _ = reply.send(Ok(Answer::Done));
    }

    fn handle_device(&mut self, event: DeviceEvent) {
        if !self.studio.is_open(event.kind) {
            // Said before it was closed, and heard after.
            return;
        }
        if let media::DeviceState::Failed { code, message } | media::DeviceState::Lost { code, message } = &event.state
        {
            self.report(Event::OnError { code: *code, message: message.clone() });
        }
        self.device_states.insert(event.kind, event.state);
    }

    fn handle_list(&mut self, list: DeviceList) {
        self.devices = list;
        self.report_devices();
    }

    fn new_picture(&mut self) -> PictureId {
        self.next_picture += 1;
        PictureId(self.next_picture)
    }

    /// Reports an event; nobody listening is no fault.
    fn report(&self, event: Event) {
        tracing::debug!(name = ?std::mem::discriminant(&event), "event");
        let _ = self.events.send(Reported { event, at: SystemTime::now() });
    }

    async fn shut_down(&mut self) {
        self.sign_out().await;
        self.studio.close().await;
    }
}

async fn next_socket_input(signed_in: &mut Option<SignedIn>) -> SocketInput {
    match signed_in {
        Some(SignedIn { socket: Some(socket), .. }) => socket.next().await,
        Some(_) | None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
