//! Both ways of a remote picture to the screen: decoded by the web view (WebCodecs), and by the app (raw).

use crate::talk;
use anyhow::Result;
use tests_windows::{Scene, Start, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn a_web_view_that_cannot_decode_gets_raw_pictures_in_the_same_call() -> Result<()> {
    let scene = Scene::open().await?;
    let (alice, bob) = step("two computers", scene.two_machines()).await?;
    let blind = Start { without_decoder: true, ..scene.signed_in("bob")? };
    let open = async { tokio::try_join!(Window::open(&alice, scene.signed_in("alice")?), Window::open(&bob, blind)) };
    let (alice, bob) = step("two windows, one without a decoder", open).await?;
    step("they talk", talk(&alice, &bob)).await?;
    for (window, other, mode) in [(&alice, "bob", "webcodecs"), (&bob, "alice", "raw")] {
        step(&format!("{} sees {other} by {mode}", window.user()), async {
            window.until(mode, &format!("return window.__ahoy?.mode === '{mode}'")).await?;
            window.watches(other).await?;
            window.photograph(mode).await.map(drop)
        })
        .await?;
    }
    Ok(())
}
