//! Keys for rooms from engine to engine: what each bit lets through, and what is said where it is missing.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::Result;
use engine::api::{Answer, Intent, Refusal, Secret};
use protocol::{Event, RoomId, UserId};
use tests_calls::{House, Person};

fn room() -> RoomId {
    RoomId::Number(7)
}

async fn guarded() -> Result<House> {
    House::open_with(|config| config.require_map_key = true).await
}

async fn enter(house: &House, person: &Person, bits: u32) -> Result<Answer, Refusal> {
    let key = Some(Secret(house.key(&person.user, &room(), bits)));
    person.ask(Intent::EnterRoom { room: room(), camera: true, key }).await
}

/// Somebody who is in the room with these rights.
async fn inside(house: &House, name: &str, bits: u32) -> Result<Person> {
    let mut person = Person::simple(house, name).await?;
    enter(house, &person, bits).await?;
    person.wait_for("being in", |event| matches!(event, Event::OnEnterRoom { result } if *result > 0)).await?;
    Ok(person)
}

fn sends_voice(name: &'static str) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::OnUserAudioAvailable { user_id, is_audio_available: true } if user_id.as_str() == name)
}

fn sends_picture(name: &'static str) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::OnUserVideoAvailable { user_id, is_video_available: true } if user_id.as_str() == name)
}

fn hears(event: &Event) -> bool {
    matches!(event, Event::OnFirstAudioFrame { .. })
}

fn sees(event: &Event) -> bool {
    matches!(event, Event::OnFirstVideoFrame { .. })
}

/// Waits until something has been reported, whatever came before and after it.
async fn reported(person: &mut Person, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<()> {
    person.listen();
    if !person.history.iter().any(&wanted) {
        person.wait_for(what, wanted).await?;
    }
    Ok(())
}

fn error(code: i32) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::OnError { code: said, .. } if *said == code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_entry_comes_with_its_code() -> Result<()> {
    let house = guarded().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let keyless = Intent::EnterRoom { room: room(), camera: true, key: None };
    assert_eq!(alice.ask(keyless).await.map_err(|refusal| refusal.code), Err(-100_006));
    let mut refused = vec![-100_006];
    for (bits, code) in [(255 - 1, -102_010), (255 - 2, -102_011)] {
        assert_eq!(enter(&house, &alice, bits).await.map_err(|refusal| refusal.code), Err(code));
        refused.push(code);
    }
    for code in refused {
        alice
            .wait_for("the code", |event| matches!(event, Event::OnEnterRoom { result } if *result == i64::from(code)))
            .await?;
        alice.wait_for("the error", error(code)).await?;
    }
    alice.see("closed devices", |snapshot| !snapshot.devices.microphone_on && !snapshot.devices.camera_on).await?;
    // The room that 254 may not make is there once somebody else has made it.
    let _bob = inside(&house, "bob", 255).await?;
    enter(&house, &alice, 255 - 1).await?;
    alice.wait_for("being in", |event| matches!(event, Event::OnEnterRoom { result } if *result > 0)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_is_not_sent_and_its_device_is_closed() -> Result<()> {
    let house = guarded().await?;
    let mut alice = inside(&house, "alice", 255).await?;

    let mut mute = inside(&house, "mute", 255 - 4).await?;
    reported(&mut mute, "no right to speak", error(-100_006)).await?;
    mute.see("a closed microphone", |snapshot| !snapshot.devices.microphone_on).await?;
    reported(&mut alice, "the picture of mute", sends_picture("mute")).await?;
    reported(&mut alice, "a picture", sees).await?;

    let mut blind = inside(&house, "blank", 255 - 16).await?;
    reported(&mut blind, "no right to be seen", error(-102_013)).await?;
    blind.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
    reported(&mut alice, "the voice of blank", sends_voice("blank")).await?;
    reported(&mut alice, "a voice", hears).await?;

    // Switched on again, it is said again.
    blind.forget();
    blind.ask(Intent::Camera(true)).await?;
    blind.wait_for("no right to be seen", error(-102_013)).await?;
    let silent = |event: &Event| sends_voice("mute")(event) || sends_picture("blank")(event);
    alice.listen();
    assert!(!alice.history.iter().any(silent), "{:?}", alice.history);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_enters_silently_hears_of_no_missing_right_to_send() -> Result<()> {
    let house = guarded().await?;
    let _alice = inside(&house, "alice", 255).await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let key = Some(Secret(house.key(&bob.user, &room(), 255 - 16)));
    bob.ask(Intent::EnterRoom { room: room(), camera: false, key }).await?;
    reported(&mut bob, "a voice", hears).await?;
    assert!(!bob.history.iter().any(error(-102_013)), "{:?}", bob.history);
    bob.ask(Intent::Camera(true)).await?;
    bob.wait_for("no right to be seen", error(-102_013)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_received_by_its_own_bit() -> Result<()> {
    let house = guarded().await?;
    let _alice = inside(&house, "alice", 255).await?;
    for (name, bits, voice, picture) in
        [("audience", 42, true, true), ("deaf", 255 - 8, false, true), ("dazzled", 255 - 32, true, false)]
    {
        let mut person = inside(&house, name, bits).await?;
        if picture {
            reported(&mut person, "a picture", sees).await?;
        }
        if voice {
            reported(&mut person, "a voice", hears).await?;
        }
        if !(voice && picture) {
            reported(&mut person, "that something is missing", error(-100_006)).await?;
        }
        // What may not come has had at least as long as what came.
        assert_eq!(person.history.iter().any(hears), voice, "{name}: {:?}", person.names());
        assert_eq!(person.history.iter().any(sees), picture, "{name}: {:?}", person.names());
        person.ask(Intent::ExitRoom).await?;
        person.wait("onExitRoom").await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_receive_nothing_receives_nothing() -> Result<()> {
    let house = guarded().await?;
    let mut alice = inside(&house, "alice", 255).await?;
    let mut bob = inside(&house, "bob", 1 + 2 + 4 + 16).await?;
    reported(&mut bob, "that something is missing", error(-100_006)).await?;
    reported(&mut alice, "a voice", hears).await?;
    reported(&mut alice, "a picture", sees).await?;
    bob.listen();
    assert!(!bob.history.iter().any(|event| hears(event) || sees(event)), "{:?}", bob.names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_needs_no_key() -> Result<()> {
    let house = guarded().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    alice.call("bob", protocol::CallMediaType::Video).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Accept { camera: true }).await?;
    for person in [&mut alice, &mut bob] {
        reported(person, "a voice", hears).await?;
    }
    let callees = vec![UserId::new("bob")?];
    let media = protocol::CallMediaType::Voice;
    let mut carol = Person::simple(&house, "carol").await?;
    let into_a_room = Intent::Call { callees, media, user_data: String::new(), timeout: None, room: Some(room()) };
    assert_eq!(carol.ask(into_a_room).await.map_err(|refusal| refusal.code), Err(-100_006));
    carol.listen();
    Ok(())
}
