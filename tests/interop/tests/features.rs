//! What LiveKit's own clients count on beyond voice and picture, shown by them, unmodified, in an embedded room: coming back,
//! identities, what people say of themselves, data, speakers, permissions, subscriptions, renewed tokens.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use tests_interop::{Admin, Client, KEY, Peer, SECRET, Sdk, TestServer, Wire};

/// The browsers' tone; Python's is at 440 Hz.
const BROWSER_HZ: f64 = 660.0;

type How = (Client, Wire);

const PYTHON: How = (Client::Python, Wire::One);
const PYTHON_TWO: How = (Client::Python, Wire::Two);
const BROWSER: How = (Client::Browser, Wire::One);
const BROWSER_TWO: How = (Client::Browser, Wire::Two);

/// Somebody who only receives.
async fn listener(server: &TestServer, name: &str, how: How) -> Result<Peer> {
    enter(server, name, how, &server.token("room", name)?, "none").await
}

/// Somebody with a tone and a moving picture.
async fn speaker(server: &TestServer, name: &str, how: How) -> Result<Peer> {
    let mut peer = enter(server, name, how, &server.token("room", name)?, "vp8").await?;
    peer.event("published").await?;
    if how.0 == Client::Browser {
        peer.command(&format!("tone {BROWSER_HZ}")).await?;
    }
    Ok(peer)
}

/// A browser has to be on as many connections as it asked for: where one is refused, it takes two without a word.
async fn enter(server: &TestServer, name: &str, (client, wire): How, token: &str, codec: &str) -> Result<Peer> {
    let mut peer = Peer::start(client, name, &server.url(), token, wire, codec).await?;
    let connected = peer.event("connected").await?;
    let asked = if wire == Wire::One { 1 } else { 2 };
    ensure!(
        client != Client::Browser || connected["connections"] == asked,
        "{name} is on other connections: {connected}"
    );
    Ok(peer)
}

fn hz((client, _): How) -> Option<f64> {
    Some(if client == Client::Browser { BROWSER_HZ } else { 440.0 })
}

/// Voice and picture flow both ways.
async fn meet(anna: (&mut Peer, How), boris: (&mut Peer, How)) -> Result<()> {
    boris.0.hears("anna", hz(anna.1)).await?;
    boris.0.sees("anna").await?;
    anna.0.hears("boris", hz(boris.1)).await?;
    anna.0.sees("boris").await?;
    Ok(())
}

/// Voice, picture and data flow both ways from now on.
async fn still_meet(anna: &mut Peer, boris: &mut Peer) -> Result<()> {
    for (to, by) in [(&mut *anna, "boris"), (&mut *boris, "anna")] {
        to.hears_again(by).await?;
        to.sees_again(by).await?;
    }
    reaches((&mut *anna, "anna"), boris).await?;
    reaches((&mut *boris, "boris"), anna).await
}

/// Data of one reaches the other. A client that is not quite through with its own reconnect keeps data for a resume, and
/// after joining anew never sends it: so it is said again.
async fn reaches((from, name): (&mut Peer, &str), to: &mut Peer) -> Result<()> {
    const TIMES: usize = 12;
    for _ in 0..TIMES {
        from.command(&format!("data here is {name}")).await?;
        if to.tells_within(Duration::from_secs(5), said(name, &format!("here is {name}"))).await {
            return Ok(());
        }
    }
    bail!("data of {name} never came")
}

fn said(by: &str, text: &str) -> impl Fn(&Value) -> bool {
    move |value| value["event"] == "data" && value["by"] == by && value["text"] == text
}

fn is(event: &str, by: &str) -> impl Fn(&Value) -> bool {
    move |value| value["event"] == event && value["by"] == by
}

fn of_kind(event: &str, kind: &str) -> impl Fn(&Value) -> bool {
    move |value| value["event"] == event && value["kind"] == kind
}

/// `peer` has exactly these around it.
async fn has_around(peer: &mut Peer, who: &[&str]) -> Result<()> {
    peer.ask("people", "people", &format!("{who:?}"), |value| value["who"] == json!(who)).await?;
    Ok(())
}

async fn admin(server: &TestServer, sdk: Sdk) -> Result<Admin> {
    Admin::start(sdk, &server.url().replace("ws:", "http:"), KEY, SECRET).await
}

