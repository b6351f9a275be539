//! A way to a server of rooms that can be cut for one person at a time: their signalling (by the identity in the token),
//! and their media (by a relay in place of the server's own address).

mod relay;
mod rewrite;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use parking_lot::Mutex;
use prost::Message as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Bytes of a head of HTTP; a join request carries a whole offer.
const HEAD_LIMIT: usize = 256 * 1024;

/// Whoever asks for something else than a room: the call plane, and requests of RoomService.
const OTHERS: &str = "";

/// What happens to somebody's signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Signal {
    /// It goes through.
    #[default]
    Open,
    /// Nothing goes through, and nothing is closed.
    Silent,
    /// What was open is closed, what is new is refused.
    Cut,
}

/// One person's line.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    signal: Signal,
    media_cut: bool,
}

/// The way.
pub struct Wire {
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    target: Mutex<SocketAddr>,
    lines: Mutex<BTreeMap<String, watch::Sender<State>>>,
    relays: tokio::sync::Mutex<BTreeMap<(String, SocketAddr), SocketAddr>>,
}

impl Wire {
    /// A way to `target`.
    pub async fn open(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            target: Mutex::new(target),
            lines: Mutex::default(),
            relays: tokio::sync::Mutex::default(),
        });
        let carrying = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let Some(inner) = carrying.upgrade() else { return };
                tokio::spawn(async move {
                    // Connections that end in an error end at the server or the client.
                    let _ = inner.carry(inside).await;
                });
            }
        });
        Ok(Self { address, inner })
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads elsewhere from now on.
    pub fn aim(&self, target: SocketAddr) {
        *self.inner.target.lock() = target;
    }

    /// Closes somebody's signalling and refuses it.
    pub fn cut_signal(&self, who: &str) {
        self.change(who, |state| state.signal = Signal::Cut);
    }

    /// Drops somebody's media.
    pub fn cut_media(&self, who: &str) {
        self.change(who, |state| state.media_cut = true);
    }

    /// Lets nothing of somebody's through, and closes nothing: what a network does that is gone.
    pub fn silence(&self, who: &str) {
        self.change(who, |state| *state = State { signal: Signal::Silent, media_cut: true });
    }

    /// Closes and refuses all but the signalling of rooms.
    pub fn cut_others(&self) {
        self.cut_signal(OTHERS);
    }

    /// Everything of somebody's goes through again.
    pub fn mend(&self, who: &str) {
        self.change(who, |state| *state = State::default());
    }

    /// The rest goes through again.
    pub fn mend_others(&self) {
        self.mend(OTHERS);
    }

    fn change(&self, who: &str, change: impl FnOnce(&mut State)) {
        self.inner.line(who);
        if let Some(line) = self.inner.lines.lock().get(who) {
            line.send_modify(change);
        }
    }
}

impl Inner {
    fn line(&self, who: &str) -> watch::Receiver<State> {
        self.lines.lock().entry(who.to_owned()).or_default().subscribe()
    }

    async fn carry(&self, mut inside: TcpStream) -> Result<()> {
        inside.set_nodelay(true)?;
        let (head, rest) = read_head(&mut inside).await?;
        let signalling = rewrite::Head::read(&head);
        let mut line = self.line(signalling.as_ref().map_or(OTHERS, |head| &head.identity));
        if line.borrow().signal == Signal::Silent {
            // Without an answer to its first packet there is no connection, and what it would carry never arrives.
            wait(&mut line).await?;
            bail!("silent");
        }
        wait(&mut line).await?;
        let target = *self.target.lock();
        let mut outside = TcpStream::connect(target).await?;
        outside.set_nodelay(true)?;
        match signalling {
            Some(head) => {
                outside.write_all(head.rewritten()?.as_bytes()).await?;
                let (answer, more) = read_head(&mut outside).await?;
                inside.write_all(&answer).await?;
                if !answer.starts_with(b"HTTP/1.1 101") {
                    inside.write_all(&more).await?;
                    copy_bidirectional(&mut inside, &mut outside).await?;
                    return Ok(());
                }
                let inside = WebSocketStream::from_partially_read(inside, rest, Role::Server, None).await;
                let outside = WebSocketStream::from_partially_read(outside, more, Role::Client, None).await;
                self.carry_frames(inside, outside, head.identity, line).await
            }
            None => {
                outside.write_all(&head).await?;
                outside.write_all(&rest).await?;
                tokio::select! {
                    _ = copy_bidirectional(&mut inside, &mut outside) => {}
                    () = is_cut(&mut line) => {}
                }
                Ok(())
            }
        }
    }

