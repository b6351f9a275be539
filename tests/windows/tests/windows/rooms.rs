//! Rooms without a call, entered from the start screen.

use crate::devices_are_off;
use anyhow::{Result, ensure};
use tests_windows::{Scene, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_entered_by_number_and_by_name_and_left() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    let (alice, bob) = step("two windows", scene.two_windows(&alice, &bob)).await?;
    step("both enter 4711", together(&alice, &bob, "4711")).await?;
    step("bob leaves", left_behind(&alice, &bob)).await?;
    step("alice leaves", leave(&alice)).await?;
    step("both enter Planning", together(&alice, &bob, "Planning")).await?;
    step("bob leaves Planning", left_behind(&alice, &bob)).await?;
    step("alice leaves Planning", leave(&alice)).await?;
    step("123 and \"123\" are two rooms", apart(&alice, &bob)).await?;
    step("names that are none are refused", refused(&alice)).await
}

async fn enter(window: &Window<'_>, room: &str, how: &str) -> Result<()> {
    window.click("way-room").await?;
    window.write("dial-room", room).await?;
    window.click(how).await?;
    window.shows("call-screen", "data-link", "up").await
}

async fn together(alice: &Window<'_>, bob: &Window<'_>, room: &str) -> Result<()> {
    enter(alice, room, "room-video").await?;
    alice.reads("call-screen", room).await?;
    alice.sees("call-alone").await?;
    alice.reads("call-count", "1 person").await?;
    alice.photograph("room-alone").await?;
    enter(bob, room, "room-voice").await?;
    alice.reads("call-count", "2 people").await?;
    alice.shows("tile-bob", "data-state", "in").await?;
    alice.shows("tile-bob", "data-camera", "false").await?;
    alice.loses("call-alone").await?;
    bob.watches("alice").await?;
    alice.photograph("room").await?;
    bob.photograph("room").await.map(drop)
}

async fn left_behind(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    leave(bob).await?;
    alice.tiles_were("bob", &["in", "left Left"]).await?;
    alice.loses("tile-bob").await?;
    alice.sees("call-alone").await
}

/// Whoever leaves by themselves knows why it is over: they are back at the start at once.
async fn leave(window: &Window<'_>) -> Result<()> {
    window.click("call-hangup").await?;
    window.sees("start-screen").await?;
    devices_are_off(window, "start-screen").await
}

async fn apart(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    enter(alice, "123", "room-voice").await?;
    enter(bob, "\"123\"", "room-voice").await?;
    bob.reads("call-screen", "\"123\"").await?;
    // A room is told of everyone in it when it is entered; and whoever leaves one of them says nothing in the other.
    for window in [alice, bob] {
        window.reads("call-count", "1 person").await?;
        window.sees("call-alone").await?;
    }
    leave(bob).await?;
    enter(bob, "123", "room-voice").await?;
    alice.reads("call-count", "2 people").await?;
    let met = alice.events().iter().filter(|e| e["event"] == "onRemoteUserEnterRoom").count();
    // 4711, Planning, and now 123.
    ensure!(met == 3, "alice met bob {met} times");
    leave(bob).await?;
    leave(alice).await
}

async fn refused(alice: &Window<'_>) -> Result<()> {
    alice.click("way-room").await?;
    alice.write("dial-room", "no/slash").await?;
    alice.click("room-voice").await?;
    alice.reads("banner-refused", "-100014").await?;
    alice.photograph("room-refused").await?;
    alice.write("dial-room", "4294967295").await?;
    alice.click("room-voice").await?;
    alice.shows("dial-room", "aria-invalid", "true").await
}
