//! The socket of the call plane (`/call/v1`): opens it, opens it again, carries text. What the text means is decided by
//! `call::CallSession`.

use futures_util::{SinkExt, StreamExt};
use protocol::message::{PATH, SERVER_FRAME_LIMIT};
use protocol::{ClientMessage, ServerMessage};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Frames that wait for the socket or for the core. Full: the sender waits, TCP pushes back.
const CAPACITY: usize = 64;
/// Nobody answers for so long: the next attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after the first failure, doubled up to the limit. Shorter floods a server that restarts, longer leaves a person
/// unreachable.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
const RETRY_LIMIT: Duration = Duration::from_secs(3);

/// What comes from the socket.
#[derive(Debug)]
pub(crate) enum SocketInput {
    /// Open.
    Connected,
    /// It could not be opened; another attempt follows.
    Failed,
    /// A frame.
    Message(Box<ServerMessage>),
    /// Gone; another attempt follows.
    Closed,
}

/// What goes to the socket.
#[derive(Debug)]
enum Command {
    Send(Box<ClientMessage>),
    Close,
}

/// A socket that keeps itself open until it is dropped.
pub(crate) struct CallSocket {
    commands: mpsc::Sender<Command>,
    inputs: mpsc::Receiver<SocketInput>,
}

impl CallSocket {
    /// Opens the call plane of `server` (`http://host:port`).
    pub(crate) fn open(server: &url::Url) -> Self {
        let (commands, inbox) = mpsc::channel(CAPACITY);
        let (outbox, inputs) = mpsc::channel(CAPACITY);
        tokio::spawn(keep_open(socket_url(server), inbox, outbox));
        Self { commands, inputs }
    }

    /// The next thing.
    pub(crate) async fn next(&mut self) -> SocketInput {
        match self.inputs.recv().await {
            Some(input) => input,
            None => std::future::pending().await,
        }
    }

    /// Sends a frame; dropped while there is no socket.
    pub(crate) async fn send(&self, message: ClientMessage) {
        let _ = self.commands.send(Command::Send(Box::new(message))).await;
    }

    /// Closes this connection; the next one is opened after a pause.
    pub(crate) async fn close(&self) {
        let _ = self.commands.send(Command::Close).await;
    }
}

/// `http` becomes `ws`, and the path that of the call plane.
fn socket_url(server: &url::Url) -> String {
    let mut url = server.clone();
    let scheme = if matches!(server.scheme(), "https" | "wss") { "wss" } else { "ws" };
    // Between special schemes this cannot fail; another scheme fails at connecting.
    let _ = url.set_scheme(scheme);
    url.set_path(PATH);
    url.set_query(None);
    url.into()
}

async fn keep_open(url: String, mut commands: mpsc::Receiver<Command>, inputs: mpsc::Sender<SocketInput>) {
    let mut pause = RETRY_INTERVAL;
    loop {
        let config = WebSocketConfig::default().max_message_size(Some(SERVER_FRAME_LIMIT));
        let connecting = tokio_tungstenite::connect_async_with_config(&url, Some(config), true);
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        match opened {
            Ok(Ok((socket, _))) => {
                pause = RETRY_INTERVAL;
                if inputs.send(SocketInput::Connected).await.is_err() || !carry(socket, &mut commands, &inputs).await {
                    return;
                }
                if inputs.send(SocketInput::Closed).await.is_err() {
                    return;
                }
            }
            Ok(Err(_)) | Err(_) => {
                if inputs.send(SocketInput::Failed).await.is_err() {
                    return;
                }
            }
        }
        // What was meant for the old socket is void: the session sends it again after its resume.
        while commands.try_recv().is_ok() {}
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = inputs.closed() => return,
        }
        pause = (pause * 2).min(RETRY_LIMIT);
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Carries frames until the socket is gone. False: nobody wants it any more.
async fn carry(mut socket: Socket, commands: &mut mpsc::Receiver<Command>, inputs: &mpsc::Sender<SocketInput>) -> bool {
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Send(message)) => {
                    if socket.send(Message::text(message.to_text())).await.is_err() {
                        return true;
                    }
                }
                Some(Command::Close) => {
                    let _ = tokio::time::timeout(RETRY_INTERVAL, socket.close(None)).await;
                    return true;
                }
                None => {
                    let _ = tokio::time::timeout(RETRY_INTERVAL, socket.close(None)).await;
                    return false;
                }
            },
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => match ServerMessage::parse(&text) {
                    Ok(message) => {
                        if inputs.send(SocketInput::Message(Box::new(message))).await.is_err() {
                            return false;
                        }
                    }
                    Err(unreadable) => tracing::warn!(code = unreadable.refusal.code, "a frame of the server"),
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return true,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_plane_of_a_server_is_found_by_its_address() {
        let url = |text: &str| socket_url(&text.parse().unwrap());
        assert_eq!(url("http://127.0.0.1:7080"), "ws://127.0.0.1:7080/call/v1");
        assert_eq!(url("https://example.org/x?y"), "wss://example.org/call/v1");
    }
}
