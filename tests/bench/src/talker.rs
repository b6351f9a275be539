//! A client of the call plane without engine, media or devices: as light as a socket, so that thousands fit here.

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::message::{Hello, PATH, PlaceCall};
use protocol::{CallId, CallMediaType, ClientMessage, DeviceId, Push, Request, ServerMessage, UserId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Whatever has not come by then has been lost.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of each buffer of a socket: a frame of a call is smaller.
const BUFFER: usize = 2048;

/// What all clients have answered.
#[derive(Debug, Default)]
pub struct Heartbeats {
    /// Pings of the server.
    pub answered: AtomicU64,
    /// Connections that ended.
    pub lost: AtomicU64,
}

/// One that is signed in.
pub struct Talker {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    user: UserId,
    requests: u64,
}

impl Talker {
    /// Signs in; `host` is `host:port`.
    pub async fn sign_in(host: &str, user: &UserId, ticket: String) -> Result<Self> {
        let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
        let url = format!("ws://{host}{PATH}");
        let connecting = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
        let (socket, _) = tokio::time::timeout(STEP_TIMEOUT, connecting).await.context("no connection")??;
        let mut this = Self { socket, user: user.clone(), requests: 0 };
        this.say(&ClientMessage::Hello(Hello {
            versions: vec![protocol::message::VERSION],
            client: "bench".to_owned(),
            sdk_app_id: None,
            user_id: user.as_str().to_owned(),
            user_sig: ticket,
            device_id: DeviceId::new("bench")?,
            resume: None,
        }))
        .await?;
        this.hear(|message| matches!(message, ServerMessage::Welcome(_))).await?;
        Ok(this)
    }

    /// Who it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    async fn say(&mut self, message: &ClientMessage) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_text())).await?)
    }

    /// Asks for something; the answer comes among the other messages.
    async fn request(&mut self, request: Request) -> Result<()> {
        self.requests += 1;
        self.say(&ClientMessage::Request { id: self.requests, request }).await
    }

    /// The next message; what has to be answered is answered.
    async fn next(&mut self) -> Result<ServerMessage> {
        loop {
            let frame = self.socket.next().await.context("the server hung up")??;
            let Message::Text(text) = frame else { continue };
            let message = ServerMessage::parse(&text).map_err(|wrong| anyhow::anyhow!("{}", wrong.refusal.message))?;
            if let ServerMessage::Ping {} = message {
                self.say(&ClientMessage::Pong {}).await?;
            } else if let ServerMessage::Event { seq, .. } = message {
                self.say(&ClientMessage::Ack { seq }).await?;
            }
            return Ok(message);
        }
    }

    async fn hear(&mut self, wanted: impl Fn(&ServerMessage) -> bool) -> Result<ServerMessage> {
        let listening = async {
            loop {
                let message = self.next().await?;
                if let ServerMessage::Error { refusal, .. } = &message {
                    bail!("{}: {} ({})", self.user, refusal.message, refusal.code);
                }
                if wanted(&message) {
                    return Ok(message);
                }
            }
        };
        tokio::time::timeout(STEP_TIMEOUT, listening).await.context("the server does not say it")?
    }

    /// Waits for an event.
    async fn event(&mut self, wanted: impl Fn(&Push) -> bool) -> Result<Push> {
        let wanted = |message: &ServerMessage| matches!(message, ServerMessage::Event { push, .. } if wanted(push));
        let ServerMessage::Event { push, .. } = self.hear(wanted).await? else { bail!("no event") };
        Ok(push)
    }

    /// Does nothing but answer the server, as long as it talks.
    pub async fn idle(mut self, heartbeats: &Heartbeats) {
        while let Ok(message) = self.next().await {
            if matches!(message, ServerMessage::Ping {}) {
                heartbeats.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        heartbeats.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// The same until then.
    pub async fn idle_until(&mut self, until: tokio::time::Instant, heartbeats: &Heartbeats) -> Result<()> {
        while let Ok(message) = tokio::time::timeout_at(until, self.next()).await {
            if matches!(message?, ServerMessage::Ping {}) {
                heartbeats.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// When what happened in one call.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// The caller asked.
    pub placed: Instant,
    /// The callee's device has the invitation.
    pub rung: Instant,
    /// The callee answered.
    pub accepted: Instant,
    /// It has begun at the callee.
    pub begun: Instant,
    /// It has begun at the caller.
    pub begun_at_caller: Instant,
    /// Both know that it is over.
    pub over: Instant,
}

/// One whole call: placed, rung, answered, begun at both, hung up, over at both.
pub async fn call(caller: &mut Talker, callee: &mut Talker) -> Result<Moments> {
    let placed = Instant::now();
    let callees = vec![callee.user().clone()];
    caller
        .request(Request::Call(PlaceCall {
            callee_id_list: callees,
            call_media_type: CallMediaType::Voice,
            user_data: String::new(),
            timeout: None,
            room_id: None,
            group_id: String::new(),
        }))
        .await?;
    let invited = callee.event(|push| matches!(push, Push::Invited { .. })).await?;
    let Push::Invited { call_id, .. } = invited else { bail!("no invitation") };
    let rung = Instant::now();
    let ours = |push: &Push| push.call_id() == Some(&call_id);
    caller.event(|push| ours(push) && matches!(push, Push::Ringing { .. })).await?;
    let accepted = Instant::now();
    callee.request(Request::Accept { call_id: call_id.clone() }).await?;
    let begins = |push: &Push| ours(push) && matches!(push, Push::Begun { .. });
    let (begun, begun_at_caller) = tokio::try_join!(moment(callee, begins), moment(caller, begins))?;
    hang_up(caller, callee, &call_id).await?;
    Ok(Moments { placed, rung, accepted, begun, begun_at_caller, over: Instant::now() })
}

async fn hang_up(caller: &mut Talker, callee: &mut Talker, call: &CallId) -> Result<()> {
    caller.request(Request::Hangup { call_id: call.clone() }).await?;
    let ends = |push: &Push| push.call_id() == Some(call) && matches!(push, Push::Ended { .. });
    tokio::try_join!(caller.event(ends), callee.event(ends))?;
    Ok(())
}

async fn moment(talker: &mut Talker, wanted: impl Fn(&Push) -> bool) -> Result<Instant> {
    talker.event(wanted).await?;
    Ok(Instant::now())
}
