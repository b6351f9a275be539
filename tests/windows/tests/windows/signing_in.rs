//! Signing in: what is refused and how it is said, what is remembered, and hosting on this computer.

use anyhow::{Context, Result, ensure};
use tests_windows::{Machine, Scene, Start, Window, step};

#[tokio::test(flavor = "multi_thread")]
async fn refused_tickets_say_why_and_good_ones_are_remembered() -> Result<()> {
    let scene = Scene::open().await?;
    let (alices, bobs) = step("two computers", scene.two_machines()).await?;
    let open =
        async { tokio::try_join!(Window::open(&alices, Start::default()), Window::open(&bobs, Start::default())) };
    let (alice, bob) = step("two windows", open).await?;

    step("nothing typed", missing(&alice)).await?;
    step("no server there", no_server(&scene, &alice)).await?;
    step("a damaged ticket", damaged(&scene, &alice)).await?;
    step("another one's ticket", foreign(&scene, &alice)).await?;
    step("the right one", right(&scene, &alice)).await?;
    step("bob signs in, without a keyring", right(&scene, &bob)).await?;
    step("both close", async { tokio::try_join!(alice.close(), bob.close()) }).await?;
    ensure!(!keeps_ticket(&alices)? && keeps_ticket(&bobs)?, "with a keyring the ticket is in no file");

    let open =
        async { tokio::try_join!(Window::open(&alices, Start::default()), Window::open(&bobs, Start::default())) };
    let (alice, bob) = step("two windows again", open).await?;
    step("both continue as they were", async { tokio::try_join!(remembered(&alice, false), remembered(&bob, true)) })
        .await?;
    step("alice signs out", sign_out(&alice)).await?;
    drop(bob);
    step("alice hosts, and bob is invited", hosting(&alice, &bobs)).await
}

async fn try_with(window: &Window<'_>, server: &str, ticket: &str) -> Result<()> {
    window.write("signin-server", server).await?;
    window.write("signin-user", window.user()).await?;
    window.write("signin-ticket", ticket).await?;
    window.click("signin-submit").await
}

async fn missing(alice: &Window<'_>) -> Result<()> {
    alice.click("signin-submit").await?;
    alice.shows("signin-server", "aria-invalid", "true").await?;
    alice.photograph("sign-in-missing").await.map(drop)
}

async fn no_server(scene: &Scene, alice: &Window<'_>) -> Result<()> {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    try_with(alice, &format!("127.0.0.1:{port}"), &scene.ticket("alice")?).await?;
    alice.reads("signin-error", "The server cannot be reached").await?;
    alice.photograph("sign-in-no-server").await.map(drop)
}

async fn damaged(scene: &Scene, alice: &Window<'_>) -> Result<()> {
    try_with(alice, scene.house.url().as_str(), "eJw-not-a-ticket").await?;
    alice.reads("signin-error", "-70003").await
}

async fn foreign(scene: &Scene, alice: &Window<'_>) -> Result<()> {
    try_with(alice, scene.house.url().as_str(), &scene.ticket("bob")?).await?;
    alice.reads("signin-error", "-70013").await?;
    alice.photograph("sign-in-refused").await.map(drop)
}

async fn right(scene: &Scene, window: &Window<'_>) -> Result<()> {
    try_with(window, scene.house.url().as_str(), &scene.ticket(window.user())?).await?;
    window.sees("start-screen").await
}

/// Whether the ticket lies in the file that says who signed in.
fn keeps_ticket(machine: &Machine) -> Result<bool> {
    let file = machine.home().join("config/ahoy").join(machine.user()).join("sign-in.json");
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} remembers", file.display()))?;
    Ok(text.contains("\"ticket\""))
}

async fn remembered(window: &Window<'_>, in_a_file: bool) -> Result<()> {
    window.reads("signin-remembered", &format!("Continue as {}", window.user())).await?;
    ensure!(window.has("signin-kept-in-file").await? == in_a_file, "{}: where is the ticket kept?", window.user());
    window.photograph("sign-in-remembered").await?;
    window.click("signin-remembered").await?;
    window.sees("start-screen").await
}

async fn sign_out(alice: &Window<'_>) -> Result<()> {
    alice.click("rail-account").await?;
    alice.photograph("account").await?;
    alice.click("account-signout").await?;
    alice.sees("signin-screen").await
}

async fn hosting(alice: &Window<'_>, bobs: &Machine) -> Result<()> {
    alice.click("signin-host").await?;
    alice.write("signin-user", "alice").await?;
    alice.photograph("host").await?;
    alice.click("signin-submit").await?;
    alice.sees("start-screen").await?;
    alice.click("rail-invite").await?;
    alice.write("invite-user", "bob").await?;
    alice.click("invite-submit").await?;
    let invitation = alice.text("invite-result").await?;
    alice.photograph("invite").await?;
    alice.click("invite-close").await?;
    let word = |begin: &str| invitation.split_whitespace().find(|word| word.starts_with(begin)).map(str::to_owned);
    let server = word("http://").context("the invitation names the server")?;
    let ticket = word("eJ").context("the invitation has a ticket")?;

    let start = Start { sign_in: Some((server, ticket)), ..Start::default() };
    let bob = Window::open(bobs, start).await?;
    bob.sees("start-screen").await?;
    bob.write("dial-user", "alice").await?;
    bob.click("dial-voice").await?;
    alice.click("incoming-accept").await?;
    for window in [alice, &bob] {
        window.shows("call-screen", "data-link", "up").await?;
    }
    bob.click("call-hangup").await?;
    alice.reads("ended-screen", "bob hung up").await
}
