//! A LiveKit deployment behind the trait: its `RoomService` does, its webhooks and listings tell, the [`Reconciler`]
//! concludes.
//!
//! ```text
//! call plane, admin APIs ── Rooms ──▶ LiveKit ── Twirp ──▶ the deployment ◀── clients
//!            ▲                          │  ▲                    │
//!            └────── RoomEvent ─── Reconciler ◀── webhooks ─────┘
//!                                       └── every 10 s: who is where? who is to be put out?
//! ```

mod barred;
mod block;
mod forward;
pub mod reconciler;
mod service;
mod webhook;

use super::{Admission, Blocked, Carrier, EVENT_CAPACITY, Member, RoomEvent, RoomInfo, Rooms, RoomsError};
use crate::tokens::{ApiKey, Grants, Tokens};
use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use barred::Barred;
use block::Blocks;
use futures_util::{StreamExt as _, stream};
use livekit_protocol as proto;
use parking_lot::Mutex;
use proto::ParticipantInfo;
use proto::participant_info::State as Presence;
use reconciler::{Action, Listing, Reconciler};
use service::{Service, ServiceError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use url::Url;

/// Requests of one listing at a time: enough to hide the way to the deployment, few enough not to be a burden.
const LISTING_CONCURRENCY: usize = 8;

/// A room that nobody enters ends after this long, as the embedded ones do.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(300);

/// The rooms of a LiveKit deployment.
#[derive(Debug)]
pub struct LiveKit {
    deployment: Arc<Deployment>,
    driver: JoinHandle<()>,
}

/// What requests, webhooks and the driver share. The lock is held for single inputs of the brain, never while waiting.
#[derive(Debug)]
struct Deployment {
    service: Service,
    tokens: Arc<Tokens>,
    /// `ws(s)://…`, for clients.
    url: String,
    brain: Mutex<Reconciler>,
    /// Taken after the brain's lock.
    barred: Mutex<Barred>,
    blocks: Mutex<Blocks>,
    events: broadcast::Sender<RoomEvent>,
    /// The brain has something to do, or another deadline.
    wake: Notify,
    started_at: Instant,
}

impl LiveKit {
    /// Starts the reconciliation. A deployment that cannot be reached yet is waited for; one that refuses the key is an
    /// error. `key` is the one that `tokens` mints with.
    pub async fn start(url: &Url, key: ApiKey, tokens: Arc<Tokens>, data_dir: &Path) -> Result<Self> {
        let service = Service::new(with_scheme(url, "http")?, key)?;
        match service.list_rooms(Vec::new()).await {
            Ok(_) => tracing::info!(%url, "LiveKit carries the rooms"),
            Err(error @ ServiceError::KeyRefused(_)) => bail!("{error} ({url})"),
            Err(error) => tracing::warn!(%url, %error, "calls can begin as soon as LiveKit can be reached"),
        }
        let (started_at, barred) = (Instant::now(), Barred::open(data_dir)?);
        let mut brain = Reconciler::new();
        for (room, identity, bar) in barred.all()? {
            brain.recall(room, identity, bar);
        }
        let (events, _) = broadcast::channel(EVENT_CAPACITY);
        let deployment = Arc::new(Deployment {
            service,
            tokens,
            url: with_scheme(url, "ws")?.as_str().trim_end_matches('/').to_owned(),
            brain: Mutex::new(brain),
            barred: Mutex::new(barred),
            blocks: Mutex::default(),
            events,
            wake: Notify::new(),
            started_at,
        });
        let driver = tokio::spawn(Arc::clone(&deployment).drive());
        Ok(Self { deployment, driver })
    }
}

/// The same address as HTTP or as WebSocket.
fn with_scheme(url: &Url, scheme: &str) -> Result<Url> {
    let secure = matches!(url.scheme(), "https" | "wss");
    let scheme = format!("{scheme}{}", if secure { "s" } else { "" });
    let rest = url.as_str().split_once("://").context("the address of LiveKit has no scheme")?.1;
    Ok(format!("{scheme}://{rest}").parse()?)
}

impl Deployment {
    /// One input of the brain. Its events go out in the order of the inputs.
    fn tell<R>(&self, input: impl FnOnce(&mut Reconciler, Duration) -> R) -> R {
        let mut brain = self.brain.lock();
        // Inside of the lock: the brain's time must not run backwards.
        let result = input(&mut brain, self.started_at.elapsed());
        while let Some(event) = brain.poll_event() {
            // Nobody listens: nobody is told.
            let _ = self.events.send(event);
        }
        while let Some((room, identity, bar)) = brain.poll_kept() {
            self.barred.lock().keep(&room, &identity, bar.as_ref());
        }
        drop(brain);
        self.wake.notify_one();
        result
    }

    /// Does what the brain wants, until the task is aborted.
    async fn drive(self: Arc<Self>) {
        let mut reachable = true;
        loop {
            let deadline = self.brain.lock().poll_timeout().map(|at| self.started_at + at);
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = timer => self.tell(Reconciler::handle_timeout),
            }
            loop {
                let Some(action) = self.brain.lock().poll_action() else { break };
                match action {
                    Action::List => self.reconcile(&mut reachable).await,
                    Action::Evict { room, identity } => self.evict(&room, &identity).await,
                    Action::ReportNoWebhooks => tracing::warn!(
                        path = webhook::PATH,
                        "LiveKit sends no webhooks here: who comes and goes is known late; name this server's address \
                         with that path under webhook.urls in LiveKit's configuration"
                    ),
                }
            }
        }
    }

    async fn reconcile(&self, reachable: &mut bool) {
        match self.list_everything().await {
            Ok(rooms) => {
                if !std::mem::replace(reachable, true) {
                    tracing::info!("LiveKit can be reached again");
                }
                self.tell(|brain, now| brain.handle_listing(now, Listing { rooms }));
            }
            Err(error) => {
                if std::mem::replace(reachable, false) {
                    tracing::warn!(%error, "running calls go on; who comes and goes is not known meanwhile");
                }
                self.tell(Reconciler::handle_listing_failed);
            }
        }
    }

    async fn list_everything(&self) -> Result<Vec<(proto::Room, Option<Vec<ParticipantInfo>>)>, ServiceError> {
        let rooms = self.service.list_rooms(Vec::new()).await?;
        let people = |room: proto::Room| async move {
            let people = self.people(&room.name).await;
            (room, people.ok())
        };
        Ok(stream::iter(rooms).map(people).buffer_unordered(LISTING_CONCURRENCY).collect().await)
    }

    async fn people(&self, room: &str) -> Result<Vec<ParticipantInfo>, ServiceError> {
        let mut people = self.service.list_participants(room).await?;
        people.retain(|who| who.state() != Presence::Disconnected);
        Ok(people)
    }

    async fn evict(&self, room: &str, identity: &str) {
        match self.service.remove_participant(room, identity).await {
            Ok(()) => tracing::info!("put somebody out who came in with a void token"),
            // Gone by themselves.
            Err(ServiceError::NotFound) => {}
            // The next listing shows them again.
            Err(error) => tracing::warn!(%error, "somebody with a void token could not be put out"),
        }
    }

    /// A room and who is in it; the brain hears of them, too.
    async fn look(&self, name: &str) -> Result<Vec<ParticipantInfo>, RoomsError> {
        let found = self.service.list_rooms(vec![name.to_owned()]).await?;
        let room = found.into_iter().find(|room| room.name == name).ok_or(RoomsError::NotExist)?;
        let people = self.people(name).await?;
        self.tell(|brain, now| brain.handle_seen(now, &room, &people));
        Ok(people)
    }

    fn handle_webhook(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), webhook::WebhookError> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // LiveKit sends the token as it is; other senders may say what it is.
        let token = authorization.map(|value| value.strip_prefix("Bearer ").unwrap_or(value)).unwrap_or_default();
        if let Some((room, news)) = webhook::read(&self.tokens, token, body)? {
            tracing::debug!(room = room.sid, "webhook");
            self.tell(|brain, now| brain.handle_news(now, &room, news));
        }
        Ok(())
    }
}

