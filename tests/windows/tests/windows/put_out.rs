//! Put out by an administrator: removed from a room (reason 1), and the room dismissed (reason 2).

use crate::{back, devices_are_off, talk};
use anyhow::{Context, Result};
use protocol::RoomId;
use tests_windows::{Scene, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_put_out_is_told_so_with_devices_off_and_a_way_back() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    let (alice, bob) = step("two windows", scene.two_windows(&alice, &bob)).await?;
    let room = RoomId::number(4711)?;
    step("both enter 4711", enter(&alice, &bob)).await?;
    step("bob is removed", async {
        scene.house.remove(&room, "bob").await?;
        removed(&alice, &bob).await
    })
    .await?;
    step("bob enters afresh", enter_again(&alice, &bob)).await?;
    step("the room is dismissed", async {
        scene.house.dismiss(&room).await?;
        dismissed(&alice, &bob).await
    })
    .await?;
    step("bob is removed from a call", from_a_call(&scene, &alice, &bob)).await
}

async fn enter(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    for window in [alice, bob] {
        window.click("way-room").await?;
        window.write("dial-room", "4711").await?;
        window.click("room-video").await?;
    }
    alice.watches("bob").await?;
    bob.watches("alice").await
}

async fn enter_again(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    bob.click("way-room").await?;
    bob.write("dial-room", "4711").await?;
    bob.click("room-video").await?;
    alice.watches("bob").await
}

async fn removed(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    bob.reads("banner-removed", "You were removed from the room").await?;
    devices_are_off(bob, "banner-removed").await?;
    bob.until("way back that has the focus", "return document.activeElement?.dataset.testid === 'ended-back'").await?;
    bob.photograph("removed").await?;
    alice.tiles_were("bob", &["in", "left Removed"]).await?;
    alice.loses("tile-bob").await?;
    alice.sees("call-alone").await?;
    // By the keyboard: whoever was put out has it there.
    bob.press("ended-back", '\u{E007}').await?;
    bob.sees("start-screen").await
}

async fn dismissed(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    for window in [alice, bob] {
        window.reads("banner-dismissed", "The room was dismissed").await?;
        devices_are_off(window, "banner-dismissed").await?;
        window.photograph("dismissed").await?;
        back(window).await?;
    }
    Ok(())
}

async fn from_a_call(scene: &Scene, alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    talk(alice, bob).await?;
    let events = bob.events();
    let begun = events.iter().rfind(|event| event["event"] == "onCallBegin").context("bob's call began")?;
    let room: RoomId = serde_json::from_value(begun["roomId"].clone())?;
    scene.house.remove(&room, "bob").await?;
    bob.reads("banner-removed", "You were removed from the room").await?;
    devices_are_off(bob, "banner-removed").await?;
    bob.photograph("removed-from-call").await?;
    alice.reads("ended-screen", "bob was removed from the call").await?;
    devices_are_off(alice, "ended-screen").await?;
    alice.photograph("other-removed-from-call").await?;
    back(bob).await?;
    back(alice).await
}
