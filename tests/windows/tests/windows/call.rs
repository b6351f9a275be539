//! A whole video call: signing in, ringing, answering, talking, hanging up.

use crate::{back, devices_are_off};
use anyhow::{Result, ensure};
use tests_windows::{Scene, Start, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_sign_in_ring_talk_and_hang_up() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    let windows =
        async { tokio::try_join!(Window::open(&alice, Start::default()), Window::open(&bob, Start::default())) };
    let (alice, bob) = step("two windows", windows).await?;

    step("both sign in by typing", async { tokio::try_join!(sign_in(&scene, &alice), sign_in(&scene, &bob)) }).await?;
    step("alice dials bob with video", dial(&alice)).await?;
    step("it rings at both", ringing(&alice, &bob)).await?;
    step("bob accepts", bob.click("incoming-accept")).await?;
    step("both are in the call", async { tokio::try_join!(in_call(&alice, "bob"), in_call(&bob, "alice")) }).await?;
    let voices = [alice.machine.speak()?, bob.machine.speak()?];
    step("both see each other move", async { tokio::try_join!(alice.watches("bob"), bob.watches("alice")) }).await?;
    step("meters, quality and timer", async { tokio::try_join!(facts(&alice, "bob"), facts(&bob, "alice")) }).await?;
    alice.photograph("call").await?;
    bob.photograph("call").await?;
    drop(voices);
    step("bob mutes and unmutes", muting(&alice, &bob)).await?;
    step("bob's camera goes off and on", camera(&alice, &bob)).await?;
    step("the pictures change places", swap(&alice)).await?;
    step("device menus", menus(&alice)).await?;
    step("bob hangs up", hang_up(&alice, &bob)).await
}

async fn sign_in(scene: &Scene, window: &Window<'_>) -> Result<()> {
    window.sees("signin-screen").await?;
    window.photograph("sign-in").await?;
    window
        .write("signin-server", scene.house.url().as_str().trim_start_matches("http://").trim_end_matches('/'))
        .await?;
    window.write("signin-user", window.user()).await?;
    window.write("signin-ticket", &scene.ticket(window.user())?).await?;
    window.click("signin-submit").await?;
    window.sees("start-screen").await?;
    ensure!(!window.machine.is_listened_to(), "nobody has called, and the microphone is open");
    window.reads("start-screen", "Camera and microphone are off. They start when you call or answer.").await?;
    window.photograph("start").await.map(drop)
}

async fn dial(alice: &Window<'_>) -> Result<()> {
    alice.write("dial-user", "bob").await?;
    alice.click("dial-video").await?;
    alice.sees("calling-screen").await
}

async fn ringing(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    bob.shows("incoming-dialog", "data-media", "video").await?;
    for words in ["video call", "alice", "is calling you", "Your camera and microphone start only when you accept."] {
        bob.reads("incoming-dialog", words).await?;
    }
    ensure!(!bob.machine.is_listened_to(), "bob has not accepted, and his microphone is open");
    bob.stands_before_others(true).await?;
    alice.shows("calling-screen", "data-ringing", "true").await?;
    alice.reads("calling-state", "Ringing…").await?;
    // From the server's half a minute down.
    let left = |text: String| text.trim_start_matches("0:").parse::<u32>();
    let first = left(alice.text("calling-countdown").await?)?;
    ensure!((1..=30).contains(&first), "it rings for {first} s");
    let later = format!("return Number(id('calling-countdown')?.innerText.slice(2)) < {first}");
    alice.until("countdown that counts down", &later).await?;
    alice.reads("calling-screen", "Synthetic camera: this machine has none.").await?;
    alice
        .until("own preview", "return id('calling-preview')?.querySelector('canvas:not(.waiting)') !== undefined")
        .await?;
    alice.photograph("ringing").await?;
    bob.photograph("incoming").await.map(drop)
}

async fn in_call(window: &Window<'_>, other: &str) -> Result<()> {
    window.shows("call-screen", "data-link", "up").await?;
    window.shows(&format!("tile-{other}"), "data-state", "in").await?;
    window.shows(&format!("tile-{other}"), "data-camera", "true").await?;
    window.stands_before_others(false).await?;
    window.sees("own-view").await?;
    window.sees("synthetic-note").await
}