    async fn carry_frames(
        &self,
        mut inside: WebSocketStream<TcpStream>,
        mut outside: WebSocketStream<TcpStream>,
        who: String,
        mut line: watch::Receiver<State>,
    ) -> Result<()> {
        let mut cut = line.clone();
        loop {
            tokio::select! {
                message = inside.next() => {
                    let message = message.context("the client is gone")??;
                    wait(&mut line).await?;
                    let Message::Binary(bytes) = &message else {
                        outside.send(message).await?;
                        continue;
                    };
                    if let Some(bytes) = rewrite::request(bytes)? {
                        outside.send(Message::binary(bytes)).await?;
                    }
                }
                message = outside.next() => {
                    let message = message.context("the server is gone")??;
                    wait(&mut line).await?;
                    let Message::Binary(bytes) = &message else {
                        inside.send(message).await?;
                        continue;
                    };
                    if let Some(bytes) = self.response(&who, bytes).await? {
                        inside.send(Message::binary(bytes)).await?;
                    }
                }
                () = is_cut(&mut cut) => return Ok(()),
            }
        }
    }

    /// A server's message with the relays' addresses in place of its own.
    async fn response(&self, who: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut response = proto::SignalResponse::decode(bytes)?;
        let is_trickle = matches!(response.message, Some(proto::signal_response::Message::Trickle(_)));
        let Some(text) = rewrite::text_with_addresses(&mut response) else { return Ok(Some(bytes.to_vec())) };
        let mut relays = BTreeMap::new();
        for address in rewrite::addresses(text) {
            relays.insert(address, self.relay(who, address).await?);
        }
        if is_trickle {
            match rewrite::redirect_trickle(text, &relays)? {
                Some(redirected) => *text = redirected,
                None => return Ok(None),
            }
        } else {
            *text = rewrite::redirect(text, &relays);
        }
        Ok(Some(response.encode_to_vec()))
    }

    async fn relay(&self, who: &str, address: SocketAddr) -> Result<SocketAddr> {
        let mut relays = self.relays.lock().await;
        let key = (who.to_owned(), address);
        if let Some(relay) = relays.get(&key) {
            return Ok(*relay);
        }
        let relay = relay::open(address, self.line(who)).await?;
        relays.insert(key, relay);
        Ok(relay)
    }
}

/// Waits while a line is silent; an error where it is cut.
async fn wait(line: &mut watch::Receiver<State>) -> Result<()> {
    let state = line.wait_for(|state| state.signal != Signal::Silent).await?;
    if state.signal == Signal::Cut {
        bail!("cut");
    }
    Ok(())
}

/// Waits until a line is cut, or the whole wire is gone.
async fn is_cut(line: &mut watch::Receiver<State>) {
    let _ = line.wait_for(|state| state.signal == Signal::Cut).await;
}

/// Reads up to the empty line that ends a head of HTTP, and what came with it.
async fn read_head(stream: &mut TcpStream) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(at) = read.windows(4).position(|end| end == b"\r\n\r\n") {
            let rest = read.split_off(at + 4);
            return Ok((read, rest));
        }
        anyhow::ensure!(read.len() < HEAD_LIMIT, "no head of HTTP");
        if stream.read_buf(&mut read).await? == 0 {
            bail!("closed within a head of HTTP");
        }
    }
}
