//! What befalls whoever is signed in: another sign-in, a ticket that ends, a wish for quiet, a voice instead of a picture.

use crate::{back, devices_are_off, talk};
use anyhow::{Result, ensure};
use std::time::Duration;
use tests_calls::Person;
use tests_windows::{Scene, Start, Window, step};

/// Long enough to get into a call on a busy machine, short enough to wait for its end.
const SHORT: Duration = Duration::from_secs(45);

/// The ring is repeated sooner.
const LONGER_THAN_A_RING: Duration = Duration::from_secs(4);

/// Of 32 768: the ring is far louder, silence is zero.
const FAINT: u16 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn another_sign_in_an_expired_ticket_and_quiet_are_said_clearly() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice_at, bob_at) = step("two computers", scene.two_machines()).await?;
    let ticket = scene.house.ticket_for("bob", SHORT)?;
    let start = Start { sign_in: Some((scene.house.url().to_string(), ticket)), ..Start::default() };
    let windows =
        async { tokio::try_join!(Window::open(&alice_at, scene.signed_in("alice")?), Window::open(&bob_at, start)) };
    let (alice, bob) = step("two windows, one with a short ticket", windows).await?;
    step("the ticket ends within a call", expired(&scene, &alice, &bob)).await?;
    step("the call becomes a voice call", voice(&alice, &bob)).await?;
    step("bob does not want to be disturbed", quiet(&alice, &bob)).await?;
    step("bob signs in somewhere else, within a call", kicked(&scene, &alice, &bob)).await
}

async fn expired(scene: &Scene, alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    talk(alice, bob).await?;
    bob.reads("banner-expired", "Your ticket has expired").await?;
    bob.reports("onUserSigExpired").await?;
    bob.photograph("expired").await?;
    // The call goes on.
    bob.watches("alice").await?;
    bob.click("banner-expired-renew").await?;
    bob.write("renew-ticket", "nonsense").await?;
    bob.click("renew-submit").await?;
    bob.sees("renew-error").await?;
    bob.write("renew-ticket", &scene.ticket("bob")?).await?;
    bob.click("renew-submit").await?;
    bob.loses("renew").await?;
    bob.loses("banner-expired").await?;
    bob.watches("alice").await
}

async fn voice(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    alice.click("call-to-voice").await?;
    for (window, other) in [(alice, "bob"), (bob, "alice")] {
        window.reads("notice", "voice call now").await?;
        window.shows(&format!("tile-{other}"), "data-camera", "false").await?;
        window.loses("call-camera").await?;
        window.loses("call-to-voice").await?;
    }
    bob.photograph("voice-now").await?;
    alice.click("call-hangup").await?;
    bob.reads("ended-screen", "alice hung up").await?;
    devices_are_off(bob, "ended-screen").await?;
    back(alice).await?;
    back(bob).await
}

async fn quiet(alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    set_quiet(bob, "doNotDisturb").await?;
    bob.sees("rail-quiet").await?;
    alice.write("dial-user", "bob").await?;
    alice.click("dial-voice").await?;
    // Who calls notices nothing.
    alice.shows("calling-screen", "data-ringing", "true").await?;
    bob.sees("incoming-bar").await?;
    ensure!(!bob.has("incoming-dialog").await?, "a dialog disturbs");
    bob.stands_before_others(false).await?;
    bob.photograph("undisturbed").await?;
    alice.click("call-hangup").await?;
    bob.loses("incoming-bar").await?;
    back(alice).await?;
    back(bob).await?;
    bob.click("recent-missed").await?;
    bob.until("missed call", "return document.querySelector('li[data-missed=\"true\"]') !== null").await?;
    // Mute: the same as ever, without a sound.
    set_quiet(bob, "mute").await?;
    let silence = rung(alice, bob).await?;
    ensure!(silence < FAINT, "a muted ring is heard: {silence}");
    set_quiet(bob, "off").await?;
    bob.loses("rail-quiet").await?;
    let ring = rung(alice, bob).await?;
    ensure!(ring > FAINT, "nobody hears it ring: {ring}");
    Ok(())
}

/// Alice rings until bob's speaker has been listened to for a while: the loudest sample.
async fn rung(alice: &Window<'_>, bob: &Window<'_>) -> Result<u16> {
    alice.write("dial-user", "bob").await?;
    alice.click("dial-voice").await?;
    bob.sees("incoming-dialog").await?;
    bob.stands_before_others(true).await?;
    let loudest = bob.machine.loudest(LONGER_THAN_A_RING)?;
    alice.click("call-hangup").await?;
    bob.loses("incoming-dialog").await?;
    back(alice).await?;
    back(bob).await?;
    Ok(loudest)
}

async fn set_quiet(window: &Window<'_>, quiet: &str) -> Result<()> {
    window.click("rail-settings").await?;
    window.click("settings-quiet").await?;
    window.click(&format!("settings-quiet-{quiet}")).await?;
    window.click("settings-close").await?;
    window.loses("settings").await
}

async fn kicked(scene: &Scene, alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    talk(alice, bob).await?;
    // Another installation with the same user.
    let other = Person::plain(&scene.house, "bob").await?;
    bob.reports("onKickedOffline").await?;
    alice.reads("ended-screen", "bob").await?;
    bob.sees("ended-screen").await?;
    bob.reads("banner-kicked", "Signed in somewhere else").await?;
    devices_are_off(bob, "ended-screen").await?;
    bob.photograph("kicked-from-call").await?;
    bob.click("ended-back").await?;
    bob.sees("signin-screen").await?;
    bob.reads("banner-kicked", "bob is in use on another device").await?;
    bob.photograph("kicked").await?;
    back(alice).await?;
    drop(other);
    // The screen is not a dead one: signing in here takes over again.
    bob.write("signin-server", scene.house.url().as_str()).await?;
    bob.write("signin-user", "bob").await?;
    bob.write("signin-ticket", &scene.ticket("bob")?).await?;
    bob.click("signin-submit").await?;
    bob.sees("start-screen").await
}
