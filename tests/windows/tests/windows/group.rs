//! Calls for more than two: placed, joined by invitation and by card, refused by some, taken back; and what is left of
//! them in the list of calls.

use crate::{back, devices_are_off};
use anyhow::Result;
use serde_json::json;
use tests_windows::{Scene, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn three_people_call_each_other_in_every_way() -> Result<()> {
    let scene = Scene::open().await?;
    let machines = step("three computers", scene.three_machines()).await?;
    let [alice, bob, chiara] = step("three windows", scene.three_windows(&machines)).await?;
    step("alice takes a call to both back", taken_back(&alice, &bob, &chiara)).await?;
    step("alice calls both", group(&alice, &bob, &chiara)).await?;
    step("chiara leaves, and joins again by the card", by_card(&alice, &bob, &chiara)).await?;
    step("bob and then alice leave", last_but_one(&alice, &bob, &chiara)).await?;
    step("alice calls bob and adds chiara", invited(&alice, &bob, &chiara)).await?;
    step("chiara finds both in a call", busy(&alice, &bob, &chiara)).await?;
    step("what is left in the lists", records(&alice, &bob, &chiara)).await
}

async fn call_both(alice: &Window<'_>, media: &str) -> Result<()> {
    alice.write("dial-user", "bob").await?;
    alice.click("dial-user-add").await?;
    alice.write("dial-user", "chiara").await?;
    alice.click(&format!("dial-{media}")).await
}

async fn taken_back(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    call_both(alice, "voice").await?;
    bob.reads("incoming-dialog", "with chiara").await?;
    chiara.reads("incoming-dialog", "with bob").await?;
    alice.shows("calling-screen", "data-ringing", "true").await?;
    alice.photograph("group-ringing").await?;
    chiara.photograph("group-incoming").await?;
    alice.click("call-hangup").await?;
    for window in [bob, chiara] {
        window.loses("incoming-dialog").await?;
        window.reads("ended-screen", "alice took the call back").await?;
        back(window).await?;
    }
    alice.reads("ended-screen", "Call taken back").await?;
    back(alice).await
}

async fn group(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    call_both(alice, "video").await?;
    bob.click("incoming-accept").await?;
    // The call runs for two while it still rings for the third.
    for window in [alice, bob] {
        window.shows("call-screen", "data-link", "up").await?;
        window.sees("tile-chiara-countdown").await?;
    }
    alice.photograph("group-one-rings").await?;
    chiara.click("incoming-accept").await?;
    all_in(&[alice, bob, chiara]).await?;
    alice.until("grid of two by two", TWO_BY_TWO).await?;
    alice.photograph("group").await.map(drop)
}

/// Three tiles of one size, two in the first row.
const TWO_BY_TWO: &str = "const boxes = [...document.querySelectorAll('[role=\"group\"][data-testid^=\"tile-\"]')].map((it) => it.getBoundingClientRect());
    return boxes.length === 3 && boxes.every((it) => Math.abs(it.width - boxes[0].width) < 1 && Math.abs(it.height - boxes[0].height) < 1)
      && boxes[0].y === boxes[1].y && boxes[2].y > boxes[0].y";

/// Everyone sees every other one move.
async fn all_in(windows: &[&Window<'_>]) -> Result<()> {
    for window in windows {
        for other in windows.iter().filter(|other| other.user() != window.user()) {
            window.watches(other.user()).await?;
        }
        window.reads("call-count", &format!("{} people", windows.len())).await?;
    }
    Ok(())
}

async fn by_card(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    chiara.click("call-hangup").await?;
    chiara.reads("ended-screen", "Call ended").await?;
    devices_are_off(chiara, "ended-screen").await?;
    for window in [alice, bob] {
        window.reads("notice", "chiara left").await?;
        window.loses("tile-chiara").await?;
    }
    back(chiara).await?;
    let card = chiara
        .until(
            "card of the running call",
            "return document.querySelector('section[data-testid^=\"card-\"]')?.dataset.testid",
        )
        .await?;
    let card = card.as_str().unwrap_or_default().to_owned();
    chiara.reads(&card, "alice and bob").await?;
    chiara.photograph("card").await?;
    chiara.click(&format!("{card}-join")).await?;
    all_in(&[alice, bob, chiara]).await
}

async fn last_but_one(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    bob.click("call-hangup").await?;
    bob.reads("ended-screen", "Call ended").await?;
    for window in [alice, chiara] {
        window.reads("notice", "bob left").await?;
    }
    // The call was alice's; it does not end with her, but with the last but one.
    alice.click("call-hangup").await?;
    chiara.reads("ended-screen", "alice hung up").await?;
    for window in [alice, bob, chiara] {
        devices_are_off(window, "ended-screen").await?;
        back(window).await?;
    }
    // What is over cannot be joined.
    bob.until("start without a card", "return document.querySelector('section[data-testid^=\"card-\"]') === null")
        .await?;
    Ok(())
}

async fn invited(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    crate::talk(alice, bob).await?;
    add(alice, "chiara").await?;
    chiara.reads("incoming-dialog", "alice").await?;
    bob.sees("tile-chiara-countdown").await?;
    chiara.click("incoming-decline").await?;
    for window in [alice, bob] {
        window.reads("notice", "chiara declined").await?;
        window.loses("tile-chiara").await?;
    }
    alice.photograph("declined-in-group").await?;
    back(chiara).await?;
    // It has become a call for more than two: its kind stays.
    alice.loses("call-to-voice").await?;
    add(alice, "chiara").await?;
    chiara.click("incoming-accept").await?;
    all_in(&[alice, bob, chiara]).await?;
    bob.photograph("invited").await?;
    chiara.click("call-hangup").await?;
    chiara.sees("ended-screen").await?;
    back(chiara).await
}

async fn add(window: &Window<'_>, user: &str) -> Result<()> {
    window.click("call-add-people").await?;
    window.write("add-people-user", user).await?;
    window.photograph("add-people").await?;
    window.click("add-people-submit").await?;
    window.loses("add-people").await
}

async fn busy(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    chiara.write("dial-user", "bob").await?;
    chiara.click("dial-voice").await?;
    chiara.reads("ended-screen", "bob is in another call").await?;
    chiara.photograph("busy").await?;
    back(chiara).await?;
    // Who is in a call hears nothing of it.
    anyhow::ensure!(!bob.has("incoming-dialog").await?, "it rang in a call");
    alice.click("call-hangup").await?;
    bob.reads("ended-screen", "alice hung up").await?;
    back(alice).await?;
    back(bob).await
}

async fn records(alice: &Window<'_>, bob: &Window<'_>, chiara: &Window<'_>) -> Result<()> {
    outcomes(alice, &["took", "took", "Taken back"]).await?;
    outcomes(bob, &["Missed", "took", "took", "Missed"]).await?;
    // One record for each call: that she declined first, and was in it later, is one.
    outcomes(chiara, &["Busy", "took", "took", "Missed"]).await?;
    bob.photograph("recent").await?;
    bob.click("recent-missed").await?;
    outcomes(bob, &["Missed", "Missed"]).await?;
    bob.click("recent-all").await?;
    let newest = bob
        .until("newest record", "return document.querySelector('li[data-testid^=\"recent-\"]')?.dataset.testid")
        .await?;
    let newest = newest.as_str().unwrap_or_default().to_owned();
    bob.click(&format!("{newest}-delete")).await?;
    outcomes(bob, &["took", "took", "Missed"]).await?;
    // Deleted for bob alone.
    outcomes(chiara, &["Busy", "took", "took", "Missed"]).await
}

/// Waits until the list of calls says this, the newest first; "took" stands for any time.
async fn outcomes(window: &Window<'_>, wanted: &[&str]) -> Result<()> {
    let said = "const said = [...document.querySelectorAll('[data-testid^=\"recent-\"][data-testid$=\"-outcome\"]')].map((it) => /^[0-9:]+$/.test(it.innerText) ? 'took' : it.innerText);";
    window
        .until(
            &format!("list of calls that says {wanted:?}"),
            &format!("{said} return JSON.stringify(said) === {}", json!(json!(wanted).to_string())),
        )
        .await
        .map(drop)
}
