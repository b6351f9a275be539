//! Two sessions in one room of LiveKit's own server, with made-up packets instead of codecs.
//!
//! Needs the server's program: `AHOY_LIVEKIT_SERVER=path cargo test -p engine livekit -- --ignored`.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use super::*;
use bytes::Bytes;
use room::client::{Ending, Link};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "APItest";
const SECRET: &str = "a-secret-of-more-than-thirty-two-characters";

struct Server {
    process: Child,
    url: url::Url,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn start() -> Server {
    let program = std::env::var("AHOY_LIVEKIT_SERVER").expect("AHOY_LIVEKIT_SERVER names LiveKit's server program");
    let dir = tempfile::tempdir().unwrap();
    let (http, udp, tcp) = (free_port(), free_port(), free_port());
    let config = format!(
        "port: {http}\nbind_addresses: [\"127.0.0.1\"]\nrtc:\n  udp_port: {udp}\n  tcp_port: {tcp}\n  node_ip: 127.0.0.1\n  \
         use_external_ip: false\n  enable_loopback_candidate: true\n  ips:\n    includes: [\"127.0.0.1/32\"]\n\
         keys:\n  {KEY}: {SECRET}\nlogging:\n  level: warn\n"
    );
    let path = dir.path().join("livekit.yaml");
    std::fs::write(&path, config).unwrap();
    let process = Command::new(program)
        .args(["--config".as_ref(), path.as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while tokio::net::TcpStream::connect(("127.0.0.1", http)).await.is_err() {
        assert!(Instant::now() < deadline, "LiveKit's server does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Server { process, url: format!("ws://127.0.0.1:{http}").parse().unwrap(), _dir: dir }
}

fn token(identity: &str) -> Secret {
    let grants = livekit_token::VideoGrants {
        room_join: true,
        room: "n:1".to_owned(),
        can_publish: Some(true),
        can_subscribe: Some(true),
        ..Default::default()
    };
    let token = livekit_token::AccessToken::with_api_key(KEY, SECRET)
        .with_identity(identity)
        .with_grants(grants)
        .to_jwt()
        .unwrap();
    Secret(token)
}

fn enter(server: &Server, identity: &str) -> (RoomHandle, mpsc::Receiver<(MembershipId, RoomEvent)>) {
    let (events_tx, events) = mpsc::channel(256);
    let config = RoomConfig {
        url: server.url.clone(),
        token: token(identity),
        purpose: Purpose::Room,
        times: Times::default(),
        renewable: false,
        addresses: vec![],
        permitted: true,
        voice_on: true,
        picture_on: true,
    };
    (RoomHandle::enter(config, MembershipId(1), events_tx), events)
}

/// Sends a packet of each kind every 20 ms while the line is open.
fn chatter(mut line: watch::Receiver<Option<Line>>, payload: Vec<u8>, step: u32) {
    tokio::spawn(async move {
        let (mut sequence, mut timestamp) = (0u16, 0u32);
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let open = line.borrow_and_update().clone();
            if let Some(Line { track, payload_type }) = open {
                let level = (track.kind() == Kind::Voice).then_some(30);
                let sent =
                    track.send(payload_type, sequence, timestamp, true, Bytes::from(payload.clone()), level).await;
                if sent.is_err() {
                    return;
                }
                sequence = sequence.wrapping_add(1);
                timestamp = timestamp.wrapping_add(step);
            }
            if line.has_changed().is_err() {
                return;
            }
        }
    });
}

fn talk(handle: &RoomHandle) {
    chatter(handle.voice.clone(), vec![0xf8, 0xff, 0xfe], 960);
    // STAP-A of SPS, PPS and a tiny IDR: enough for a server that looks for keyframes.
    let sps: &[u8] = &[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a];
    let pps: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    let idr: &[u8] = &[0x65, 0xb8, 0x00, 0x04, 0x00, 0x00, 0x05, 0xff];
    let mut stap = vec![0x78];
    for nal in [sps, pps, idr] {
        stap.extend((nal.len() as u16).to_be_bytes());
        stap.extend(nal);
    }
    chatter(handle.picture.clone(), stap, 1800);
}

async fn until<T>(
    events: &mut mpsc::Receiver<(MembershipId, RoomEvent)>,
    what: &str,
    mut found: impl FnMut(RoomEvent) -> Option<T>,
) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    loop {
        let event = tokio::time::timeout_at(deadline, events.recv()).await;
        let (_, event) = event.unwrap_or_else(|_| panic!("no {what} in time")).unwrap_or_else(|| panic!("no {what}"));
        if let Some(found) = found(event) {
            return found;
        }
    }
}

async fn first_media(events: &mut mpsc::Receiver<(MembershipId, RoomEvent)>, began: Instant) -> (Duration, Duration) {
    let (mut voice, mut picture) = (None, None);
    while voice.is_none() || picture.is_none() {
        let track = until(events, "track", |event| match event {
            RoomEvent::Track { identity, track } => {
                assert!(identity == "alice" || identity == "bob");
                Some(track)
            }
            _ => None,
        })
        .await;
        let packet = tokio::time::timeout(Duration::from_secs(10), track.next()).await;
        assert!(packet.expect("a packet in time").is_some());
        match track.kind {
            Kind::Voice => {
                assert_eq!(track.codec, Codec::Opus);
                voice = Some(began.elapsed());
            }
            Kind::Picture => {
                assert_eq!(track.codec, Codec::H264);
                picture = Some(began.elapsed());
            }
        }
        tokio::spawn(async move { while track.next().await.is_some() {} });
    }
    (voice.unwrap(), picture.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs LiveKit's server program in AHOY_LIVEKIT_SERVER"]
async fn livekit_carries_voice_and_picture_both_ways_and_says_who_left() {
    let server = start().await;
    for round in 0..3 {
        let (alice, mut alice_events) = enter(&server, "alice");
        talk(&alice);
        until(&mut alice_events, "path", |event| {
            matches!(event, RoomEvent::Happened(Happened::Link(Link::Up))).then_some(())
        })
        .await;
        let began = Instant::now();
        let (bob, mut bob_events) = enter(&server, "bob");
        talk(&bob);
        let (at_bob, at_alice) =
            tokio::join!(first_media(&mut bob_events, began), first_media(&mut alice_events, began));
        println!("round {round}: at bob {at_bob:?}, at alice {at_alice:?}");

        bob.command(RoomCommand::Exit);
        until(&mut bob_events, "devices", |event| matches!(event, RoomEvent::CloseDevices).then_some(())).await;
        bob.command(RoomCommand::DevicesClosed);
        let ending = until(&mut bob_events, "end", |event| match event {
            RoomEvent::Happened(Happened::Ended(ending)) => Some(ending),
            _ => None,
        })
        .await;
        assert_eq!(ending, Ending::Exit(protocol::ExitReason::Own));
        let left = until(&mut alice_events, "leave", |event| match event {
            RoomEvent::Happened(Happened::RemoteLeft(who, reason)) => Some((who, reason)),
            _ => None,
        })
        .await;
        assert_eq!(left, ("bob".to_owned(), LeaveReason::Left));
        drop(alice);
    }
}
