//! The server as a whole: starts its planes, says where it listens, and stops them in order.

use crate::config::Config;
use crate::plane::{Input, Plane, socket};
use crate::rooms::Carrier;
use crate::secrets::Secrets;
use crate::store::Store;
use crate::tokens::{ApiKey, Tokens};
use anyhow::{Context as _, Result};
use axum::serve::ListenerExt as _;
use call::switchboard::Settings;
use protocol::usersig::TicketKey;
use protocol::{CallId, UserId};
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
    carrier: Box<dyn Carrier>,
    plane: Plane,
    input: mpsc::Sender<Input>,
    stop: watch::Sender<bool>,
    http: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("http_addr", &self.http_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server with embedded rooms. It serves when this returns.
    pub async fn start(config: Config) -> Result<Self> {
        Self::start_with(config, crate::rooms::start_default).await
    }

    /// Starts a server whose rooms are carried by what `make` returns.
    pub async fn start_with<F, C>(config: Config, make: F) -> Result<Self>
    where
        F: FnOnce(Config, Arc<Tokens>) -> C,
        C: Future<Output = Result<Box<dyn Carrier>>>,
    {
        let secrets = Secrets::load(&config.data_dir)?;
        let store = Store::open(&config.data_dir)?;
        let ticket_key = Arc::new(ticket_key(&config, &secrets));
        let own = ApiKey { key: OWN_KEY.to_owned(), secret: secrets.room_secret };
        let tokens = Arc::new(Tokens::new(own, &config.api_keys));

        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {} (HTTP and WebSocket)", config.listen))?;
        let http_addr = listener.local_addr()?;
        let carrier = make(config.clone(), tokens).await?;
        let (stop, stopped) = watch::channel(false);
        let settings = Settings { heartbeat: config.heartbeat, multi_device: config.multi_device };
        let (plane, input) = Plane::start(store, carrier.rooms(), settings, stopped.clone())?;
        let door = socket::Door {
            input: input.clone(),
            ticket_key: Arc::clone(&ticket_key),
            heartbeat: config.heartbeat,
            stop: stopped.clone(),
            next_conn: Arc::new(AtomicU64::new(1)),
            free: Arc::new(Semaphore::new(socket::CONNECTION_LIMIT)),
            fallback_host: http_addr.to_string(),
            public_url: config.public_url.clone(),
        };
        let app = axum::Router::new()
            .route("/healthz", axum::routing::get(|| async { "ok\n" }))
            .merge(socket::router(door))
            .merge(carrier.router());
        let http = tokio::spawn(serve(listener, app, stopped));
        tracing::info!(http = %http_addr, media = %carrier.media_addr(), "serving");
        Ok(Self { http_addr, public_url: config.public_url, ticket_key, carrier, plane, input, stop, http: Some(http) })
    }

    /// Where HTTP and WebSocket are served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where media arrives (UDP).
    #[must_use]
    pub fn media_addr(&self) -> SocketAddr {
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
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropped without a shutdown: everything ends by itself, a little later.
        self.stop.send_replace(true);
    }
}

/// The key that signs the tickets of a configuration.
#[must_use]
pub fn ticket_key(config: &Config, secrets: &Secrets) -> TicketKey {
    TicketKey::new(config.sdk_app_id, config.ticket_key.clone().unwrap_or_else(|| secrets.ticket_key.clone()))
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
    if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "HTTP has stopped");
    }
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
