//! The lane from end to end: a sink on one side, a WebSocket client in the web view's place on the other.

use super::gate::{CREDIT_LIMIT, FIRST_CREDIT};
use super::wire::HEADER_LEN;
use super::*;
use futures_util::{SinkExt, StreamExt};
use media::picture::{Encoder, EncoderConfig, Pattern, timecode};
use media::{AccessUnit, I420, Picture, PictureId};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Nothing on loopback takes longer.
const DEADLINE: Duration = Duration::from_secs(20);
/// So long is waited for a message that must not come.
const SILENCE: Duration = Duration::from_millis(100);

/// A web view's end.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// A frame as it came.
#[derive(Debug)]
struct Came {
    picture: u32,
    kind: u8,
    size: (u32, u32),
    micros: u64,
    payload: Vec<u8>,
}

impl Client {
    async fn connect(lane: &Lane) -> Self {
        Self(tokio_tungstenite::connect_async(lane.address().url).await.expect("the lane listens").0)
    }

    async fn greeted(lane: &Lane, mode: &str) -> Self {
        let mut client = Self::connect(lane).await;
        client.say(&format!(r#"{{"kind":"hello","secret":"{}","mode":"{mode}"}}"#, lane.address().secret)).await;
        // The greeting is answered by frames alone: wait until the lane has a screen.
        let start = Instant::now();
        while !lane.outbox.has_screen() {
            assert!(start.elapsed() < DEADLINE, "the lane did not take the hello");
            tokio::task::yield_now().await;
        }
        client
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    async fn credit(&mut self, picture: u32, n: u32) {
        self.say(&format!(r#"{{"kind":"credit","picture":{picture},"n":{n}}}"#)).await;
    }

    async fn frame(&mut self) -> Came {
        let message = tokio::time::timeout(DEADLINE, self.0.next()).await.expect("a frame comes in time");
        read(&message.expect("the lane stays").expect("the lane stays").into_data())
    }

    /// Frames until nothing more comes.
    async fn drain(&mut self) -> Vec<Came> {
        let mut frames = Vec::new();
        while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, self.0.next()).await {
            frames.push(read(&message.into_data()));
        }
        frames
    }

    async fn close_code(&mut self) -> Option<u16> {
        let closed = async {
            while let Some(Ok(message)) = self.0.next().await {
                if let Message::Close(frame) = message {
                    return frame.map(|frame| frame.code.into());
                }
            }
            None
        };
        tokio::time::timeout(DEADLINE, closed).await.expect("the lane closes")
    }
}

fn read(bytes: &[u8]) -> Came {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    Came {
        picture: u32_at(0),
        kind: bytes[4],
        size: (u32_at(8), u32_at(12)),
        micros: u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes")),
        payload: bytes[HEADER_LEN..].to_vec(),
    }
}

fn unit(n: u8, is_keyframe: bool) -> Picture {
    let timestamp = Duration::from_millis(u64::from(n));
    Picture::AccessUnit(AccessUnit { data: vec![n; 3].into(), is_keyframe, timestamp })
}

fn raw(n: u8) -> Picture {
    let timestamp = Duration::from_millis(u64::from(n));
    Picture::Raw(I420 { width: 4, height: 2, data: vec![n; 12].into(), timestamp })
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

const ID: PictureId = PictureId(7);

#[tokio::test]
async fn access_units_arrive_from_the_first_keyframe_on_and_the_end_is_told() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "webcodecs").await;
    screen.show(ID, unit(0, false));
    assert!(screen.wants_keyframe(ID), "nothing can be shown before one");
    screen.show(ID, unit(1, true));
    screen.show(ID, unit(2, false));
    screen.end(ID);
    let (first, second, end) = (client.frame().await, client.frame().await, client.frame().await);
    assert_eq!((first.picture, first.kind, first.micros, first.payload), (7, 1, 1000, vec![1; 3]));
    assert_eq!((second.kind, second.payload), (2, vec![2; 3]));
    assert_eq!((end.picture, end.kind, end.payload.len()), (7, 4, 0));
}

#[tokio::test]
async fn a_slow_screen_loses_frames_up_to_a_keyframe_and_holds_up_nobody() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "webcodecs").await;
    // An hour of video at a screen that gives no credit.
    let start = Instant::now();
    for n in 0..108_000_u32 {
        screen.show(ID, unit(1, n % 300 == 0));
        assert!(lane.outbox.queued() <= CREDIT_LIMIT as usize);
    }
    assert!(start.elapsed() < DEADLINE, "the caller was held up");
    assert!(!screen.wants_keyframe(ID), "a keyframe would have no credit either");
    let kinds: Vec<u8> = client.drain().await.iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [1, 2, 2, 2], "the first credit and no more");

