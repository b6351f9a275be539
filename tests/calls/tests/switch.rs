//! A video call becomes a voice call. One process, one test: the threads that are looked at are those of this call.
#![cfg(target_os = "linux")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::Result;
use engine::api::{Intent, Stage};
use protocol::{CallMediaType, Event};
use tests_calls::steps::{keeps_hearing, sees, talk, user};
use tests_calls::{House, Person, capture_threads};

/// Pictures that have come from somebody.
async fn pictures(person: &Person, who: &str) -> u64 {
    person.engine.report().await.remotes.get(&user(who)).map_or(0, |remote| remote.video_frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_call_becomes_a_voice_call_and_no_picture_leaves() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    talk(&mut alice, &mut bob, CallMediaType::Video).await?;
    sees(&mut alice, "bob").await?;
    sees(&mut bob, "alice").await?;
    assert!(capture_threads()?.contains(&"camera".to_owned()));

    bob.ask(Intent::SwitchCallMediaType(CallMediaType::Voice)).await?;
    for person in [&mut alice, &mut bob] {
        let changed = person.wait("onCallMediaTypeChanged").await?;
        let (old_call_media_type, new_call_media_type) = (CallMediaType::Video, CallMediaType::Voice);
        assert_eq!(changed, Event::OnCallMediaTypeChanged { old_call_media_type, new_call_media_type });
        let voice = |stage: &Stage| matches!(stage, Stage::Live(live) if live.media == CallMediaType::Voice);
        person.see("a voice call", |snapshot| voice(&snapshot.stage)).await?;
        person.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
        let gone = |event: &Event| matches!(event, Event::OnUserVideoAvailable { is_video_available: false, .. });
        person.has("no picture any more", gone).await?;
    }
    // Nor can it be opened again: this is a voice call.
    let refused = alice.ask(Intent::Camera(true)).await.expect_err("there is no picture in a voice call");
    assert_eq!(refused.code, -1205, "{refused}");
    let threads = capture_threads()?;
    assert!(!threads.iter().any(|name| name == "camera" || name == "encoder"), "{threads:?}");

    // Voice comes and comes, and no picture with it.
    for (person, other) in [(&alice, "bob"), (&bob, "alice")] {
        keeps_hearing(person, other).await?;
        let before = pictures(person, other).await;
        keeps_hearing(person, other).await?;
        assert_eq!(pictures(person, other).await, before, "{other} still sends pictures");
    }
    // Asked for once more it is nothing new, and nobody is told.
    alice.ask(Intent::SwitchCallMediaType(CallMediaType::Voice)).await?;
    bob.ask(Intent::Hangup).await?;
    let end = alice.wait("onCallEnd").await?;
    assert!(matches!(end, Event::OnCallEnd { call_media_type: CallMediaType::Voice, .. }), "{end:?}");
    let changes = alice.names().into_iter().filter(|name| name == "onCallMediaTypeChanged").count();
    assert_eq!(changes, 1);
    Ok(())
}
