//! Devices and media keep to the rules of a call. One process, one test: the threads that are looked at are bob's.
#![cfg(target_os = "linux")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the messages it is about")]

use anyhow::{Context, Result};
use engine::api::{Intent, Stage};
use futures_util::{SinkExt, StreamExt};
use protocol::message::{Hello, PlaceCall};
use protocol::{CallMediaType, ClientMessage, DeviceId, Push, Request, ServerMessage, UserId};
use std::time::Duration;
use tests_calls::{House, PATIENCE, Person, capture_threads, name_of};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A caller who has no engine and no device: words on the call plane alone.
struct Voiceless {
    frames: mpsc::Sender<ClientMessage>,
    heard: mpsc::Receiver<ServerMessage>,
    requests: u64,
}

impl Voiceless {
    async fn arrive(house: &House, name: &str) -> Result<Self> {
        let user = UserId::new(name)?;
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/call/v1", house.address())).await?;
        // More than this test says or hears.
        let ((frames, outbox), (inbox, heard)) = (mpsc::channel(64), mpsc::channel(64));
        tokio::spawn(carry(socket, outbox, inbox));
        let mut this = Self { frames, heard, requests: 0 };
        this.say(ClientMessage::Hello(Hello {
            versions: vec![1],
            client: "test".to_owned(),
            sdk_app_id: None,
            user_sig: house.ticket(&user),
            user_id: name.to_owned(),
            device_id: DeviceId::new("voiceless")?,
            resume: None,
        }))
        .await?;
        this.hear(|message| matches!(message, ServerMessage::Welcome(_))).await?;
        Ok(this)
    }

    async fn say(&mut self, message: ClientMessage) -> Result<()> {
        Ok(self.frames.send(message).await?)
    }

    async fn request(&mut self, request: Request) -> Result<()> {
        self.requests += 1;
        self.say(ClientMessage::Request { id: self.requests, request }).await
    }

    async fn hear(&mut self, wanted: impl Fn(&ServerMessage) -> bool) -> Result<ServerMessage> {
        let listening = async {
            loop {
                let message = self.heard.recv().await.context("the server hung up")?;
                if wanted(&message) {
                    return Ok(message);
                }
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.context("the server did not say it")?
    }

    async fn call(&mut self, who: &str) -> Result<()> {
        self.request(Request::Call(PlaceCall {
            callee_id_list: vec![UserId::new(who)?],
            call_media_type: CallMediaType::Video,
            user_data: String::new(),
            timeout: None,
            room_id: None,
            group_id: String::new(),
        }))
        .await
    }
}

/// Answers pings and acknowledges events, as every client does.
async fn carry(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    mut frames: mpsc::Receiver<ClientMessage>,
    heard: mpsc::Sender<ServerMessage>,
) -> Result<()> {
    loop {
        tokio::select! {
            Some(message) = frames.recv() => socket.send(Message::text(message.to_text())).await?,
            frame = socket.next() => {
                let frame = frame.context("the server hung up")??;
                let Ok(message) = ServerMessage::parse(frame.to_text().unwrap_or_default()) else { continue };
                let answer = match &message {
                    ServerMessage::Event { seq, .. } => Some(ClientMessage::Ack { seq: *seq }),
                    ServerMessage::Ping {} => Some(ClientMessage::Pong {}),
                    _ => None,
                };
                if let Some(answer) = answer {
                    socket.send(Message::text(answer.to_text())).await?;
                }
                heard.send(message).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_device_opens_before_the_accept_and_all_are_closed_before_the_end_is_told() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Voiceless::arrive(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;

    // Ringing: nothing opens, however long it rings.
    alice.call("bob").await?;
    bob.wait("onCallReceived").await?;
    for _ in 0..20 {
        assert_eq!(capture_threads()?, Vec::<String>::new(), "a device is open while it rings");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    bob.ask(Intent::Reject).await?;
    bob.wait("onCallCancelled").await?;
    assert_eq!(capture_threads()?, Vec::<String>::new(), "declining opened a device");

    // Accepted: both open; ended by either side: closed by the time the end is reported.
    for by_bob in [true, false] {
        alice.call("bob").await?;
        bob.wait("onCallReceived").await?;
        bob.ask(Intent::Accept { camera: true }).await?;
        bob.wait("onCallBegin").await?;
        let call_id = alice_call(&mut alice).await?;
        bob.see("camera and microphone", |snapshot| snapshot.devices.camera_on && snapshot.devices.microphone_on)
            .await?;
        assert_eq!(capture_threads()?, ["camera", "encoder", "voice-capture"]);
        if by_bob {
            bob.ask(Intent::Hangup).await?;
        } else {
            alice.request(Request::Hangup { call_id }).await?;
        }
        let ended = bob.wait_for("the end", |event| {
            matches!(name_of(event).as_str(), "onCallEnd" | "onExitRoom" | "onCallCancelled")
        });
        ended.await?;
        assert_eq!(capture_threads()?, Vec::<String>::new(), "the end was told with an open device");
        bob.see("no call", |snapshot| matches!(snapshot.stage, Stage::Ended(_))).await?;
        bob.forget();
    }

    // The caller's side: devices open for the preview, connected early, and no packet leaves before the acceptance.
    bob.ask(Intent::Call {
        callees: vec![UserId::new("alice")?],
        media: CallMediaType::Video,
        user_data: String::new(),
        timeout: None,
        room: None,
    })
    .await?;
    let invited =
        alice.hear(|message| matches!(message, ServerMessage::Event { push: Push::Invited { .. }, .. })).await?;
    let ServerMessage::Event { push: Push::Invited { call_id, .. }, .. } = invited else { unreachable!() };
    tokio::time::timeout(PATIENCE, async {
        while bob.engine.report().await.round_trip_ms.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .context("no path while it rings")?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(bob.engine.report().await.packets_sent, 0, "media left before anybody accepted");
    alice.request(Request::Accept { call_id }).await?;
    bob.wait("onCallBegin").await?;
    tokio::time::timeout(PATIENCE, async {
        while bob.engine.report().await.packets_sent == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .context("nothing left after the acceptance")?;
    Ok(())
}

async fn alice_call(alice: &mut Voiceless) -> Result<protocol::CallId> {
    let begun = alice.hear(|message| matches!(message, ServerMessage::Event { push: Push::Begun { .. }, .. })).await?;
    match begun {
        ServerMessage::Event { push: Push::Begun { call_id, .. }, .. } => Ok(call_id),
        other => anyhow::bail!("{other:?}"),
    }
}
