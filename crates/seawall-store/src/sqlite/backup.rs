//! Copies of the database: made while it is in use, checked before they are used again.
//!
//! A backup is one SQLite file: the database as it stood at one instant, and, in a table of its own, the files
//! that belong beside it. The keys are not among them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup as Copying, StepResult};
use rusqlite::{Connection, OpenFlags, params};

use super::schema::MIGRATIONS;
use super::setup::{self, DATABASE_FILE};
use crate::vault::Vault;
use crate::{Result, StoreError};

/// Pages that are copied before progress is told.
const PAGES: i32 = 4096;
const FILES: &str = "CREATE TABLE backup_files (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID";

/// A file that belongs beside the database: its name and what it holds.
pub type Beside = (String, Vec<u8>);

fn failed(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot {what} {}: {error}", path.display()))
}

/// The database of a data directory at one instant. Whoever writes goes on writing meanwhile.
pub struct Instant {
    conn: Connection,
}

impl Instant {
    /// Holds the database as it stands now; also that of a running gateway.
    pub fn of(dir: &Path) -> Result<Self> {
        if !dir.join(DATABASE_FILE).exists() {
            let why = format!("{} holds no {DATABASE_FILE}", dir.display());
            return Err(StoreError::Unavailable(why));
        }
        let conn = setup::open_reader(dir)?;
        known(&conn)?;
        // The copy reads within this transaction, so that all of its steps see the same database.
        conn.execute_batch("BEGIN; SELECT count(*) FROM meta")?;
        Ok(Instant { conn })
    }

    /// Writes the copy, which appears under its name only when it is whole and on disk. `progress` is told how many
    /// pages are left and how many there are. Gives the size in bytes.
    pub fn write(&self, to: &Path, beside: &[Beside], progress: &mut dyn FnMut(i32, i32)) -> Result<u64> {
        if to.exists() {
            return Err(StoreError::Duplicate(to.display().to_string()));
        }
        let part = part_of(to);
        let written = self.write_part(&part, beside, progress).and_then(|()| publish(&part, to));
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    fn write_part(&self, part: &Path, beside: &[Beside], progress: &mut dyn FnMut(i32, i32)) -> Result<()> {
        let _ = std::fs::remove_file(part);
        setup::create_private(part)?;
        let mut copy = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copy_pages(&self.conn, &mut copy, progress)?;
        // One file, with nothing beside it that could be forgotten.
        copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
        copy.execute_batch(FILES)?;
        for (name, body) in beside {
            copy.execute("INSERT INTO backup_files VALUES (?1, ?2)", params![name, body])?;
        }
        sound(&copy)
    }
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn copy_pages(from: &Connection, to: &mut Connection, progress: &mut dyn FnMut(i32, i32)) -> Result<()> {
    let copying = Copying::new(from, to)?;
    loop {
        let step = copying.step(PAGES)?;
        let at = copying.progress();
        progress(at.remaining, at.pagecount);
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Gives a finished file its name. Says how long it is.
fn publish(part: &Path, to: &Path) -> Result<u64> {
    let synced = File::open(part).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
    let length = synced.map_err(|e| failed("write", part, &e))?.len();
    std::fs::rename(part, to).map_err(|e| failed("write", to, &e))?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| failed("sync", dir, &e))?;
    Ok(length)
}

/// Refuses a file of another program and one that a newer version wrote. Gives its schema.
fn known(conn: &Connection) -> Result<i64> {
    let found = setup::inspect(conn)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match found {
        0 => Err(StoreError::Corrupt("it is empty".to_owned())),
        _ if found > known => Err(StoreError::Newer { found, known }),
        _ => Ok(found),
    }
}

/// Refuses a file whose pages do not fit together.
fn sound(conn: &Connection) -> Result<()> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt(found)) }
}

/// A backup that was looked at and can be used.
pub struct Backup {
    conn: Connection,
}

