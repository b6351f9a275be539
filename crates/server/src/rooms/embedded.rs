//! Rooms in this process, behind the trait: the worker does, the tokens remember, the listeners are told.

use super::{
    Admission, Blocked, Carrier, EVENT_CAPACITY, FinishedWhy, LeftWhy, Member, RoomEvent, RoomInfo, Rooms, RoomsError,
};
use crate::config::RoomRules;
use crate::rtc::{Command, Gone, Happened, Media, RoomOptions};
use crate::tokens::{Grants, Tokens};
use crate::twirp::Service;
use async_trait::async_trait;
use livekit_protocol as proto;
use parking_lot::Mutex;
use proto::DisconnectReason;
use room::server::{Act, Happening};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

/// Who asked for what is about to happen; LiveKit's messages have no place for names.
#[derive(Debug, Default)]
struct Notes {
    removals: BTreeMap<(String, String), Option<String>>,
    dismissals: BTreeMap<String, Option<String>>,
}

/// The embedded rooms.
#[derive(Clone, Debug)]
pub struct Embedded {
    media: Media,
    rules: RoomRules,
    tokens: Arc<Tokens>,
    events: broadcast::Sender<RoomEvent>,
    notes: Arc<Mutex<Notes>>,
    /// The task that passes news on; taken by the shutdown, which waits for the last of them.
    teller: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl From<Gone> for RoomsError {
    fn from(gone: Gone) -> Self {
        Self::Unavailable(gone.to_string())
    }
}

impl Embedded {
    /// Binds the UDP port (0 picks one) and starts the worker. Has to be called inside a runtime.
    pub fn start(media: SocketAddr, rules: RoomRules, tokens: Arc<Tokens>) -> anyhow::Result<Self> {
        let (media, happened) = Media::start(media, rules)?;
        let (events, _) = broadcast::channel(EVENT_CAPACITY);
        let embedded = Self { media, rules, tokens, events, notes: Arc::default(), teller: Arc::default() };
        let teller = tokio::spawn(tell(happened, embedded.events.clone(), embedded.notes.clone()));
        *embedded.teller.lock() = Some(teller);
        Ok(embedded)
    }

    async fn list_rooms(&self, rooms: Vec<String>) -> Result<Vec<RoomInfo>, RoomsError> {
        let found = self.media.ask(|reply| Command::List { rooms, reply }).await?;
        Ok(found.into_iter().map(|(room, people)| info(room, people)).collect())
    }
}

fn info(room: proto::Room, people: Vec<proto::ParticipantInfo>) -> RoomInfo {
    let members = people.into_iter().map(|person| Member { identity: person.identity, sid: person.sid });
    RoomInfo { room: room.name, members: members.collect() }
}

async fn tell(mut happened: mpsc::Receiver<Happened>, events: broadcast::Sender<RoomEvent>, notes: Arc<Mutex<Notes>>) {
    while let Some(Happened { room, what }) = happened.recv().await {
        let event = notes.lock().event(room, what);
        // Nobody listens: nobody is told.
        let _ = events.send(event);
    }
}

impl Notes {
    fn event(&mut self, room: String, what: Happening) -> RoomEvent {
        match what {
            Happening::Started { room: info } => RoomEvent::Started { room, info: info.into() },
            Happening::Joined { who } => RoomEvent::Joined { room, who: who.into() },
            Happening::Left { who, reason } => {
                let why = self.left(&room, &who.identity, reason);
                RoomEvent::Left { room, who: who.into(), why }
            }
            Happening::Published { who, track } => RoomEvent::Published { room, who: who.into(), track: track.into() },
            Happening::Unpublished { who, track } => {
                RoomEvent::Unpublished { room, who: who.into(), track: track.into() }
            }
            Happening::Muted { who, track } => RoomEvent::Muted { room, who: who.into(), track: track.into() },
            Happening::Permitted { who, can_publish } => RoomEvent::Permitted { room, who: who.into(), can_publish },
            Happening::Finished { room: info } => {
                let why = match self.dismissals.remove(&room) {
                    Some(by) => FinishedWhy::Dismissed { by },
                    None => FinishedWhy::Empty,
                };
                RoomEvent::Finished { room, info: info.into(), why }
            }
        }
    }

