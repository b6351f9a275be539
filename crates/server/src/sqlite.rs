//! Opening one of the server's SQLite files: for its owner's eyes, held by one process, made where it is missing.

use anyhow::{Context as _, Result, bail};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// How long another server may take to let go of the file.
const PATIENCE: Duration = Duration::from_millis(500);

/// Opens `path` and carries out those `steps` of the tables' history that it has not gone through yet. Steps that were
/// released never change; a file with more of them was written by a newer version and is refused.
pub fn open(path: &Path, steps: &[&str]) -> Result<Connection> {
    let mut db = Connection::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    let in_use = || format!("{} is in use by another server", path.display());
    db.busy_timeout(PATIENCE)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE").with_context(in_use)?;
    // NORMAL: survives the death of the process; a power cut may cost the last moments, not the file.
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).with_context(in_use)?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate).with_context(in_use)?;
    let done: u32 = write.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let Some(missing) = steps.get(done as usize..) else { bail!("{} was written by a newer version", path.display()) };
    for step in missing {
        write.execute_batch(step).with_context(|| format!("{} cannot be brought up to date", path.display()))?;
    }
    write.pragma_update(None, "user_version", u32::try_from(steps.len())?)?;
    write.commit()?;
    Ok(db)
}