impl Backup {
    /// Opens a backup. Refuses one that is damaged, of another program, newer, or sealed with other keys.
    pub fn open(path: &Path, vault: &Vault) -> Result<Self> {
        let about = |error: StoreError| match error {
            StoreError::Corrupt(why) => StoreError::Corrupt(format!("{}: {why}", path.display())),
            other => other,
        };
        let read = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, read)?;
        known(&conn).and_then(|_| sound(&conn)).map_err(about)?;
        let foreign =
            |why: String| about(StoreError::Corrupt(format!("it is sealed with another key: {why}")));
        super::keys::unlock(&conn, vault).map_err(|error| match error {
            StoreError::Corrupt(why) => foreign(why),
            other => other,
        })?;
        match setup::belongs(&conn, vault)? {
            Some(true) => Ok(Backup { conn }),
            _ => Err(about(StoreError::Corrupt("it is sealed with another key".to_owned()))),
        }
    }

    /// The files that belong beside the database.
    pub fn beside(&self) -> Result<Vec<Beside>> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'backup_files'";
        if self.conn.query_row(sql, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Vec::new());
        }
        let mut select = self.conn.prepare("SELECT name, body FROM backup_files")?;
        let files = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(files.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes the database into a directory that has none.
    pub fn unpack(&self, dir: &Path, progress: &mut dyn FnMut(i32, i32)) -> Result<()> {
        let to = dir.join(DATABASE_FILE);
        if to.exists() {
            return Err(StoreError::Duplicate(to.display().to_string()));
        }
        setup::create_private(&to)?;
        let mut copy = Connection::open_with_flags(&to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copy_pages(&self.conn, &mut copy, progress)?;
        Ok(copy.execute_batch("DROP TABLE IF EXISTS backup_files")?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Ledger;
    use crate::conformance::message;
    use crate::records::Acceptance;
    use crate::sqlite::SqliteStore;

    async fn accept(store: &SqliteStore, all: std::ops::Range<i64>) -> Vec<seawall_core::id::Id> {
        let mut ids = Vec::new();
        for n in all {
            let message = message(n, 1, "x").unwrap();
            ids.push(message.id);
            store.accept(Acceptance { messages: vec![message], ..Acceptance::default() }).await.unwrap();
        }
        ids
    }

    fn vault(key: u8) -> Arc<Vault> {
        Arc::new(Vault::from_keys(&[(1, [key; 32])]).unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_made_while_messages_come_in_is_the_database_at_one_instant() {
        let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Arc::new(SqliteStore::open(dir.path(), vault(1)).unwrap());
        let before = accept(&store, 0..50).await;
        let instant = Instant::of(dir.path()).unwrap();
        let after = accept(&store, 50..80).await;
        let file = out.path().join("a.backup");
        let beside = [("evidence.snapshot".to_owned(), vec![1, 2, 3])];
        instant.write(&file, &beside, &mut |_, _| {}).unwrap();
        assert!(matches!(instant.write(&file, &[], &mut |_, _| {}), Err(StoreError::Duplicate(_))));
        assert!(Backup::open(&file, &vault(2)).err().unwrap().to_string().contains("another key"));
        let backup = Backup::open(&file, &vault(1)).unwrap();
        assert_eq!(backup.beside().unwrap(), beside);
        let to = tempfile::tempdir().unwrap();
        backup.unpack(to.path(), &mut |_, _| {}).unwrap();
        assert!(backup.unpack(to.path(), &mut |_, _| {}).is_err());
        let copy = SqliteStore::open(to.path(), vault(1)).unwrap();
        assert_eq!(copy.census(None).await.unwrap().values().sum::<u64>(), 50);
        assert!(copy.message(None, before[49]).await.unwrap().is_some());
        assert!(copy.message(None, after[0]).await.unwrap().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_damaged_or_newer_is_refused() {
        let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = SqliteStore::open(dir.path(), vault(1)).unwrap();
        accept(&store, 0..50).await;
        let whole = out.path().join("a.backup");
        Instant::of(dir.path()).unwrap().write(&whole, &[], &mut |_, _| {}).unwrap();
        let mut bytes = std::fs::read(&whole).unwrap();
        let cut = out.path().join("cut");
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        assert!(Backup::open(&cut, &vault(1)).is_err());
        // The schema stands in the header.
        bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
        let newer = out.path().join("newer");
        std::fs::write(&newer, bytes).unwrap();
        assert!(matches!(Backup::open(&newer, &vault(1)), Err(StoreError::Newer { found: 99, .. })));
        assert!(Backup::open(&out.path().join("none"), &vault(1)).is_err());
    }
}
