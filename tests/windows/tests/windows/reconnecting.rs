//! A network that goes and comes back while two people talk.

use crate::talk;
use anyhow::Result;
use tests_calls::Proxy;
use tests_windows::{Scene, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_said_with_what_it_means_and_comes_back() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    let proxy = Proxy::open(scene.house.address()).await?;
    let open = async {
        let alice = Window::open(&alice, scene.signed_in_at(proxy.url().as_str(), "alice")?);
        tokio::try_join!(alice, Window::open(&bob, scene.signed_in("bob")?))
    };
    let (alice, bob) = step("two windows, one behind a way that can be cut", open).await?;
    step("they talk", talk(&alice, &bob)).await?;
    step("the way is cut", async {
        proxy.cut();
        alice.reads("banner-offline", "This call goes on").await?;
        alice.photograph("offline")?;
        alice.reads("banner-reconnecting", "Nothing is sent").await?;
        alice.shows("call-screen", "data-link", "reconnecting").await?;
        alice.sees("call-hangup").await?;
        alice.shows("tile-bob", "data-state", "reconnecting").await?;
        bob.shows("tile-alice", "data-state", "reconnecting").await?;
        alice.photograph("reconnecting")?;
        bob.photograph("other-reconnecting").map(drop)
    })
    .await?;
    step("the way is mended", async {
        proxy.mend();
        alice.shows("call-screen", "data-link", "up").await?;
        alice.loses("banner-reconnecting").await?;
        alice.loses("banner-offline").await?;
        tokio::try_join!(alice.watches("bob"), bob.watches("alice")).map(drop)
    })
    .await?;
    step("bob hangs up", async {
        bob.click("call-hangup").await?;
        alice.reads("ended-screen", "bob hung up").await
    })
    .await
}
