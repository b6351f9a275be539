//! Windows that close and processes that die in the middle of a call: the other side is told.

use crate::{back, talk};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tests_windows::{Scene, Window, step};

/// Dead silence counts as gone only after this; a process that died is noticed far earlier.
const MEMBER_TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_the_call_properly_and_dying_is_noticed() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bobs) = step("two computers", scene.two_machines()).await?;
    let (alice, bob) = step("two windows", scene.two_windows(&alice, &bobs)).await?;

    step("they talk", talk(&alice, &bob)).await?;
    step("bob closes the window", async {
        bob.close().await?;
        alice.reads("ended-screen", "bob hung up").await?;
        ensure!(!bobs.is_listened_to(), "the app has ended, and the microphone is open");
        alice.photograph("other-closed").await?;
        back(&alice).await
    })
    .await?;

    let bob = step("bob comes back", arrive(&scene, &bobs)).await?;
    step("they talk again", talk(&alice, &bob)).await?;
    step("bob's process is killed", async {
        let began = Instant::now();
        bob.kill().await?;
        alice.reads("ended-screen", "bob lost the connection").await?;
        ensure!(began.elapsed() < MEMBER_TIMEOUT, "noticed only after {:?}", began.elapsed());
        alice.photograph("other-died").await?;
        back(&alice).await
    })
    .await?;

    let bob = step("bob comes back and is told of the call", returns(&scene, &bobs)).await?;
    step("both enter a room", meet(&alice, &bob)).await?;
    step("bob is told to end by a signal", async {
        let pid = bob.pid()?;
        alice.forget_tiles().await?;
        let told = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status()?;
        ensure!(told.success(), "no process {pid}");
        alice.tiles_were("bob", &["left Left"]).await
    })
    .await?;
    drop(bob);

    let bob = step("bob comes back for the last time", arrive(&scene, &bobs)).await?;
    step("bob enters the room", enter(&bob)).await?;
    step("alice sees him", alice.shows("tile-bob", "data-state", "in")).await?;
    step("bob's process is killed in the room", async {
        // A tile said "Connection lost" before, in the call.
        alice.forget_tiles().await?;
        bob.kill().await?;
        alice.tiles_were("bob", &["left Connection lost"]).await?;
        let events = alice.events();
        let left = events.iter().rfind(|e| e["event"] == "onRemoteUserLeaveRoom").context("bob left the room")?;
        ensure!(left["reason"] == 1, "{left}");
        alice.sees("call-alone").await
    })
    .await
}

async fn arrive<'m>(scene: &Scene, machine: &'m tests_windows::Machine) -> Result<Window<'m>> {
    let window = Window::open(machine, scene.signed_in(machine.user())?).await?;
    window.sees("start-screen").await?;
    Ok(window)
}

/// At the start after a crash in a call.
async fn returns<'m>(scene: &Scene, machine: &'m tests_windows::Machine) -> Result<Window<'m>> {
    let window = Window::open(machine, scene.signed_in(machine.user())?).await?;
    window.reads("ended-screen", "The connection was lost").await?;
    window.photograph("back-after-crash").await?;
    back(&window).await?;
    Ok(window)
}

async fn enter(window: &Window<'_>) -> Result<()> {
    window.click("way-room").await?;
    window.write("dial-room", "4711").await?;
    window.click("room-video").await?;
    window.shows("call-screen", "data-link", "up").await
}

async fn meet(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    enter(alice).await?;
    enter(bob).await?;
    alice.shows("tile-bob", "data-state", "in").await
}