async fn receive(State(deployment): State<Arc<Deployment>>, headers: HeaderMap, body: Bytes) -> Response {
    match deployment.handle_webhook(&headers, &body) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => {
            tracing::warn!(%error, "refused a webhook");
            let status = match error {
                webhook::WebhookError::Unsigned => StatusCode::UNAUTHORIZED,
                webhook::WebhookError::Malformed => StatusCode::BAD_REQUEST,
            };
            (status, format!("{error}\n")).into_response()
        }
    }
}

#[async_trait]
impl Carrier for LiveKit {
    fn rooms(&self) -> Arc<dyn Rooms> {
        Arc::clone(&self.deployment) as Arc<dyn Rooms>
    }

    fn router(&self) -> axum::Router {
        axum::Router::new()
            .route(webhook::PATH, axum::routing::post(receive))
            .route(forward::PATH, axum::routing::post(forward::serve))
            .layer(DefaultBodyLimit::max(webhook::BODY_LIMIT))
            .with_state(Arc::clone(&self.deployment))
    }

    fn media_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The deployment and its rooms stay: calls go on after the next start.
    async fn shutdown(&self) {
        self.driver.abort();
        self.deployment.barred.lock().close();
    }
}

impl Drop for LiveKit {
    fn drop(&mut self) {
        self.driver.abort();
        self.deployment.barred.lock().close();
    }
}

