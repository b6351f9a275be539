//! The server as a whole: starts its planes, says where it listens, and stops them in order.

use crate::admin_keys::AdminKeys;
use crate::audit::{Audit, room_service};
use crate::config::{Config, RoomsKind};
use crate::notify::{self, Notifier};
use crate::plane::{Input, Plane, socket};
use crate::records::Records;
use crate::rooms::{Carrier, Rooms};
use crate::secrets::Secrets;
use crate::store::Store;
use crate::tc3::{self, limit::Limit};
use crate::tokens::{ApiKey, Tokens};
use anyhow::{Context as _, Result};
use axum::middleware::from_fn_with_state;
use axum::serve::ListenerExt as _;
use call::switchboard::Settings;
use parking_lot::Mutex;
use protocol::usersig::TicketKey;
use protocol::{CallId, Privileges, RoomId, UserId};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Name of the key with which a server signs its own room tokens.
const OWN_KEY: &str = "ahoy";

/// How long open connections may take to end at a shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// A running server. Several can run in one process, each with its own data directory.
pub struct Server {
    http_addr: SocketAddr,
    public_url: Option<url::Url>,
    ticket_key: Arc<TicketKey>,
    tokens: Arc<Tokens>,
    carrier: Box<dyn Carrier>,
    notifier: Option<Notifier>,
    plane: Plane,
    input: mpsc::Sender<Input>,
    records: Records,
    stop: watch::Sender<bool>,
    http: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("http_addr", &self.http_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server with the rooms that the configuration names. It serves when this returns.
    pub async fn start(config: Config) -> Result<Self> {
        Self::start_with(config, crate::rooms::start_configured).await
    }

    /// Starts a server whose rooms are carried by what `make` returns.
    pub async fn start_with<F, C>(config: Config, make: F) -> Result<Self>
    where
        F: FnOnce(Config, Arc<Tokens>) -> C,
        C: Future<Output = Result<Box<dyn Carrier>>>,
    {
        notify::check(&config)?;
        let secrets = Secrets::load(&config.data_dir)?;
        let store = Store::open(&config.data_dir)?;
        let audit = Audit::open(&config.data_dir)?;
        let takes_our_name = |key: &ApiKey| config.rooms == RoomsKind::Embedded && key.key == OWN_KEY;
        anyhow::ensure!(
            !config.api_keys.iter().any(takes_our_name),
            "api-key: {OWN_KEY} is the name of this server's own key"
        );
        let ticket_key = Arc::new(ticket_key(&config, &secrets));
        let tokens = Tokens::open(minting_key(&config, secrets.room_secret), &config.api_keys, &config.data_dir)
            .map(Arc::new)?;

        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {} (HTTP and WebSocket)", config.listen))?;
        let http_addr = listener.local_addr()?;
        let carrier = make(config.clone(), Arc::clone(&tokens)).await?;
        let notifier = Notifier::start(&config, carrier.rooms().events())?;
        let records = Records::start(&config.data_dir, carrier.rooms())?;
        let (stop, stopped) = watch::channel(false);
        let settings = Settings {
            heartbeat: config.heartbeat,
            map_key_required: config.require_map_key,
            multi_device: config.multi_device,
        };
        let (plane, input) = Plane::start(store, carrier.rooms(), settings, stopped.clone())?;
        let door = socket::Door {
            input: input.clone(),
            ticket_key: Arc::clone(&ticket_key),
            map_key_required: config.require_map_key,
            rooms: carrier.rooms(),
            heartbeat: config.heartbeat,
            stop: stopped.clone(),
            next_conn: Arc::new(AtomicU64::new(1)),
            free: Arc::new(Semaphore::new(socket::CONNECTION_LIMIT)),
            fallback_host: http_addr.to_string(),
            public_url: config.public_url.clone(),
        };
        let admin = tc3::Admin {
            rooms: carrier.rooms(),
            keys: AdminKeys::new(config.admin_keys, &config.data_dir),
            records: records.reader(),
            audit: audit.clone(),
            limit: Arc::new(Mutex::new(Limit::new(config.admin_rate))),
            sdk_app_id: config.sdk_app_id,
            hosts: public_hosts(config.public_url.as_ref()),
        };
        let watch = room_service::Watch { audit, tokens: Arc::clone(&tokens) };
        let app = axum::Router::new()
            .route("/healthz", axum::routing::get(|| async { "ok\n" }))
            .merge(socket::router(door))
            .merge(tc3::router(admin))
            .merge(carrier.router().layer(from_fn_with_state(watch, room_service::watch)));
        let http = tokio::spawn(serve(listener, app, stopped));
        tracing::info!(http = %http_addr, media = ?carrier.media_addr(), "serving");
        Ok(Self {
            http_addr,
            public_url: config.public_url,
            ticket_key,
            tokens,
            carrier,
            notifier,
            plane,
            input,
            records,
            stop,
            http: Some(http),
        })
    }

    /// Where HTTP and WebSocket are served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The rooms, as the planes see them.
    #[must_use]
    pub fn rooms(&self) -> Arc<dyn Rooms> {
        self.carrier.rooms()
    }

    /// Where media arrives (UDP); `None` where a LiveKit deployment carries it.
    #[must_use]
    pub fn media_addr(&self) -> Option<SocketAddr> {
        self.carrier.media_addr()
    }

    /// `http://…`, for signing in.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(self.http_addr)),
        }
    }

    /// The application of the tickets.
    #[must_use]
    pub fn sdk_app_id(&self) -> u64 {
        self.ticket_key.sdk_app_id()
    }

    /// A ticket with which `user` signs in.
    #[must_use]
    pub fn mint_ticket(&self, user: &UserId, expire: Duration) -> String {
        self.ticket_key.mint(user, expire, SystemTime::now().into())
    }

    /// A key with which `user` may do `privileges` in `room` (PrivateMapKey).
    #[must_use]
    pub fn mint_map_key(&self, user: &UserId, room: &RoomId, privileges: Privileges, expire: Duration) -> String {
        self.ticket_key.mint_map_key(user, room, privileges, expire, SystemTime::now().into())
    }

    /// Ends a call for everyone, reason 9 at each; false where there is none of that name.
    pub async fn end_call(&self, call: CallId) -> bool {
        let (done, ended) = oneshot::channel();
        // Refused only when the server stops.
        let _ = self.input.send(Input::EndCall { call, done }).await;
        ended.await.unwrap_or(false)
    }

    /// Stops: no new connections, sockets closed, store closed, rooms gone. Calls go on after the next start.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(mut http) = self.http.take()
            && tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut http).await.is_err()
        {
            http.abort();
        }
        self.plane.join().await;
        self.carrier.shutdown().await;
        if let Some(notifier) = self.notifier.take() {
            notifier.finish().await;
        }
        self.records.shutdown().await;
        self.tokens.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropped without a shutdown: everything ends by itself, a little later.
        self.stop.send_replace(true);
        self.tokens.close();
    }
}

