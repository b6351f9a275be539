//! A server with people at their computers.

use crate::window::Start;
use crate::{Machine, Ring, Window};
use anyhow::{Context, Result};
use protocol::UserId;
use std::time::{Duration, Instant};
use tests_calls::House;
use tokio::sync::{Mutex, MutexGuard};

/// Windows are heavy: one scene at a time, however many tests run at once.
static STAGE: Mutex<()> = Mutex::const_new(());
/// The server's usual one: on a machine that is busy with windows a shorter one would find connections dead that are slow.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A running server.
pub struct Scene {
    /// The server.
    pub house: House,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// Opens it when no other scene is open.
    pub async fn open() -> Result<Self> {
        let turn = STAGE.lock().await;
        Ok(Self { house: House::open_beating(HEARTBEAT).await?, _turn: turn })
    }

    /// Computers for two people; only the first one's has a keyring.
    pub async fn two_machines(&self) -> Result<(Machine, Machine)> {
        let alice = tokio::task::spawn_blocking(|| Machine::start("alice", 210.0, Ring::Present));
        let bob = tokio::task::spawn_blocking(|| Machine::start("bob", 120.0, Ring::Absent));
        Ok((alice.await??, bob.await??))
    }

    /// Computers for three people.
    pub async fn three_machines(&self) -> Result<[Machine; 3]> {
        let (alice, bob) = self.two_machines().await?;
        let chiara = tokio::task::spawn_blocking(|| Machine::start("chiara", 160.0, Ring::Absent)).await??;
        Ok([alice, bob, chiara])
    }

    /// A ticket for somebody.
    pub fn ticket(&self, user: &str) -> Result<String> {
        Ok(self.house.ticket(&UserId::new(user)?))
    }

    /// The way in by the command line.
    pub fn signed_in(&self, user: &str) -> Result<Start> {
        self.signed_in_at(self.house.url().as_str(), user)
    }

    /// The way in by the command line, at another address of the same server.
    pub fn signed_in_at(&self, address: &str, user: &str) -> Result<Start> {
        Ok(Start { sign_in: Some((address.to_owned(), self.ticket(user)?)), ..Start::default() })
    }

    /// Both people's windows, signed in.
    pub async fn two_windows<'m>(&self, alice: &'m Machine, bob: &'m Machine) -> Result<(Window<'m>, Window<'m>)> {
        let (alice, bob) = (Window::open(alice, self.signed_in("alice")?), Window::open(bob, self.signed_in("bob")?));
        let (alice, bob) = tokio::try_join!(alice, bob)?;
        tokio::try_join!(alice.sees("start-screen"), bob.sees("start-screen"))?;
        Ok((alice, bob))
    }

    /// Three people's windows, signed in.
    pub async fn three_windows<'m>(&self, [alice, bob, chiara]: &'m [Machine; 3]) -> Result<[Window<'m>; 3]> {
        let (alice, bob) = self.two_windows(alice, bob).await?;
        let chiara = Window::open(chiara, self.signed_in("chiara")?).await?;
        chiara.sees("start-screen").await?;
        Ok([alice, bob, chiara])
    }
}

/// One step of a scene: its name stands before whatever goes wrong in it.
pub async fn step<T>(name: &str, act: impl Future<Output = Result<T>>) -> Result<T> {
    let began = Instant::now();
    let done = act.await.with_context(|| format!("step \"{name}\""));
    println!("{:>6.1} s  {name}{}", began.elapsed().as_secs_f32(), if done.is_ok() { "" } else { ": FAILED" });
    done
}