async fn update(admin: &mut Admin, identity: &str, change: Value) -> Result<Value> {
    let mut body = json!({ "room": "room", "identity": identity });
    if let (Some(body), Value::Object(change)) = (body.as_object_mut(), change) {
        body.extend(change);
    }
    admin.done("UpdateParticipant", body).await
}

/// `command` makes anna join anew. As with LiveKit's server the others see her leave and come; then everything flows again.
async fn joins_anew(anna: How, command: &str, boris: How) -> Result<()> {
    let server = TestServer::start().await?;
    let (kind, other) = (anna, boris);
    let mut anna = speaker(&server, "anna", kind).await?;
    let mut boris = speaker(&server, "boris", other).await?;
    meet((&mut anna, kind), (&mut boris, other)).await?;
    anna.command(command).await?;
    boris.wait_new("anna leaves", is("left", "anna")).await?;
    boris.wait_new("anna is back", is("joined", "anna")).await?;
    anna.event("reconnected").await?;
    still_meet(&mut anna, &mut boris).await?;
    has_around(&mut boris, &["anna"]).await?;
    has_around(&mut anna, &["boris"]).await?;
    anna.never("the end", |value| value["event"] == "disconnected")?;
    let people = server.twirp("ListParticipants", "room", json!({ "room": "room" })).await?;
    assert_eq!(people["participants"].as_array().map(Vec::len), Some(2), "{people}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_joins_anew_on_one_connection() -> Result<()> {
    joins_anew(BROWSER, "full", BROWSER_TWO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_joins_anew_on_two_connections() -> Result<()> {
    joins_anew(BROWSER_TWO, "full", PYTHON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_joins_anew_where_resuming_failed() -> Result<()> {
    joins_anew(BROWSER, "stumble", PYTHON_TWO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_joins_anew() -> Result<()> {
    joins_anew(PYTHON, "full", BROWSER).await
}

/// The signal socket breaks and is resumed: nobody sees anybody go, and everything flows on.
async fn resumes(anna: How, boris: How) -> Result<()> {
    let server = TestServer::start().await?;
    let (kind, other) = (anna, boris);
    let mut anna = speaker(&server, "anna", kind).await?;
    let mut boris = speaker(&server, "boris", other).await?;
    meet((&mut anna, kind), (&mut boris, other)).await?;
    anna.command("cut").await?;
    anna.event("reconnected").await?;
    still_meet(&mut anna, &mut boris).await?;
    anna.command("mute").await?;
    boris.event_by("muted", "anna").await?;
    for (peer, other) in [(&mut anna, "boris"), (&mut boris, "anna")] {
        peer.never("that somebody left", is("left", other))?;
    }
    anna.never("a new join", |value| value["event"] == "reconnecting")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_resumes_on_one_connection() -> Result<()> {
    resumes(BROWSER, BROWSER_TWO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_resumes_on_two_connections() -> Result<()> {
    resumes(BROWSER_TWO, PYTHON).await
}

/// What happens while a client's signal socket is away it learns when it resumes: LiveKit's server tells it, so no client asks.
async fn an_outage_is_made_up_for(how: How) -> Result<()> {
    let server = TestServer::start().await?;
    let mut admin = admin(&server, Sdk::Node).await?;
    let mut anna = speaker(&server, "anna", how).await?;
    let mut boris = speaker(&server, "boris", PYTHON).await?;
    let mut clara = listener(&server, "clara", PYTHON_TWO).await?;
    meet((&mut anna, how), (&mut boris, PYTHON)).await?;
    clara.hears("anna", hz(how)).await?;

    anna.command("away").await?;
    anna.event("unreached").await?;
    clara.command("leave").await?;
    boris.event_by("left", "clara").await?;
    let mut dora = speaker(&server, "dora", PYTHON).await?;
    boris.command("mute").await?;
    dora.event_by("muted", "boris").await?;
    admin.done("UpdateRoomMetadata", json!({ "room": "room", "metadata": "theme" })).await?;
    update(&mut admin, "boris", json!({ "name": "Boris the Great" })).await?;
    update(&mut admin, "anna", json!({ "metadata": "queen" })).await?;
    dora.event_by("metadata", "anna").await?;
    anna.never("news while it is away", |value| value["event"] == "room_metadata" || value["event"] == "muted")?;

    anna.command("back").await?;
    anna.event("reconnected").await?;
    anna.event_by("joined", "dora").await?;
    anna.event_by("muted", "boris").await?;
    anna.wait("boris's name", |value| is("name", "boris")(value) && value["text"] == "Boris the Great").await?;
    anna.wait("her own metadata", |value| is("metadata", "anna")(value) && value["text"] == "queen").await?;
    anna.wait("the theme", |value| value["event"] == "room_metadata" && value["text"] == "theme").await?;
    anna.event_by("left", "clara").await?;
    has_around(&mut anna, &["boris", "dora"]).await?;
    // What was offered meanwhile is offered again.
    anna.hears("dora", hz(PYTHON)).await?;
    anna.sees("dora").await?;
    boris.command("unmute").await?;
    still_meet(&mut anna, &mut boris).await?;
    boris.never("that anna left", is("left", "anna"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_made_up_for_on_one_connection() -> Result<()> {
    an_outage_is_made_up_for(BROWSER).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_made_up_for_on_two_connections() -> Result<()> {
    an_outage_is_made_up_for(BROWSER_TWO).await
}

/// Who comes under an identity that is in takes its place.
async fn takes_the_place(first: How, second: How) -> Result<()> {
    let server = TestServer::start().await?;
    let mut old = speaker(&server, "anna", first).await?;
    let mut boris = speaker(&server, "boris", PYTHON_TWO).await?;
    boris.hears("anna", hz(first)).await?;
    let mut new = speaker(&server, "anna", second).await?;
    assert_eq!(old.event("disconnected").await?["reason"], "DUPLICATE_IDENTITY");
    assert_eq!(boris.wait_new("the first leaves", is("left", "anna")).await?["reason"], "DUPLICATE_IDENTITY");
    boris.wait_new("the second comes", is("joined", "anna")).await?;
    meet((&mut new, second), (&mut boris, PYTHON_TWO)).await?;
    has_around(&mut boris, &["anna"]).await?;
    has_around(&mut new, &["boris"]).await?;
    let people = server.twirp("ListParticipants", "room", json!({ "room": "room" })).await?;
    assert_eq!(people["participants"].as_array().map(Vec::len), Some(2), "{people}");
    old.never("that it comes back", |value| value["event"] == "reconnected")?;
    new.never("that it is put out in turn", |value| value["event"] == "disconnected")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gives_its_place_to_python_of_the_same_identity() -> Result<()> {
    takes_the_place(BROWSER, PYTHON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_gives_its_place_to_a_browser_of_the_same_identity() -> Result<()> {
    takes_the_place(PYTHON, BROWSER_TWO).await
}

/// What people say of themselves: seen by the others and by those who come later, where the token allows it.
async fn speaks_of_itself(how: How, other: How) -> Result<()> {
    let server = TestServer::start().await?;
    let token = server.token_with("room", "anna", |grants| grants.can_update_own_metadata = Some(true))?;
    let mut anna = enter(&server, "anna", how, &token, "none").await?;
    let mut boris = listener(&server, "boris", other).await?;
    has_around(&mut boris, &["anna"]).await?;
    let tidings = [("name", "Queen Anna"), ("metadata", "of all"), ("attributes", r#"{"hand":"up","mood":"good"}"#)];
    for (what, text) in tidings {
        anna.command(&format!("{what} {text}")).await?;
        anna.wait("done", |value| value["event"] == "changed" && value["what"] == what).await?;
        let told = boris.event_by(what, "anna").await?;
        if what == "attributes" {
            assert_eq!(told["all"], json!({ "hand": "up", "mood": "good" }), "{told}");
        } else {
            assert_eq!(told["text"], text, "{told}");
        }
    }
    anna.command(r#"attributes {"hand":"","mood":"bad"}"#).await?;
    let is_changed = |value: &Value| is("attributes", "anna")(value) && value["all"] == json!({ "mood": "bad" });
    boris.wait("one attribute goes, one changes", is_changed).await?;
    let people = server.twirp("ListParticipants", "room", json!({ "room": "room" })).await?;
    let people = people["participants"].as_array().cloned().unwrap_or_default();
    assert!(people.iter().any(|one| one["name"] == "Queen Anna" && one["metadata"] == "of all"), "{people:?}");

    for (what, text) in tidings {
        boris.command(&format!("{what} {text}")).await?;
        // Python's client waits for the answer and keeps the refusal to itself.
        let answer = if other.0 == Client::Python { "changed" } else { "refused" };
        boris.wait(answer, |value| value["event"] == answer && value["what"] == what).await?;
    }
    let info = server.twirp("GetParticipant", "room", json!({ "room": "room", "identity": "boris" })).await?;
    assert_eq!((&info["name"], info["metadata"].as_str().unwrap_or_default()), (&json!("boris"), ""), "{info}");
    anna.never("what boris may not say", |value| {
        value["by"] == "boris" && tidings.iter().any(|it| value["event"] == it.0)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_speaks_of_itself_and_python_may_not() -> Result<()> {
    speaks_of_itself(BROWSER, PYTHON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_speaks_of_itself_and_the_browser_may_not() -> Result<()> {
    speaks_of_itself(PYTHON, BROWSER_TWO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_on_either_wire_meet_and_see_the_rooms_metadata_change() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = speaker(&server, "anna", BROWSER).await?;
    let mut boris = speaker(&server, "boris", BROWSER_TWO).await?;
    meet((&mut anna, BROWSER), (&mut boris, BROWSER_TWO)).await?;
    for (sdk, theme) in [(Sdk::Node, "winter"), (Sdk::Python, "spring")] {
        let metadata = json!({ "room": "room", "metadata": theme });
        admin(&server, sdk).await?.done("UpdateRoomMetadata", metadata).await?;
        for peer in [&mut anna, &mut boris] {
            peer.wait("the theme", |value| value["event"] == "room_metadata" && value["text"] == theme).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_to_all_or_to_whom_it_is_addressed() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = listener(&server, "anna", BROWSER).await?;
    let mut boris = listener(&server, "boris", PYTHON_TWO).await?;
    let mut clara = listener(&server, "clara", BROWSER_TWO).await?;
    for (peer, others) in [(&mut anna, ["boris", "clara"]), (&mut boris, ["anna", "clara"])] {
        has_around(peer, &others).await?;
    }
    // A browser whispers to Python, Python to a browser; the third is a browser both times.
    tells((&mut anna, "anna"), (&mut boris, "boris"), &mut clara).await?;
    tells((&mut boris, "boris"), (&mut anna, "anna"), &mut clara).await
}

/// `from` tells all, and `to` a secret that the third does not hear.
async fn tells(from: (&mut Peer, &str), to: (&mut Peer, &str), third: &mut Peer) -> Result<()> {
    let ((from, name), (to, whom)) = (from, to);
    from.command("data for all").await?;
    from.command(&format!("whisper {whom} a secret")).await?;
    // Reliable data of one sender keeps its order: who has the last has had all before it.
    from.command("data that is all").await?;
    for peer in [&mut *to, &mut *third] {
        let all = peer.wait("data for all", said(name, "for all")).await?;
        assert_eq!(all["kind"], "reliable", "{all}");
        peer.wait("the last", said(name, "that is all")).await?;
    }
    assert_eq!(to.wait("the whisper", said(name, "a secret")).await?["topic"], "whisper");
    third.never("what was whispered", said(name, "a secret"))?;
    from.never("its own data", |value| value["event"] == "data" && value["by"] == name)?;
    for peer in [to, third] {
        let is_lossy = |value: &Value| said(name, "may be lost")(value) && value["kind"] == "lossy";
        from.repeat("lossy may be lost", peer, is_lossy).await?;
    }
    Ok(())
}

fn speakers(who: &'static [&'static str]) -> impl Fn(&Value) -> bool {
    move |value| value["event"] == "speakers" && value["who"] == json!(who)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_and_how_well_they_are_connected_is_told() -> Result<()> {
    let server = TestServer::start().await?;
    let mut boris = listener(&server, "boris", BROWSER).await?;
    let mut clara = listener(&server, "clara", PYTHON_TWO).await?;
    let mut anna = speaker(&server, "anna", PYTHON).await?;
    for peer in [&mut boris, &mut clara, &mut anna] {
        peer.wait("anna speaks", speakers(&["anna"])).await?;
    }
    anna.command("mute").await?;
    for peer in [&mut boris, &mut clara] {
        peer.wait_new("nobody speaks", speakers(&[])).await?;
    }
    anna.command("unmute").await?;
    for peer in [&mut boris, &mut clara] {
        peer.wait_new("anna speaks again", speakers(&["anna"])).await?;
    }
    // Who comes later is told what the others were told before.
    for (name, how) in [("emil", BROWSER_TWO), ("frieda", PYTHON)] {
        let mut later = listener(&server, name, how).await?;
        later.wait("anna speaks", speakers(&["anna"])).await?;
        // A browser knows it without an event where it heard of it before it was quite connected.
        if how == BROWSER_TWO {
            let knows = |value: &Value| value["quality"]["anna"].as_str().is_some_and(|it| it != "unknown");
            later.ask("people", "people", "how anna is connected", knows).await?;
        }
    }
    let _dora = speaker(&server, "dora", BROWSER_TWO).await?;
    let lists = |value: &Value, name: &str| {
        value["event"] == "speakers" && value["who"].as_array().is_some_and(|who| who.contains(&json!(name)))
    };
    boris.wait("anna and dora speak", |value| lists(value, "anna") && lists(value, "dora")).await?;
    // Python's client lists those whose level changed.
    clara.wait("dora speaks", |value| lists(value, "dora")).await?;
    for peer in [&mut boris, &mut clara] {
        peer.event_by("quality", "anna").await?;
        peer.event_by("quality", "dora").await?;
    }
    let quality = boris.event_by("quality", "boris").await?;
    ensure!(["excellent", "good", "poor"].contains(&quality["quality"].as_str().unwrap_or_default()), "{quality}");
    Ok(())
}

/// Permissions change while people are in: what they sent or received ends, and begins again when they may.
async fn permissions_change(anna: How, boris: How, sdk: Sdk) -> Result<()> {
    let server = TestServer::start().await?;
    let mut admin = admin(&server, sdk).await?;
    let (kind, other) = (anna, boris);
    let mut anna = speaker(&server, "anna", kind).await?;
    let mut boris = speaker(&server, "boris", other).await?;
    meet((&mut anna, kind), (&mut boris, other)).await?;
    let may = |publish: bool, subscribe: bool| json!({ "permission": { "canPublish": publish, "canSubscribe": subscribe, "canPublishData": true } });
    let now = |publish: bool, subscribe: bool| {
        move |value: &Value| {
            value["event"] == "permissions" && value["publish"] == publish && value["subscribe"] == subscribe
        }
    };

    update(&mut admin, "anna", may(false, true)).await?;
    anna.wait("she may not publish", now(false, true)).await?;
    for kind in ["audio", "video"] {
        anna.wait("her own track ends", of_kind("local_unpublished", kind)).await?;
        boris.wait("anna's track ends", |value| of_kind("unpublished", kind)(value) && value["by"] == "anna").await?;
    }
    boris.wait("anna may not publish", |value| now(false, true)(value) && value["by"] == "anna").await?;
    boris.hears_silence("anna").await?;
    boris.sees_nothing("anna").await?;
    anna.command("unmute").await?;
    anna.event("refused").await?;
    anna.hears_again("boris").await?;
    update(&mut admin, "anna", may(true, true)).await?;
    anna.wait_new("she may publish", now(true, true)).await?;
    anna.command("unmute").await?;
    anna.event("changed").await?;
    anna.command(&format!("tone {BROWSER_HZ}")).await?;
    boris.hears_again("anna").await?;

    update(&mut admin, "boris", may(true, false)).await?;
    // Either may come first.
    boris.wait_new("the voice ends", of_kind("unsubscribed", "audio")).await?;
    boris.wait("he may not subscribe", now(true, false)).await?;
    boris.hears_silence("anna").await?;
    anna.hears_again("boris").await?;
    update(&mut admin, "boris", may(true, true)).await?;
    boris.wait_new("the voice is back", of_kind("subscribed", "audio")).await?;
    boris.hears_again("anna").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_of_browsers_change_by_the_node_sdk() -> Result<()> {
    permissions_change(BROWSER, BROWSER_TWO, Sdk::Node).await
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_of_browsers_change_by_the_python_sdk() -> Result<()> {
    permissions_change(BROWSER_TWO, BROWSER, Sdk::Python).await
}

/// Mute by its owner and by an administrator, and subscriptions that end and begin: the media follows each time.
async fn mute_and_subscriptions(anna: How, boris: How) -> Result<()> {
    let server = TestServer::start().await?;
    let kind = anna;
    let mut anna = speaker(&server, "anna", kind).await?;
    let mut boris = listener(&server, "boris", boris).await?;
    boris.hears("anna", hz(kind)).await?;
    boris.sees("anna").await?;

    anna.command("mute").await?;
    boris.wait_new("muted", is("muted", "anna")).await?;
    boris.hears_silence("anna").await?;
    anna.command("unmute").await?;
    boris.wait_new("unmuted", is("unmuted", "anna")).await?;
    boris.hears_again("anna").await?;

    let info = server.twirp("GetParticipant", "room", json!({ "room": "room", "identity": "anna" })).await?;
    let tracks = info["tracks"].as_array().cloned().unwrap_or_default();
    let voice = tracks.iter().find(|track| track["source"] == "MICROPHONE").map(|track| track["sid"].clone());
    let mute = json!({ "room": "room", "identity": "anna", "trackSid": voice, "muted": true });
    admin(&server, Sdk::Node).await?.done("MutePublishedTrack", mute).await?;
    boris.wait_new("muted by order", is("muted", "anna")).await?;
    boris.hears_silence("anna").await?;
    anna.command("unmute").await?;
    boris.wait_new("unmuted", is("unmuted", "anna")).await?;
    boris.hears_again("anna").await?;

    for _ in 0..2 {
        boris.command("unsubscribe").await?;
        boris.wait_new("unsubscribed", is("unsubscribed", "anna")).await?;
        boris.hears_silence("anna").await?;
        boris.sees_nothing("anna").await?;
        boris.command("subscribe").await?;
        boris.wait_new("subscribed", is("subscribed", "anna")).await?;
        boris.hears_again("anna").await?;
        boris.sees_again("anna").await?;
    }
    boris.never("that anna left", is("left", "anna"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mute_and_subscriptions_of_a_browser_on_one_connection() -> Result<()> {
    mute_and_subscriptions(BROWSER_TWO, BROWSER).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mute_and_subscriptions_of_python_on_one_connection() -> Result<()> {
    mute_and_subscriptions(BROWSER, PYTHON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mute_and_subscriptions_of_a_browser_on_two_connections() -> Result<()> {
    mute_and_subscriptions(BROWSER, BROWSER_TWO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_pauses_a_picture_and_says_how_large_it_is_shown() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = enter(&server, "anna", BROWSER, &server.token("room", "anna")?, "vp8-simulcast").await?;
    anna.event("published").await?;
    let mut boris = listener(&server, "boris", BROWSER_TWO).await?;
    let width = |value: &Value| if is("video", "anna")(value) { value["width"].as_u64() } else { None };
    boris.wait("the large picture", |value| width(value) >= Some(1_000)).await?;
    boris.command("size 320x180").await?;
    boris.wait_new("the small picture", |value| width(value).is_some_and(|width| width <= 320)).await?;
    boris.command("disable").await?;
    boris.sees_nothing("anna").await?;
    boris.hears("anna", None).await?;
    boris.command("enable").await?;
    boris.sees_again("anna").await?;
    boris.never("that the track ended", is("unsubscribed", "anna"))?;
    Ok(())
}

/// A client takes up the token that follows a change, and joins anew with what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_is_taken_up_and_used() -> Result<()> {
    let server = TestServer::start().await?;
    let mut admin = admin(&server, Sdk::Python).await?;
    let mut anna = listener(&server, "anna", BROWSER).await?;
    let mut boris = listener(&server, "boris", BROWSER_TWO).await?;
    has_around(&mut boris, &["anna"]).await?;
    let old = anna.ask("token", "token", "the token it came with", |_| true).await?["claims"].clone();
    assert_eq!((&old["iss"], &old["metadata"]), (&json!(KEY), &Value::Null), "{old}");
    let change = json!({ "metadata": "queen", "permission": { "canSubscribe": true, "canPublishData": true } });
    update(&mut admin, "anna", change).await?;
    let is_new = |value: &Value| value["claims"]["metadata"] == "queen";
    let new = anna.ask("token", "token", "a new token", is_new).await?["claims"].clone();
    assert_eq!((&new["sub"], &new["video"]["canPublish"]), (&json!("anna"), &json!(false)), "{new}");

    anna.command("full").await?;
    boris.wait_new("anna leaves", is("left", "anna")).await?;
    let joined = boris.wait_new("anna is back", is("joined", "anna")).await?;
    assert_eq!(joined["metadata"], "queen", "{joined}");
    anna.event("reconnected").await?;
    anna.command("unmute").await?;
    anna.event("refused").await?;
    Ok(())
}
