//! The WebSocket of the frame lane.

use super::outbox::{Out, Outbox, Screen};
use super::wire::{self, FromScreen, Mode};
use futures_util::{SinkExt, StreamExt};
use media::PictureId;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Whoever has not said hello by then is disconnected.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes; the longest message of a screen is a hello of about 120.
const MESSAGE_LIMIT: usize = 1024;
/// Connections at a time; more wait in the listener's backlog. One is the screen, another its successor.
const CONNECTION_LIMIT: usize = 8;

/// Why a connection is closed, as the close code.
#[derive(Clone, Copy)]
enum Refusal {
    BadMessage = 4400,
    BadSecret = 4401,
    Superseded = 4409,
}

type Socket = WebSocketStream<TcpStream>;

/// Accepts connections for as long as the runtime lives.
pub async fn listen(listener: TcpListener, secret: Arc<str>, outbox: Arc<Outbox>) {
    let places = Arc::new(Semaphore::new(CONNECTION_LIMIT));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (secret, outbox) = (secret.clone(), outbox.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &secret, &outbox).await {
                        tracing::debug!(%error, "a screen went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the frame lane could not accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, secret: &str, outbox: &Outbox) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_LIMIT)).max_frame_size(Some(MESSAGE_LIMIT));
    let greeting = async {
        let mut socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
        let hello = socket.next().await.transpose()?;
        Ok::<_, Error>((socket, hello))
    };
    let Ok(greeted) = tokio::time::timeout(HELLO_TIMEOUT, greeting).await else { return Ok(()) };
    let (mut socket, hello) = greeted?;
    let Some(mode) = hello.and_then(|hello| checked_hello(&hello, secret)) else {
        return close(&mut socket, Refusal::BadSecret).await;
    };
    let screen = outbox.attach(mode);
    let end = show(&mut socket, outbox, &screen).await;
    outbox.detach(&screen);
    match end? {
        Some(refusal) => close(&mut socket, refusal).await,
        None => Ok(()),
    }
}

/// The mode where the message is a hello with the right secret; compared without saying by its time how much was right.
fn checked_hello(hello: &Message, secret: &str) -> Option<Mode> {
    let FromScreen::Hello { secret: said, mode } = serde_json::from_str(hello.to_text().ok()?).ok()? else {
        return None;
    };
    let differences = said.bytes().zip(secret.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    (said.len() == secret.len() && differences == 0).then_some(mode)
}

/// Until the screen goes (`None`) or is sent away.
async fn show(socket: &mut Socket, outbox: &Outbox, screen: &Screen) -> Result<Option<Refusal>, Error> {
    loop {
        tokio::select! {
            out = outbox.next(screen) => match out {
                Some(Out::Frame(id, picture)) => socket.send(Message::binary(wire::frame(id, &picture))).await?,
                Some(Out::End(id)) => socket.send(Message::binary(wire::end(id))).await?,
                None => return Ok(Some(Refusal::Superseded)),
            },
            message = socket.next() => match message.transpose()? {
                Some(Message::Text(text)) => {
                    if !serde_json::from_str(&text).is_ok_and(|message| hear(message, outbox)) {
                        return Ok(Some(Refusal::BadMessage));
                    }
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(_)) | None => return Ok(None),
                Some(Message::Binary(_) | Message::Frame(_)) => return Ok(Some(Refusal::BadMessage)),
            },
        }
    }
}

/// False where the message has no place here.
fn hear(message: FromScreen, outbox: &Outbox) -> bool {
    match message {
        FromScreen::Hello { .. } => return false,
        FromScreen::Mode { mode } => outbox.set_mode(mode),
        FromScreen::Credit { picture, n } => outbox.grant(PictureId(picture), n),
        FromScreen::Keyframe { picture } => outbox.lost(PictureId(picture)),
    }
    true
}

async fn close(socket: &mut Socket, why: Refusal) -> Result<(), Error> {
    let frame = CloseFrame { code: CloseCode::from(why as u16), reason: "".into() };
    socket.close(Some(frame)).await
}
