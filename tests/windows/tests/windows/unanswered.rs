//! Calls that never begin: declined, taken back, not answered; and one that is answered without a camera.

use crate::{back, devices_are_off};
use anyhow::Result;
use tests_windows::{Scene, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn declining_taking_back_and_silence_are_told_apart_in_words() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    let (alice, bob) = step("two windows", scene.two_windows(&alice, &bob)).await?;
    step("nobody has this id", unknown(&alice)).await?;
    step("bob declines", declined(&alice, &bob)).await?;
    step("alice takes it back", taken_back(&alice, &bob)).await?;
    step("bob minimises the dialog and declines in the bar", from_the_bar(&alice, &bob)).await?;
    step("bob answers without a camera", voice_only(&alice, &bob)).await?;
    step("nobody answers", no_answer(&alice, &bob)).await
}

async fn ring(alice: &Window<'_>, bob: &Window<'_>, media: &str) -> Result<()> {
    alice.write("dial-user", "bob").await?;
    alice.click(&format!("dial-{media}")).await?;
    bob.shows("incoming-dialog", "data-media", media).await?;
    alice.shows("calling-screen", "data-ringing", "true").await
}

async fn over(window: &Window<'_>, words: &str, picture: &str) -> Result<()> {
    window.reads("ended-screen", words).await?;
    devices_are_off(window, "ended-screen").await?;
    window.photograph(picture).await?;
    back(window).await
}

async fn unknown(alice: &Window<'_>) -> Result<()> {
    alice.write("dial-user", "zoe").await?;
    alice.click("dial-voice").await?;
    alice.reads("banner-refused", "-1202").await?;
    alice.photograph("refused").await?;
    alice.click("banner-refused-close").await?;
    alice.loses("banner-refused").await
}

async fn declined(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    ring(alice, bob, "voice").await?;
    bob.photograph("incoming-voice").await?;
    alice.photograph("ringing-voice").await?;
    bob.click("incoming-decline").await?;
    over(bob, "You declined", "declined").await?;
    alice.reads("ended-screen", "bob declined").await?;
    alice.sees("ended-again").await?;
    over(alice, "bob declined", "declined").await
}

async fn taken_back(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    ring(alice, bob, "video").await?;
    alice.click("call-hangup").await?;
    over(alice, "Call taken back", "taken-back").await?;
    over(bob, "alice took the call back", "taken-back").await
}

async fn from_the_bar(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    ring(alice, bob, "video").await?;
    bob.click("incoming-minimise").await?;
    bob.sees("incoming-bar").await?;
    bob.photograph("incoming-bar").await?;
    bob.click("incoming-bar-open").await?;
    bob.sees("incoming-dialog").await?;
    bob.click("incoming-minimise").await?;
    bob.click("incoming-bar-decline").await?;
    over(bob, "You declined", "declined").await?;
    // Call again, from the screen that says why it is over.
    alice.reads("ended-screen", "bob declined").await?;
    alice.click("ended-again").await?;
    bob.shows("incoming-dialog", "data-media", "video").await?;
    bob.click("incoming-decline").await?;
    over(bob, "You declined", "declined").await?;
    over(alice, "bob declined", "declined").await
}

async fn voice_only(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    ring(alice, bob, "video").await?;
    bob.click("incoming-voice-only").await?;
    for window in [alice, bob] {
        window.shows("call-screen", "data-link", "up").await?;
    }
    bob.watches("alice").await?;
    bob.shows("call-camera", "aria-pressed", "false").await?;
    bob.shows("tile-bob", "data-camera", "false").await?;
    alice.shows("tile-bob", "data-state", "in").await?;
    alice.shows("tile-bob", "data-camera", "false").await?;
    alice.photograph("voice-only").await?;
    alice.click("call-hangup").await?;
    over(alice, "Call ended", "ended").await?;
    over(bob, "alice hung up", "ended").await
}

async fn no_answer(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    ring(alice, bob, "voice").await?;
    over(alice, "No answer", "no-answer").await?;
    bob.reads("ended-screen", "Missed call from alice").await?;
    over(bob, "Missed call from alice", "missed").await
}
