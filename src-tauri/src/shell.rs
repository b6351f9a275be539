//! What stands behind the window: the engine, the frame lane, the memory, the embedded server. No call logic.

use crate::host::Host;
use crate::lane::Lane;
use crate::memory::{Memory, SignIn};
use crate::settings::Settings;
use crate::view::{BookView, HostView, Invitation, QuietView, Refusal, RememberedView, VideoLane, View};
use engine::Engine;
use engine::api::{Intent, Secret, Session, Snapshot};
use protocol::UserId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Others are told and devices are released within this time when the window closes, or it closes all the same.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What becomes of this computer's memory when somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// They want to be remembered.
    Keep,
    /// They do not: what is remembered of them goes.
    Forget,
    /// Nobody was asked.
    AsItIs,
}

/// What the view has beside the engine's snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
struct Surroundings {
    /// Of the last sign-in; not shown.
    server: Option<url::Url>,
    remembered: Option<RememberedView>,
    host: HostView,
    quiet: QuietView,
}

/// The shell's parts; one for the life of the app.
pub struct Shell {
    engine: Engine,
    lane: Lane,
    memory: Memory,
    host: Host,
    settings: Settings,
    surroundings: watch::Sender<Surroundings>,
}

impl Shell {
    /// Joins the parts. Call it inside a tokio runtime.
    pub async fn new(engine: Engine, lane: Lane, memory: Memory, host: Host, settings: Settings) -> Arc<Self> {
        engine.set_screen(lane.screen()).await;
        let summary = memory.summary();
        let quiet = settings.quiet();
        let surroundings = watch::Sender::new(Surroundings { remembered: summary, quiet, ..Surroundings::default() });
        Arc::new(Self { engine, lane, memory, host, settings, surroundings })
    }

    /// The engine, for its events and levels.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the screen shows now.
    pub fn view(&self) -> View {
        compose(&self.engine.snapshots().borrow(), &self.surroundings.borrow())
    }

    /// Views from now on, the present one first.
    pub fn views(&self) -> Views {
        Views { snapshots: self.engine.snapshots(), surroundings: self.surroundings.subscribe(), shown: None }
    }

    /// Who is signed in, also while the server cannot be reached.
    pub fn user(&self) -> Option<UserId> {
        session_user(&self.engine.snapshots().borrow().session).cloned()
    }

    /// What an incoming call does here, from now on and after the next start.
    pub async fn set_quiet(&self, quiet: QuietView) -> Result<(), Refusal> {
        let settings = self.settings.clone();
        let kept = tokio::task::spawn_blocking(move || settings.keep_quiet(quiet)).await;
        // It holds for this run also where it cannot be kept.
        self.surroundings.send_modify(|around| around.quiet = quiet);
        kept.map_err(Refusal::internal)?.map_err(|error| Refusal::internal(format!("{error:#}")))
    }

    /// Hands an intent to the engine.
    pub async fn request(&self, intent: Intent) -> Result<(), Refusal> {
        self.engine.request(intent).await?;
        Ok(())
    }

    /// Connects; remembers or forgets once the server has accepted.
    pub async fn sign_in(&self, server: &str, user: UserId, ticket: Secret, remember: Remember) -> Result<(), Refusal> {
        let sign_in = SignIn { server: server.trim().to_owned(), user: user.to_string(), ticket: ticket.clone() };
        let server = server_url(server)?;
        self.surroundings.send_modify(|around| around.server = Some(server.clone()));
        self.request(Intent::SignIn { server, user, ticket }).await?;
        let memory = self.memory.clone();
        match remember {
            Remember::Keep => self.remember(move || memory.keep(&sign_in)).await,
            Remember::Forget if self.remembered_here(&sign_in.user).is_some() => self.forget_sign_in().await,
            Remember::Forget | Remember::AsItIs => Ok(()),
        }
    }

    /// What is remembered of this user at the server of the last sign-in: at another one it is somebody else.
    fn remembered_here(&self, user: &str) -> Option<RememberedView> {
        let around = self.surroundings.borrow();
        let known = around.remembered.clone()?;
        let server = server_url(&known.server).ok()?;
        (known.user == user && around.server.as_ref() == Some(&server)).then_some(known)
    }