    client.credit(7, 2).await;
    until("credit opens the way for a keyframe", || screen.wants_keyframe(ID)).await;
    assert!(!screen.wants_keyframe(ID), "asked once per need");
    screen.show(ID, unit(2, false));
    screen.show(ID, unit(3, true));
    let next = client.frame().await;
    assert_eq!((next.kind, next.payload), (1, vec![3; 3]), "the delta before it is useless");
}

#[tokio::test]
async fn of_raw_pictures_the_latest_waits() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "webcodecs").await;
    for n in 0..100 {
        screen.show(ID, raw(n));
    }
    assert_eq!(client.drain().await.len(), FIRST_CREDIT as usize);
    client.credit(7, 1).await;
    let latest = client.frame().await;
    assert_eq!((latest.kind, latest.size, latest.payload), (3, (4, 2), vec![99; 12]));
    assert!(client.drain().await.is_empty());
}

#[tokio::test]
async fn a_slow_picture_does_not_slow_the_others() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "webcodecs").await;
    for n in 0..50_u8 {
        screen.show(PictureId(1), unit(n, n == 0));
        screen.show(PictureId(2), unit(n, n == 0));
        let due = if u32::from(n) < FIRST_CREDIT { 2 } else { 1 };
        for _ in 0..due {
            let frame = client.frame().await;
            if frame.picture == 2 {
                client.credit(2, 1).await;
                assert_eq!(frame.payload, [n; 3]);
            }
        }
    }
}

#[tokio::test]
async fn a_lost_decoder_gets_a_keyframe_first() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "webcodecs").await;
    screen.show(ID, unit(0, true));
    client.frame().await;
    client.say(r#"{"kind":"keyframe","picture":7}"#).await;
    until("the sender is asked", || screen.wants_keyframe(ID)).await;
    screen.show(ID, unit(1, false));
    screen.show(ID, unit(2, true));
    assert_eq!(client.frame().await.payload, [2; 3]);
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_or_the_words_is_sent_away() {
    let lane = Lane::start().await.expect("lane");
    for hello in [r#"{"kind":"hello","secret":"wrong","mode":"raw"}"#, r#"{"kind":"credit","picture":1,"n":1}"#, "?"] {
        let mut client = Client::connect(&lane).await;
        client.say(hello).await;
        assert_eq!(client.close_code().await, Some(4401), "{hello}");
    }
    for wrong in [r#"{"kind":"shutdown"}"#, r#"{"kind":"credit","picture":-1,"n":1}"#] {
        let mut client = Client::greeted(&lane, "raw").await;
        client.say(wrong).await;
        assert_eq!(client.close_code().await, Some(4400), "{wrong}");
        until("the screen is gone", || !lane.outbox.has_screen()).await;
    }
}

#[tokio::test]
async fn a_reloaded_page_takes_over_and_begins_with_a_keyframe() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut first = Client::greeted(&lane, "webcodecs").await;
    screen.show(ID, unit(0, true));
    first.frame().await;
    let mut second = Client::connect(&lane).await;
    second.say(&format!(r#"{{"kind":"hello","secret":"{}","mode":"webcodecs"}}"#, lane.address().secret)).await;
    assert_eq!(first.close_code().await, Some(4409));
    assert!(screen.wants_keyframe(ID));
    screen.show(ID, unit(1, false));
    screen.show(ID, unit(2, true));
    let frame = second.frame().await;
    assert_eq!((frame.kind, frame.payload), (1, vec![2; 3]));
}

/// Bob's test pattern, encoded; the timecode counts the pictures.
struct Camera {
    pattern: Pattern,
    encoder: Encoder,
    number: u32,
}

impl Camera {
    fn new() -> Self {
        let encoder = Encoder::new(EncoderConfig { bitrate: 500_000, frame_rate: 25.0 }).expect("encoder");
        Self { pattern: Pattern::new(320, 180, "bob"), encoder, number: 0 }
    }

    /// The next picture; a keyframe where the screen wants one.
    fn send(&mut self, screen: &Arc<dyn FrameSink>) {
        self.number += 1;
        let raw = self.pattern.draw(Duration::from_millis(40) * self.number, self.number);
        let unit = self.encoder.encode(&raw).expect("encoded").expect("no picture is skipped");
        screen.show(ID, Picture::AccessUnit(unit));
        if screen.wants_keyframe(ID) {
            self.encoder.force_keyframe();
        }
    }
}

fn timecode(frame: &Came) -> Option<u32> {
    let (width, height) = frame.size;
    let raw = I420 { width, height, data: frame.payload.clone().into(), timestamp: Duration::ZERO };
    timecode::read(&raw)
}

#[tokio::test]
async fn a_web_view_that_cannot_decode_gets_the_same_pictures_raw() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "raw").await;
    let mut camera = Camera::new();
    for n in 1..=30 {
        camera.send(&screen);
        let frame = client.frame().await;
        assert_eq!((frame.picture, frame.kind, frame.size), (7, 3, (320, 180)));
        assert_eq!((timecode(&frame), frame.micros), (Some(n), u64::from(n) * 40_000));
        client.credit(7, 1).await;
    }
}

