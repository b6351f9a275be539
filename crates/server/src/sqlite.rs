//! Opening one of the server's SQLite files: for its owner's eyes, held by one process, made where it is missing.

use anyhow::{Context as _, Result, bail};
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// How long another server may take to let go of the file.
const PATIENCE: Duration = Duration::from_millis(500);

/// Opens `path` and makes the `tables` that are missing. `schema` is raised with every change of them; a newer file is
/// refused.
pub fn open(path: &Path, tables: &str, schema: i64) -> Result<Connection> {
    let db = Connection::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
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
    db.execute_batch(&format!("BEGIN IMMEDIATE; {tables} COMMIT;")).with_context(in_use)?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > schema {
        bail!("{} was written by a newer version", path.display());
    }
    db.pragma_update(None, "user_version", schema)?;
    Ok(db)
}
