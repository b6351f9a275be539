//! The secrets that a server makes for itself at its first start, and keeps.

use crate::private;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

const FILE: &str = "secrets.toml";

/// Secrets of one server. Never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Secrets {
    /// Signs tickets, unless one is configured.
    pub ticket_key: String,
    /// Signs the server's own room tokens.
    pub room_secret: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the secrets of a data directory; makes directory and secrets where they are missing. Both are for their
    /// owner's eyes only.
    pub fn load(data_dir: &Path) -> Result<Self> {
        private::make_dir(data_dir)?;
        let path = data_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::generate(&path, data_dir),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    fn generate(path: &Path, data_dir: &Path) -> Result<Self> {
        let secrets = Self { ticket_key: private::random_hex(), room_secret: private::random_hex() };
        // Written whole under another name, then linked: a second process that starts at the same moment reads either
        // nothing or all of it, and the first one to arrive wins.
        let fresh = private::write_beside(path, toml::to_string(&secrets)?.as_bytes())?;
        let linked = fs::hard_link(&fresh, path);
        fs::remove_file(&fresh)?;
        match linked {
            Ok(()) => Ok(secrets),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Self::load(data_dir),
            Err(error) => Err(error).with_context(|| format!("{} cannot be written", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("deep/data");
        let first = Secrets::load(&home).unwrap();
        let second = Secrets::load(&home).unwrap();
        assert_eq!((&first.ticket_key, &first.room_secret), (&second.ticket_key, &second.room_secret));
        assert_ne!(first.ticket_key, first.room_secret);
        assert_eq!(first.ticket_key.len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&home.join(FILE)), 0o600);
            assert_eq!(mode(&home), 0o700);
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "ticket-key = 5").unwrap();
        assert!(Secrets::load(dir.path()).is_err());
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), "ticket-key = 5");
    }
}