#[tokio::test]
async fn a_slow_web_view_that_cannot_decode_sees_fewer_pictures_and_never_old_ones() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "raw").await;
    let mut camera = Camera::new();
    for _ in 0..200 {
        camera.send(&screen);
        assert!(lane.outbox.queued() <= CREDIT_LIMIT as usize);
        tokio::task::yield_now().await;
    }
    let early = client.drain().await;
    assert_eq!(early.len(), FIRST_CREDIT as usize);
    client.credit(7, 1).await;
    let late = timecode(&client.frame().await).expect("a whole picture");
    assert!(late > 100, "picture {late} of 200 is an old one");
    assert!(client.drain().await.is_empty());
}

#[tokio::test]
async fn the_form_changes_at_run_time_and_each_begins_with_what_it_needs() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "webcodecs").await;
    let mut camera = Camera::new();
    camera.send(&screen);
    assert_eq!(client.frame().await.kind, 1);
    client.say(r#"{"kind":"mode","mode":"raw"}"#).await;
    client.credit(7, 4).await;
    until("raw pictures need a keyframe first", || screen.wants_keyframe(ID)).await;
    camera.encoder.force_keyframe();
    camera.send(&screen);
    assert_eq!(client.frame().await.kind, 3);
    client.say(r#"{"kind":"mode","mode":"webcodecs"}"#).await;
    until("the web view's decoder needs one too", || screen.wants_keyframe(ID)).await;
    camera.send(&screen);
    camera.encoder.force_keyframe();
    camera.send(&screen);
    assert_eq!(client.frame().await.kind, 1);
}

#[tokio::test]
async fn a_damaged_access_unit_leads_to_a_new_keyframe() {
    let lane = Lane::start().await.expect("lane");
    let screen = lane.screen();
    let mut client = Client::greeted(&lane, "raw").await;
    let mut camera = Camera::new();
    camera.send(&screen);
    client.frame().await;
    let mut damaged = vec![0, 0, 0, 1, 0x41];
    damaged.extend([0xff; 40]);
    let unit = AccessUnit { data: damaged.into(), is_keyframe: false, timestamp: Duration::ZERO };
    screen.show(ID, Picture::AccessUnit(unit));
    until("a keyframe is asked for", || screen.wants_keyframe(ID)).await;
}