async fn facts(window: &Window<'_>, other: &str) -> Result<()> {
    let loud = format!("return Number(id('tile-{other}-meter')?.getAttribute('aria-valuenow')) > 10");
    window.until(&format!("voice of {other} on the meter"), &loud).await?;
    let ring = format!("return id('tile-{other}')?.hasAttribute('data-speaking')");
    window.until(&format!("ring around {other}, who speaks"), &ring).await?;
    let measured =
        format!("const q = id('tile-{other}-quality')?.dataset.quality; return q && q !== 'unknown' && q !== 'down'");
    window.until(&format!("quality of {other}"), &measured).await?;
    let told = window.ask("return window.__qualities.join(', ')").await?.to_string();
    ensure!(!told.contains(" down"), "{}: everything arrives, and the badges said {told}", window.user());
    window.click(&format!("tile-{other}-quality")).await?;
    for figure in ["Loss", "Round trip", "Jitter", "Receiving"] {
        window.reads(&format!("tile-{other}-figures"), figure).await?;
    }
    let received = format!("return /[1-9]\\d* kbit\\/s|Mbit\\/s/.test(id('tile-{other}-figures')?.innerText)");
    window.until("bit rate", &received).await?;
    window.photograph("figures").await?;
    window.press(&format!("tile-{other}-quality"), '\u{E00C}').await?;
    window.loses(&format!("tile-{other}-figures")).await?;
    let first = window.text("call-timer").await?;
    window.until("timer that runs", &format!("return id('call-timer')?.innerText > '{first}'")).await.map(drop)
}

async fn muting(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    bob.shows("call-mic", "aria-pressed", "true").await?;
    bob.click("call-mic").await?;
    bob.shows("call-mic", "aria-pressed", "false").await?;
    bob.sees("tile-bob-muted").await?;
    alice.sees("tile-bob-muted").await?;
    alice.photograph("other-muted").await?;
    bob.photograph("muted").await?;
    // By the keyboard this time.
    bob.press("call-mic", 'd').await?;
    bob.shows("call-mic", "aria-pressed", "false").await?;
    bob.click("call-mic").await?;
    bob.shows("call-mic", "aria-pressed", "true").await?;
    alice.sees("tile-bob-meter").await
}

async fn camera(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    bob.click("call-camera").await?;
    bob.shows("call-camera", "aria-pressed", "false").await?;
    bob.shows("tile-bob", "data-camera", "false").await?;
    alice.shows("tile-bob", "data-camera", "false").await?;
    alice.reads("tile-bob", "Camera off").await?;
    alice.photograph("camera-off").await?;
    bob.click("call-camera").await?;
    bob.shows("call-camera", "aria-pressed", "true").await?;
    alice.watches("bob").await
}

async fn swap(alice: &Window<'_>) -> Result<()> {
    let large = |user: &str| format!("return id('tile-{user}').clientWidth > 500");
    alice.until("bob's large picture", &large("bob")).await?;
    alice.click("own-view").await?;
    alice.until("own large picture", &large("alice")).await?;
    alice.watches("bob").await?;
    alice.photograph("swapped").await?;
    alice.click("own-view").await?;
    alice.until("bob's large picture again", &large("bob")).await.map(drop)
}

async fn menus(alice: &Window<'_>) -> Result<()> {
    alice.click("call-mic-menu").await?;
    alice.sees("menu-microphone-system").await?;
    alice.sees("menu-speaker-system").await?;
    alice.photograph("device-menu").await?;
    alice.press("menu-microphone-system", '\u{E00C}').await?;
    alice.loses("menu-microphone-system").await
}

async fn hang_up(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    bob.click("call-hangup").await?;
    for (window, words) in [(bob, "Call ended"), (alice, "bob hung up")] {
        window.reads("ended-screen", words).await?;
        window.reads("ended-screen", "The call lasted").await?;
        devices_are_off(window, "ended-screen").await?;
        window.photograph("ended").await?;
        back(window).await?;
    }
    let begun = alice.events().iter().filter(|event| event["event"] == "onCallBegin").count();
    ensure!(begun == 1, "one call began, not {begun}");
    Ok(())
}
