//! Networks that go and come back while two people talk: the sockets alone, and everything.

use crate::talk;
use anyhow::{Context, Result, ensure};
use tests_bench::server::Server;
use tests_calls::Proxy;
use tests_windows::{Scene, Start, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_said_with_what_it_means_and_comes_back() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    // A process of its own, because that can be stopped.
    let server = Server::start(scene.house.dir.path(), &[])?;
    let address = server.url()?.trim_start_matches("http://").parse().context("the server's address")?;
    let proxy = Proxy::open(address).await?;
    let start =
        |url: String, user| anyhow::Ok(Start { sign_in: Some((url, server.ticket(user)?)), ..Start::default() });
    let open = async {
        let alice = Window::open(&alice, start(proxy.url().to_string(), "alice")?);
        let (alice, bob) = tokio::try_join!(alice, Window::open(&bob, start(server.url()?, "bob")?))?;
        tokio::try_join!(alice.sees("start-screen"), bob.sees("start-screen"))?;
        Ok((alice, bob))
    };
    let (alice, bob) = step("two windows", open).await?;
    step("they talk", talk(&alice, &bob)).await?;
    step("alice's sockets are cut, her media flows on", sockets(&proxy, &alice)).await?;
    step("nothing gets through any more", silence(&server, &alice, &bob)).await?;
    step("all of it is back", recovery(&server, &alice, &bob)).await?;
    step("bob hangs up", async {
        bob.click("call-hangup").await?;
        alice.reads("ended-screen", "bob hung up").await
    })
    .await
}

/// The call plane is away, and the window says no more than that.
async fn sockets(proxy: &Proxy, alice: &Window<'_>) -> Result<()> {
    proxy.cut();
    alice.reads("banner-offline", "This call goes on").await?;
    alice.shows("call-screen", "data-link", "up").await?;
    alice.watches("bob").await?;
    alice.photograph("offline").await?;
    ensure!(!alice.has("banner-reconnecting").await?, "media flows, and the window says that nothing is sent");
    proxy.mend();
    alice.loses("banner-offline").await
}

fn signal(server: &Server, name: &str) -> Result<()> {
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {}", server.id())]).status()?;
    ensure!(sent.success(), "the server has ended");
    Ok(())
}

/// A server that stands still is like a network that carries nothing.
async fn silence(server: &Server, alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    signal(server, "STOP")?;
    for (window, other) in [(alice, "bob"), (bob, "alice")] {
        window.reads("banner-reconnecting", "Nothing is sent").await?;
        window.shows("call-screen", "data-link", "reconnecting").await?;
        window.shows(&format!("tile-{other}"), "data-state", "reconnecting").await?;
        window.sees("call-hangup").await?;
        window.photograph("reconnecting").await?;
        window.reports("onConnectionLost").await?;
    }
    Ok(())
}

async fn recovery(server: &Server, alice: &Window<'_>, bob: &Window<'_>) -> Result<()> {
    signal(server, "CONT")?;
    for (window, other) in [(alice, "bob"), (bob, "alice")] {
        window.shows("call-screen", "data-link", "up").await?;
        window.loses("banner-reconnecting").await?;
        window.watches(other).await?;
        window.reports("onConnectionRecovery").await?;
    }
    Ok(())
}