/// The key that signs the tickets of a configuration.
#[must_use]
pub fn ticket_key(config: &Config, secrets: &Secrets) -> TicketKey {
    TicketKey::new(config.sdk_app_id, config.ticket_key.clone().unwrap_or_else(|| secrets.ticket_key.clone()))
}

/// The key that signs room tokens: one that whoever carries the rooms knows.
fn minting_key(config: &Config, room_secret: String) -> ApiKey {
    let own = || ApiKey { key: OWN_KEY.to_owned(), secret: room_secret };
    match config.rooms {
        RoomsKind::Embedded => own(),
        // Without one the carrier does not start.
        RoomsKind::LiveKit => config.api_keys.first().cloned().unwrap_or_else(own),
    }
}

async fn serve(listener: TcpListener, app: axum::Router, mut stopped: watch::Receiver<bool>) {
    let stop = async move {
        // An error means that the server is gone: stop as well.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    // Small frames that wait for each other: with Nagle's algorithm each answer may take 40 ms longer.
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
    // Rooms count joins by address.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "HTTP has stopped");
    }
}

/// The host that administrators sign where a proxy puts another one into their requests.
fn public_hosts(url: Option<&url::Url>) -> Arc<[String]> {
    let host = |url: &url::Url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    };
    url.and_then(host).into_iter().collect()
}

/// A wildcard address as seen from this machine.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}
