//! A child process that ends with its owner.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A program of this workspace, built beside the running one; tests lie one folder deeper.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("the running program has a path")?;
    let path = here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let above = path.parent().and_then(Path::parent).map(|folder| folder.join(path.file_name().unwrap_or_default()));
    [Some(path.clone()), above]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .with_context(|| format!("{} is not built", path.display()))
}

/// A running child; killed when dropped.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts it.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its own end; false where it did not come in time.
    pub fn wait(&mut self, longest: Duration) -> bool {
        wait_until(longest, || !self.is_running())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks every 20 ms until the answer is yes; false where the time ran out.
pub fn wait_until(longest: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + longest;
    while Instant::now() < deadline {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    done()
}