#[async_trait]
impl Rooms for Deployment {
    async fn open(&self, room: &str) -> Result<(), RoomsError> {
        let empty_timeout = EMPTY_TIMEOUT.as_secs() as u32;
        let request = proto::CreateRoomRequest { name: room.to_owned(), empty_timeout, ..Default::default() };
        let made = self.service.create_room(request).await?;
        self.tell(|brain, now| brain.handle_seen(now, &made, &[]));
        Ok(())
    }

    fn admit(&self, room: &str, identity: &str, grants: Grants) -> Result<Admission, RoomsError> {
        let token = self.tokens.mint(room, identity, grants);
        let token = token.map_err(|error| RoomsError::Unavailable(error.to_string()))?;
        self.tell(|brain, now| brain.admit(now, room, identity));
        Ok(Admission { url: Some(self.url.clone()), token })
    }

    fn revoke(&self, room: &str, identity: &str) {
        self.tell(|brain, now| brain.revoke(now, room, identity));
    }

    async fn remove(&self, room: &str, identity: &str, by: Option<String>) -> Result<(), RoomsError> {
        self.look(room).await?;
        self.tell(|brain, now| brain.begin_removal(now, room, identity, by));
        let removed = match self.service.remove_participant(room, identity).await {
            // Whoever is not there is out.
            Ok(()) | Err(ServiceError::NotFound) => Ok(()),
            Err(error) => Err(error),
        };
        self.tell(|brain, now| brain.end_removal(now, room, identity, removed.is_ok()));
        Ok(removed?)
    }

    async fn block(&self, room: &str, identity: &str, blocked: Blocked) -> Result<(), RoomsError> {
        let people = self.look(room).await?;
        let who = people.into_iter().find(|who| who.identity == identity).ok_or(RoomsError::NoMember)?;
        let permission = self.blocks.lock().narrow(&who, blocked);
        match self.service.set_permission(room, identity, permission).await {
            Err(ServiceError::NotFound) => Err(RoomsError::NoMember),
            done => Ok(done?),
        }
    }

    async fn dismiss(&self, room: &str, by: Option<String>) -> Result<(), RoomsError> {
        let members = self.look(room).await?.into_iter().map(|who| who.identity).collect::<Vec<_>>();
        self.tell(|brain, _| brain.begin_dismissal(room, by));
        let deleted = self.service.delete_room(room).await;
        self.tell(|brain, now| brain.end_dismissal(now, room, &members, deleted.is_ok()));
        Ok(deleted?)
    }

    async fn list(&self, room: &str) -> Result<Vec<Member>, RoomsError> {
        Ok(self.look(room).await?.into_iter().map(member).collect())
    }

    async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError> {
        let rooms = self.list_everything().await?;
        let info = |(room, people): (proto::Room, Option<Vec<ParticipantInfo>>)| {
            let people = people.ok_or_else(|| RoomsError::Unavailable("a room could not be listed".to_owned()))?;
            Ok(RoomInfo { room: room.name, members: people.into_iter().map(member).collect() })
        };
        rooms.into_iter().map(info).collect()
    }

    fn events(&self) -> broadcast::Receiver<RoomEvent> {
        self.events.subscribe()
    }
}

fn member(who: ParticipantInfo) -> Member {
    Member { identity: who.identity, sid: who.sid }
}
