//! Two real windows of the app under Xvfb, used as people use them: they click, type and look.
//!
//! Each test opens its windows once and goes through several steps; a failed step says its name, what the window showed
//! instead, and where its picture is. Pictures of the good moments are kept under `target/dev/screenshots`.
#![cfg(target_os = "linux")]

mod call;
mod going;
mod group;
mod pictures;
mod put_out;
mod reconnecting;
mod rooms;
mod signed_in;
mod signing_in;
mod unanswered;

use anyhow::Result;
use tests_windows::Window;

/// Alice calls Bob with video by clicking, Bob accepts by clicking, and both are in.
async fn talk(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    alice.write("dial-user", "bob").await?;
    alice.click("dial-video").await?;
    bob.click("incoming-accept").await?;
    for (window, other) in [(alice, "bob"), (bob, "alice")] {
        window.shows("call-screen", "data-link", "up").await?;
        window.shows(&format!("tile-{other}"), "data-camera", "true").await?;
    }
    Ok(())
}

/// From the screen that says why it is over to the start.
async fn back(window: &Window<'_>) -> Result<()> {
    window.click("ended-back").await?;
    window.sees("start-screen").await
}

/// Camera and microphone are off: the window says so, and the sound server knows nobody who listens.
async fn devices_are_off(window: &Window<'_>, screen: &str) -> Result<()> {
    window.reads(screen, "Camera and microphone are off").await?;
    anyhow::ensure!(!window.machine.is_listened_to(), "{}'s microphone is still open", window.user());
    Ok(())
}
