//! The sign-in that this computer remembers: the ticket in the operating system's keyring, who and where in a file.
//!
//! Where there is no keyring the ticket lies in the same file, which only this user of the computer can read, and the
//! view says so.

use crate::view::{KeptIn, RememberedView};
use anyhow::Context;
use engine::api::Secret;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The service under which keyrings list the ticket.
const SERVICE: &str = "org.ahoy.desktop";

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    server: String,
    user: String,
    /// Only where there is no keyring.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
}

/// A whole remembered sign-in.
pub struct SignIn {
    pub server: String,
    pub user: String,
    pub ticket: Secret,
}

/// Where one profile's sign-in is remembered. Every method may wait for the keyring: call them on a blocking thread.
#[derive(Clone)]
pub struct Memory {
    file: PathBuf,
    /// Account in the keyring; absent where no keyring is to be asked.
    account: Option<String>,
}

impl Memory {
    /// The memory of the profile that keeps its configuration in `directory`.
    pub fn new(directory: &Path, profile: &str) -> Self {
        Self { file: directory.join("sign-in.json"), account: Some(format!("ticket/{profile}")) }
    }

    /// For tests: asks no keyring.
    #[cfg(test)]
    pub fn without_keyring(directory: &Path) -> Self {
        Self { account: None, ..Self::new(directory, "test") }
    }

    fn entry(&self) -> Option<keyring::Entry> {
        let account = self.account.as_deref()?;
        keyring::Entry::new(SERVICE, account).inspect_err(|error| tracing::info!(%error, "no keyring")).ok()
    }

    fn record(&self) -> Option<Record> {
        serde_json::from_str(&std::fs::read_to_string(&self.file).ok()?).ok()
    }

    /// What is remembered, without the ticket; asks no keyring.
    pub fn summary(&self) -> Option<RememberedView> {
        let Record { server, user, ticket } = self.record()?;
        let kept_in = if ticket.is_some() { KeptIn::File } else { KeptIn::Keyring };
        Some(RememberedView { server, user, kept_in })
    }

    /// The whole of it; `None` where nothing is remembered or the keyring gives nothing back.
    pub fn recall(&self) -> Option<SignIn> {
        let Record { server, user, ticket } = self.record()?;
        let ticket = match ticket {
            Some(ticket) => ticket,
            None => self
                .entry()?
                .get_password()
                .inspect_err(|error| tracing::warn!(%error, "the keyring does not give the ticket back"))
                .ok()?,
        };
        Some(SignIn { server, user, ticket: Secret(ticket) })
    }

    /// Remembers, in place of what was remembered.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, sign_in: &SignIn) -> anyhow::Result<()> {
        let in_keyring = self.entry().is_some_and(|entry| {
            entry
                .set_password(&sign_in.ticket.0)
                .inspect_err(|error| tracing::info!(%error, "no keyring; the ticket goes into a file"))
                .is_ok()
        });
        let record = Record {
            server: sign_in.server.clone(),
            user: sign_in.user.clone(),
            ticket: (!in_keyring).then(|| sign_in.ticket.0.clone()),
        };
        self.write(&record).with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// Forgets.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        if self.record().is_some_and(|record| record.ticket.is_none())
            && let Some(entry) = self.entry()
            && let Err(error) = entry.delete_credential()
        {
            tracing::warn!(%error, "the keyring keeps the ticket");
        }
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.file.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Through a new file of mode 0600, so that the ticket is never readable by others, not even for a moment.
    fn write(&self, record: &Record) -> anyhow::Result<()> {
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let fresh = self.file.with_extension("new");
        if fresh.exists() {
            std::fs::remove_file(&fresh)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.file)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> SignIn {
        SignIn { server: "http://127.0.0.1:1".into(), user: "alice".into(), ticket: Secret("eJx-ticket".into()) }
    }

    #[test]
    fn without_a_keyring_a_private_file_remembers_and_the_view_says_so() {
        let directory = tempfile::tempdir().expect("directory");
        let memory = Memory::without_keyring(directory.path());
        assert_eq!(memory.summary(), None);
        memory.keep(&alice()).expect("kept");
        memory.keep(&alice()).expect("kept again");
        let summary = memory.summary().expect("remembered");
        assert_eq!((summary.user.as_str(), summary.kept_in), ("alice", KeptIn::File));
        assert_eq!(memory.recall().expect("whole").ticket.0, "eJx-ticket");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(directory.path().join("sign-in.json")).expect("file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        memory.forget().expect("forgotten");
        memory.forget().expect("nothing to forget is fine");
        assert!(memory.recall().is_none());
    }

    #[test]
    fn a_damaged_file_is_like_none() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("sign-in.json"), "{").expect("written");
        assert!(Memory::without_keyring(directory.path()).recall().is_none());
    }
}