    fn left(&mut self, room: &str, identity: &str, reason: DisconnectReason) -> LeftWhy {
        let by = self.removals.remove(&(room.to_owned(), identity.to_owned())).flatten();
        match reason {
            DisconnectReason::ParticipantRemoved => LeftWhy::Removed { by },
            DisconnectReason::RoomDeleted => LeftWhy::Dismissed { by: self.dismissals.get(room).cloned().flatten() },
            DisconnectReason::DuplicateIdentity => LeftWhy::Replaced,
            DisconnectReason::ClientInitiated => LeftWhy::Own,
            DisconnectReason::SignalClose
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::MediaFailure
            | DisconnectReason::UnknownReason
            | DisconnectReason::ServerShutdown
            | DisconnectReason::StateMismatch
            | DisconnectReason::JoinFailure
            | DisconnectReason::Migration
            | DisconnectReason::RoomClosed
            | DisconnectReason::UserUnavailable
            | DisconnectReason::UserRejected
            | DisconnectReason::SipTrunkFailure
            | DisconnectReason::AgentError => LeftWhy::Lost,
        }
    }
}

#[async_trait]
impl Carrier for Embedded {
    fn rooms(&self) -> Arc<dyn Rooms> {
        Arc::new(self.clone())
    }

    fn router(&self) -> axum::Router {
        let signal = crate::signal::router(self.media.clone(), Arc::clone(&self.tokens), self.rules.join_rate);
        signal.merge(crate::twirp::router(Service {
            rooms: self.rooms(),
            media: self.media.clone(),
            tokens: Arc::clone(&self.tokens),
            remote_unmute: self.rules.remote_unmute,
        }))
    }

    fn media_addr(&self) -> Option<SocketAddr> {
        Some(self.media.addr())
    }

    async fn shutdown(&self) {
        // An error: the worker is gone already.
        let _ = self.media.ask(|reply| Command::Shutdown { reply }).await;
        let teller = self.teller.lock().take();
        if let Some(teller) = teller {
            // It ends with the worker, after everything was told.
            let _ = teller.await;
        }
    }
}

#[async_trait]
impl Rooms for Embedded {
    async fn open(&self, room: &str) -> Result<(), RoomsError> {
        let room = room.to_owned();
        let options = RoomOptions::default();
        self.media.ask(|reply| Command::Open { room, options, reply }).await?;
        Ok(())
    }

    fn admit(&self, room: &str, identity: &str, grants: Grants) -> Result<Admission, RoomsError> {
        let token = self.tokens.mint(room, identity, grants);
        let token = token.map_err(|error| RoomsError::Unavailable(error.to_string()))?;
        Ok(Admission { url: None, token })
    }

    fn revoke(&self, room: &str, identity: &str) {
        self.tokens.void(room, identity);
    }

    async fn remove(&self, room: &str, identity: &str, by: Option<String>) -> Result<(), RoomsError> {
        // Void first: between removal and this, the old token would open the door again.
        self.tokens.void(room, identity);
        let key = (room.to_owned(), identity.to_owned());
        self.notes.lock().removals.insert(key.clone(), by);
        let (room, identity) = key.clone();
        let act = Act::Remove { identity };
        let found = self.media.ask(|reply| Command::Act { room, act, reply }).await;
        if !matches!(found, Ok(Some(Ok(())))) {
            self.notes.lock().removals.remove(&key);
        }
        found?.map(|_| ()).ok_or(RoomsError::NotExist)
    }

    async fn block(&self, room: &str, identity: &str, blocked: Blocked) -> Result<(), RoomsError> {
        let (room, identity) = (room.to_owned(), identity.to_owned());
        let Blocked { voice, picture } = blocked;
        let act = Act::Block { identity, blocked: room::server::Blocked { voice, picture } };
        let done = self.media.ask(|reply| Command::Act { room, act, reply }).await?;
        done.ok_or(RoomsError::NotExist)?.map_err(|_| RoomsError::NoMember)
    }

    async fn dismiss(&self, room: &str, by: Option<String>) -> Result<(), RoomsError> {
        for member in self.list(room).await? {
            self.tokens.void(room, &member.identity);
        }
        self.notes.lock().dismissals.insert(room.to_owned(), by);
        let name = room.to_owned();
        let found = self.media.ask(|reply| Command::Delete { room: name, reply }).await;
        if !matches!(found, Ok(true)) {
            self.notes.lock().dismissals.remove(room);
        }
        if found? { Ok(()) } else { Err(RoomsError::NotExist) }
    }

    async fn list(&self, room: &str) -> Result<Vec<Member>, RoomsError> {
        let found = self.list_rooms(vec![room.to_owned()]).await?;
        found.into_iter().next().map(|info| info.members).ok_or(RoomsError::NotExist)
    }

    async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError> {
        self.list_rooms(Vec::new()).await
    }

    fn events(&self) -> broadcast::Receiver<RoomEvent> {
        self.events.subscribe()
    }
}
