//! What the person has set for this profile, beside the look of the screen, which the web view keeps itself.

use crate::view::QuietView;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file's content.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kept {
    quiet: QuietView,
}

/// The file of one profile.
#[derive(Clone)]
pub struct Settings {
    file: PathBuf,
}

impl Settings {
    /// The settings of the profile that keeps its configuration in `directory`.
    pub fn of_profile(directory: &Path) -> Self {
        Self { file: directory.join("settings.json") }
    }

    /// What an incoming call does here; it rings where nothing else was ever set, or the file cannot be read.
    pub fn quiet(&self) -> QuietView {
        match std::fs::read_to_string(&self.file) {
            Ok(text) => serde_json::from_str::<Kept>(&text).unwrap_or_else(|error| {
                tracing::warn!(file = %self.file.display(), %error, "settings that cannot be read are left alone");
                Kept::default()
            }),
            Err(_) => Kept::default(),
        }
        .quiet
    }

    /// Keeps it for the next start.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_quiet(&self, quiet: QuietView) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.file.display());
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory).with_context(failed)?;
        }
        std::fs::write(&self.file, serde_json::to_string_pretty(&Kept { quiet })?).with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_after_the_next_start() {
        let directory = tempfile::tempdir().expect("directory");
        let settings = Settings::of_profile(&directory.path().join("new"));
        assert_eq!(settings.quiet(), QuietView::Off);
        settings.keep_quiet(QuietView::DoNotDisturb).expect("kept");
        assert_eq!(Settings::of_profile(&directory.path().join("new")).quiet(), QuietView::DoNotDisturb);
    }

    #[test]
    fn a_damaged_file_is_no_reason_not_to_ring() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("settings.json"), "{\"quiet\": 7}").expect("written");
        assert_eq!(Settings::of_profile(directory.path()).quiet(), QuietView::Off);
    }
}
