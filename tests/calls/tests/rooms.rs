//! Rooms without a call: by number and by text, entered and left in every order a person can think of.

use anyhow::Result;
use engine::api::{Ended, Intent, Presence, Refusal, Stage};
use media::{DeviceChoice, Synthetic};
use protocol::{CallMediaType, Code, Event, ExitReason, LeaveReason, RoomId, UserId};
use tests_calls::{House, Person, Proxy};
use tokio::task::JoinHandle;

fn number(n: u32) -> RoomId {
    RoomId::number(n).expect("a good number")
}

fn text(name: &str) -> RoomId {
    RoomId::text(name).expect("a good name")
}

async fn enter(person: &mut Person, room: &RoomId) -> Result<()> {
    person.ask(Intent::EnterRoom { room: room.clone(), camera: true, key: None }).await?;
    let entered = person.wait("onEnterRoom").await?;
    anyhow::ensure!(matches!(entered, Event::OnEnterRoom { result } if result > 0), "{entered:?}");
    Ok(())
}

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a short word")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_and_the_same_text_are_two_rooms() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let mut carol = Person::simple(&house, "carol").await?;
    enter(&mut alice, &number(123)).await?;
    enter(&mut bob, &text("123")).await?;
    enter(&mut carol, &number(123)).await?;
    assert_eq!(
        alice.wait("onRemoteUserEnterRoom").await?,
        Event::OnRemoteUserEnterRoom { user_id: user("carol") },
        "bob is somewhere else"
    );
    for (person, other) in [(&mut alice, "carol"), (&mut carol, "alice")] {
        person
            .wait_for("the other's picture", |event| {
                matches!(event, Event::OnUserVideoAvailable { user_id, is_video_available: true } if user_id.as_str() == other)
            })
            .await?;
    }
    carol.ask(Intent::ExitRoom).await?;
    assert_eq!(carol.wait("onExitRoom").await?, Event::OnExitRoom { reason: ExitReason::Own });
    carol.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
    let left = alice.wait("onRemoteUserLeaveRoom").await?;
    assert_eq!(left, Event::OnRemoteUserLeaveRoom { user_id: user("carol"), reason: LeaveReason::Left });
    bob.listen();
    assert!(!bob.names().contains(&"onRemoteUserEnterRoom".to_owned()), "{:?}", bob.names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_or_leaving_twice_is_refused_and_changes_nothing() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let nothing = alice.ask(Intent::ExitRoom).await.expect_err("there is no room");
    assert_eq!(nothing.code, Code::WrongState.number());
    enter(&mut alice, &text("hall")).await?;
    for again in [text("hall"), number(5)] {
        let refused =
            alice.ask(Intent::EnterRoom { room: again, camera: true, key: None }).await.expect_err("already in one");
        assert_eq!(refused.code, Code::WrongState.number());
    }
    alice.see("still in", |snapshot| matches!(&snapshot.stage, Stage::Live(live) if live.room == "hall")).await?;
    alice.ask(Intent::ExitRoom).await?;
    // The second click may be in time for the same room, or too late for any; one exit comes of both.
    let _ = alice.ask(Intent::ExitRoom).await;
    alice.wait("onExitRoom").await?;
    enter(&mut alice, &number(5)).await?;
    assert_eq!(alice.names().iter().filter(|name| *name == "onExitRoom").count(), 1, "{:?}", alice.names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_entering_is_out_and_can_enter_again() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    enter(&mut bob, &text("hall")).await?;
    for _ in 0..3 {
        let engine = alice.engine.clone();
        let entering = tokio::spawn(async move {
            engine.request(Intent::EnterRoom { room: text("hall"), camera: true, key: None }).await
        });
        alice.see("the camera", |snapshot| snapshot.devices.camera_on).await?;
        alice.ask(Intent::ExitRoom).await?;
        // Refused where the exit was faster than the server's answer.
        let _ = entering.await?;
        assert_eq!(alice.wait("onExitRoom").await?, Event::OnExitRoom { reason: ExitReason::Own });
        alice.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
    }
    enter(&mut alice, &text("hall")).await?;
    bob.see("alice", |snapshot| {
        let is_in = |person: &engine::api::Person| person.user == user("alice") && person.presence == Presence::In;
        matches!(&snapshot.stage, Stage::Live(live) if live.people.iter().any(is_in))
    })
    .await?;
    Ok(())
}

/// Asks for something that may take its time.
fn begin(person: &Person, intent: Intent) -> JoinHandle<Result<engine::api::Answer, Refusal>> {
    let engine = person.engine.clone();
    tokio::spawn(async move { engine.request(intent).await })
}

async fn is_back_at_the_start(person: &Person) -> Result<()> {
    person
        .see("the start, devices closed", |snapshot| {
            snapshot.stage == Stage::Idle && !snapshot.devices.camera_on && !snapshot.devices.microphone_on
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_silent_the_screen_says_what_is_awaited_and_it_can_be_stopped() -> Result<()> {
    // Long enough that the connection is not given up meanwhile.
    let house = House::open_beating(std::time::Duration::from_secs(60)).await?;
    let way = Proxy::open(house.address()).await?;
    let mut alice = Person::arrive_by(&house, way.url(), "alice", DeviceChoice::None, DeviceChoice::None).await?;
    let hall = || Intent::EnterRoom { room: text("hall"), camera: true, key: None };
    let is_entering = |snapshot: &engine::api::Snapshot| {
        let stage = Stage::Entering { call: None, room: "hall".to_owned() };
        snapshot.stage == stage && snapshot.devices.camera_on
    };
    way.hold();
    let entering = begin(&alice, hall());
    alice.see("on the way in", is_entering).await?;
    alice.ask(Intent::ExitRoom).await?;
    assert!(entering.await?.is_err());
    is_back_at_the_start(&alice).await?;

    let callees = vec![user("bob")];
    let call =
        Intent::Call { callees, media: CallMediaType::Video, user_data: String::new(), timeout: None, room: None };
    let calling = begin(&alice, call);
    alice.see("calling", |snapshot| matches!(&snapshot.stage, Stage::Calling { call: None, callees, .. } if *callees == [user("bob")])).await?;
    alice.ask(Intent::Hangup).await?;
    assert!(calling.await?.is_err());
    is_back_at_the_start(&alice).await?;

    let entering = begin(&alice, hall());
    alice.see("on the way in again", is_entering).await?;
    let silent = entering.await?.expect_err("nobody has answered");
    assert_eq!(silent.code, Code::Signalling.number());
    is_back_at_the_start(&alice).await?;
    assert_eq!(alice.wait("onEnterRoom").await?, Event::OnEnterRoom { result: i64::from(Code::Signalling.number()) });
    // What was given up is given up at the server, too.
    way.mend();
    enter(&mut alice, &text("hall")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wrong_with_a_camera_is_over_when_it_is_closed() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    enter(&mut alice, &number(5)).await?;
    alice.see("the camera", |snapshot| snapshot.devices.camera_on).await?;
    alice.ask(Intent::SelectCamera(DeviceChoice::File("/nowhere/film.y4m".into()))).await?;
    let of_camera = |snapshot: &engine::api::Snapshot| {
        snapshot.devices.trouble.iter().any(|trouble| trouble.device == media::DeviceKind::Camera)
    };
    alice.see("trouble with the camera", of_camera).await?;
    alice.ask(Intent::Camera(false)).await?;
    alice.see("none of a camera that nobody wants", |snapshot| !of_camera(snapshot)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_is_refused_with_its_code_and_open_again_when_somebody_leaves() -> Result<()> {
    let house = House::open_with(|config| config.rules.room_limit = 1).await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    enter(&mut alice, &number(7)).await?;
    bob.ask(Intent::EnterRoom { room: number(7), camera: true, key: None }).await?;
    let full = bob.wait("onEnterRoom").await?;
    assert_eq!(full, Event::OnEnterRoom { result: i64::from(Code::RoomFull.number()) });
    bob.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
    alice.ask(Intent::ExitRoom).await?;
    alice.wait("onExitRoom").await?;
    enter(&mut bob, &number(7)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_put_out_of_a_room_learns_by_whom() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    enter(&mut alice, &number(9)).await?;
    enter(&mut bob, &number(9)).await?;
    let by_the_key = |snapshot: &engine::api::Snapshot| matches!(&snapshot.stage, Stage::Ended(Ended::Room { by: Some(by), .. }) if by.as_str() == "tests");
    house.remove(&number(9), "bob").await?;
    assert_eq!(bob.wait("onExitRoom").await?, Event::OnExitRoom { reason: ExitReason::Removed });
    bob.see("by whom", by_the_key).await?;
    house.dismiss(&number(9)).await?;
    assert_eq!(alice.wait("onExitRoom").await?, Event::OnExitRoom { reason: ExitReason::Dismissed });
    alice.see("by whom", by_the_key).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_put_out_while_away_learns_it_on_the_way_back() -> Result<()> {
    let house = House::open().await?;
    for (room, reason) in [(number(10), ExitReason::Removed), (text("hall"), ExitReason::Dismissed)] {
        let proxy = Proxy::open(house.address()).await?;
        let (tone, deaf) = (DeviceChoice::Synthetic(Synthetic::Tone(440)), DeviceChoice::None);
        let mut alice = Person::arrive_by(&house, proxy.url(), "alice", tone, deaf).await?;
        let mut bob = Person::simple(&house, "bob").await?;
        enter(&mut alice, &room).await?;
        enter(&mut bob, &room).await?;
        proxy.cut();
        match reason {
            ExitReason::Removed => house.remove(&room, "alice").await?,
            ExitReason::Own | ExitReason::Dismissed => house.dismiss(&room).await?,
        }
        proxy.mend();
        assert_eq!(alice.wait("onExitRoom").await?, Event::OnExitRoom { reason });
        alice
            .see("why and by whom", |snapshot| {
                matches!(&snapshot.stage, Stage::Ended(Ended::Room { reason: told, by: Some(by), .. })
                    if *told == reason && by.as_str() == "tests")
            })
            .await?;
        alice.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
    }
    Ok(())
}