    /// Connects with what is remembered.
    pub async fn sign_in_remembered(&self) -> Result<(), Refusal> {
        let memory = self.memory.clone();
        let recalled = tokio::task::spawn_blocking(move || memory.recall()).await.ok().flatten();
        let Some(SignIn { server, user, ticket }) = recalled else {
            return Err(Refusal::bad_parameter("This computer does not remember the ticket any more."));
        };
        let user = UserId::new(user).map_err(Refusal::bad_parameter)?;
        self.sign_in(&server, user, ticket, Remember::AsItIs).await
    }

    /// Hands in a new ticket; it takes the place of the one that is remembered for this user at this server.
    pub async fn renew_ticket(&self, ticket: Secret) -> Result<(), Refusal> {
        self.request(Intent::RenewTicket(ticket.clone())).await?;
        let known = self.user().and_then(|me| self.remembered_here(me.as_str()));
        let Some(RememberedView { server, user, .. }) = known else { return Ok(()) };
        let memory = self.memory.clone();
        self.remember(move || memory.keep(&SignIn { server, user, ticket })).await
    }

    /// Forgets what is remembered.
    pub async fn forget_sign_in(&self) -> Result<(), Refusal> {
        let memory = self.memory.clone();
        self.remember(move || memory.forget()).await
    }

    /// Changes the memory where waiting does no harm, and shows what it holds then.
    async fn remember(&self, change: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Result<(), Refusal> {
        let changed = tokio::task::spawn_blocking(change).await;
        self.surroundings.send_modify(|around| around.remembered = self.memory.summary());
        match changed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Refusal::internal(format!("{error:#}"))),
            Err(error) => Err(Refusal::internal(error)),
        }
    }

    /// Starts the embedded server, once.
    pub async fn host_start(&self) -> Result<(), Refusal> {
        let show = |host| self.surroundings.send_modify(|around| around.host = host);
        show(HostView::Starting);
        match self.host.start().await {
            Ok(url) => {
                show(HostView::Running { url });
                Ok(())
            }
            Err(error) => {
                let refusal = Refusal::internal(format!("{error:#}"));
                show(HostView::Failed { refusal: refusal.clone() });
                Err(refusal)
            }
        }
    }

    /// What lets a user sign in at the embedded server.
    pub async fn host_invite(&self, user: &UserId) -> Result<Invitation, Refusal> {
        self.host.invite(user).await.map_err(|error| Refusal::bad_parameter(format!("{error:#}")))
    }

    /// Where pictures come from.
    pub fn video_lane(&self) -> VideoLane {
        self.lane.address()
    }

    /// Ends the call, tells the others, releases the devices, stops the embedded server.
    pub async fn close(&self) {
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, async {
            if let Err(refusal) = self.request(Intent::SignOut).await {
                tracing::debug!(code = refusal.code, "nothing to sign out of");
            }
            self.host.stop().await;
        });
        if closed.await.is_err() {
            tracing::warn!("closed without an answer from the server");
        }
    }
}

/// Views as they change; whoever is slow gets the latest.
pub struct Views {
    snapshots: watch::Receiver<Snapshot>,
    surroundings: watch::Receiver<Surroundings>,
    shown: Option<View>,
}

impl Views {
    /// The next view that differs from the one before; `None` when the engine has stopped.
    pub async fn next(&mut self) -> Option<View> {
        loop {
            let view = compose(&self.snapshots.borrow_and_update(), &self.surroundings.borrow_and_update());
            if self.shown.as_ref() != Some(&view) {
                self.shown = Some(view.clone());
                return Some(view);
            }
            let changed = tokio::select! {
                changed = self.snapshots.changed() => changed,
                changed = self.surroundings.changed() => changed,
            };
            changed.ok()?;
        }
    }
}

fn compose(snapshot: &Snapshot, around: &Surroundings) -> View {
    let Snapshot { session, stage, devices, book } = snapshot.clone();
    View {
        book: BookView::of(book, session_user(&session)),
        quiet: around.quiet,
        session: session.into(),
        stage: stage.into(),
        devices: devices.into(),
        remembered: around.remembered.clone(),
        host: around.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn session_user(session: &Session) -> Option<&UserId> {
    match session {
        Session::SignedOut { .. } => None,
        Session::SigningIn { user }
        | Session::Online { user }
        | Session::Offline { user }
        | Session::KickedOffline { user }
        | Session::TicketExpired { user } => Some(user),
    }
}

/// The server's address as people type it: without a scheme it is `http`.
fn server_url(text: &str) -> Result<url::Url, Refusal> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url =
        url::Url::parse(&whole).map_err(|_| Refusal::bad_parameter("A server address looks like http://name:port."))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(Refusal::bad_parameter("A server address begins with http:// or https://.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::EngineConfig;
    use media::DeviceChoice;
    use std::path::Path;

    /// A shell without devices and keyring, whose own server runs.
    async fn shell(directory: &Path) -> Arc<Shell> {
        let engine = Engine::start(EngineConfig {
            microphone: DeviceChoice::None,
            speaker: DeviceChoice::None,
            camera: DeviceChoice::None,
            watch_devices: false,
            ..EngineConfig::new(protocol::DeviceId::new("test").expect("id"))
        });
        let lane = Lane::start().await.expect("a port");
        let memory = Memory::without_keyring(directory);
        let host = Host::new(None, directory.join("server"));
        let shell = Shell::new(engine, lane, memory, host, Settings::of_profile(directory)).await;
        shell.host_start().await.expect("started");
        shell
    }

    async fn invitation(shell: &Shell) -> Invitation {
        shell.host_invite(&alice()).await.expect("invited")
    }

    fn alice() -> UserId {
        UserId::new("alice").expect("id")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_does_not_want_to_be_remembered_is_forgotten_and_nobody_else_is() {
        let directory = tempfile::tempdir().expect("directory");
        let shell = shell(directory.path()).await;
        let Invitation { server, ticket, .. } = invitation(&shell).await;
        let sign_in = async |remember| {
            shell.sign_in(&server, alice(), Secret(ticket.clone()), remember).await.expect("signed in");
            shell.view().remembered.map(|known| known.server)
        };
        assert_eq!(sign_in(Remember::Keep).await, Some(server.clone()));
        assert_eq!(sign_in(Remember::AsItIs).await, Some(server.clone()));
        assert_eq!(sign_in(Remember::Forget).await, None);
        assert!(shell.memory.recall().is_none());

        let elsewhere = "http://calls.example".to_owned();
        let other = SignIn { server: elsewhere.clone(), user: "alice".into(), ticket: Secret("eJx-old".into()) };
        let memory = shell.memory.clone();
        shell.remember(move || memory.keep(&other)).await.expect("kept");
        assert_eq!(sign_in(Remember::Forget).await, Some(elsewhere), "alice of another server");
        shell.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_ticket_takes_the_place_of_the_one_for_the_same_server_only() {
        let directory = tempfile::tempdir().expect("directory");
        let shell = shell(directory.path()).await;
        let Invitation { server, ticket, .. } = invitation(&shell).await;
        let renewed = async |address: String| {
            let known = SignIn { server: address, user: "alice".into(), ticket: Secret("eJx-old".into()) };
            let memory = shell.memory.clone();
            shell.remember(move || memory.keep(&known)).await.expect("kept");
            shell.renew_ticket(Secret(ticket.clone())).await.expect("renewed");
            shell.memory.recall().expect("remembered").ticket.0
        };
        shell.sign_in(&server, alice(), Secret(ticket.clone()), Remember::AsItIs).await.expect("signed in");
        assert_eq!(renewed("http://calls.example".into()).await, "eJx-old");
        // As it may have been typed.
        assert_eq!(renewed(format!(" {}", server.trim_start_matches("http://"))).await, ticket);
        shell.close().await;
    }

    #[test]
    fn a_server_address_needs_no_scheme() {
        assert_eq!(server_url(" 127.0.0.1:7000 ").expect("address").as_str(), "http://127.0.0.1:7000/");
        assert_eq!(server_url("https://calls.example").expect("address").as_str(), "https://calls.example/");
        for wrong in ["", "ftp://calls.example", "http://", "file:///etc/passwd"] {
            assert_eq!(server_url(wrong).expect_err(wrong).code, -1202);
        }
    }
}
