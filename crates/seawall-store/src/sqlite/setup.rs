//! Opening a data directory: lock it, look before touching, migrate, and check that the keys belong to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::schema::{APPLICATION_ID, MIGRATIONS};
use crate::vault::{KEY_FILE, Place, Vault};
use crate::{Result, StoreError};

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "seawall.db";
/// Name of the lock file in the data directory.
pub const LOCK_FILE: &str = "seawall.lock";

/// Pages of the log after which it is written back: 32 MB, read in well under a second after a crash.
const CHECKPOINT_PAGES: u32 = 8192;
const PAGE_SIZE: u32 = 4096;
const VAULT_CHECK: &[u8] = b"this database belongs to this key";
const CHECK_PLACE: Place = Place { kind: *b"vc", row: 0 };

/// Locks the directory for this process. The lock ends with the returned file.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK_FILE);
    let failed = |e: std::io::Error| StoreError::Unavailable(format!("cannot lock {}: {e}", path.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// Opens the database for writing, brings it to this version's schema, and checks that `vault` is its key.
pub(super) fn open_file(dir: &Path, vault: &Vault) -> Result<Connection> {
    let path = dir.join(DATABASE_FILE);
    create_private(&path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(&path, flags)?;
    let schema = inspect(&conn).map_err(|e| refuse(&path, e))?;
    tune_writer(&conn, schema == 0)?;
    migrate(&mut conn, schema, MIGRATIONS, &|schema| backup_path(dir, schema))?;
    super::keys::open(&conn, vault)?;
    check_vault(&conn, vault)?;
    sync_dir(dir)?;
    Ok(conn)
}

/// An empty database that ends with the process.
pub(super) fn open_memory(vault: &Vault) -> Result<Connection> {
    let mut conn = Connection::open_in_memory()?;
    conn.set_prepared_statement_cache_capacity(128);
    migrate(&mut conn, 0, MIGRATIONS, &|_| PathBuf::new())?;
    super::keys::open(&conn, vault)?;
    check_vault(&conn, vault)?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn open_reader(dir: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(dir.join(DATABASE_FILE), flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -4000;")?;
    Ok(conn)
}

fn refuse(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(why) => StoreError::Corrupt(format!(
            "{} is damaged or no Seawall database, and was left as it is: {why}; restore it from a backup",
            path.display()
        )),
        other => other,
    }
}

/// The log and the shared-memory file take their permissions from this one.
pub(super) fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    made.map(drop).map_err(|e| StoreError::Unavailable(format!("cannot open {}: {e}", path.display())))
}

/// Schema of the file; 0 when it is new and empty. Reads only.
pub(super) fn inspect(conn: &Connection) -> Result<i64> {
    conn.busy_timeout(Duration::from_secs(5))?;
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0));
    let (application, schema) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || application != 0 || schema != 0) {
        return Err(StoreError::Corrupt("it was made by another program".to_owned()));
    }
    Ok(schema)
}

fn tune_writer(conn: &Connection, new: bool) -> Result<()> {
    if new {
        // Only an empty file takes these.
        conn.execute_batch(&format!("PRAGMA page_size = {PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL;"))?;
    }
    conn.set_prepared_statement_cache_capacity(128);
    // Without spilling, the log is written and synced by COMMIT alone: one place where it can fail.
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = 67108864; PRAGMA mmap_size = 0; PRAGMA cache_size = -24000;
         PRAGMA cache_spill = OFF; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;"
    ))?;
    Ok(())
}

fn backup_path(dir: &Path, schema: i64) -> PathBuf {
    dir.join(format!("{DATABASE_FILE}.before-schema-{schema}"))
}

/// Takes the missing steps in one transaction, after copying a file that holds data.
fn migrate(
    conn: &mut Connection,
    schema: i64,
    steps: &[&str],
    backup: &dyn Fn(i64) -> PathBuf,
) -> Result<()> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if schema > known {
        return Err(StoreError::Newer { found: schema, known });
    }
    if schema == known {
        return Ok(());
    }
    if schema > 0 {
        let copy = backup(known);
        if !copy.exists() {
            conn.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
        }
    }
    let tx = conn.transaction()?;
    for step in steps.iter().skip(usize::try_from(schema).unwrap_or(0)) {
        tx.execute_batch(step)?;
    }
    tx.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {known};"))?;
    tx.commit()?;
    Ok(())
}

/// Whether `vault` is the key of a database: a known value, sealed, and one look-up hash must both come out right, or
/// nothing else would. `None` where nothing was sealed yet.
pub(super) fn belongs(conn: &Connection, vault: &Vault) -> Result<Option<bool>> {
    let stored: Option<(Vec<u8>, i64)> = conn
        .query_row(
            "SELECT a.value, b.value FROM meta a, meta b WHERE a.key = 'vault' AND b.key = 'vault_hash'",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let opens =
        |sealed: &[u8]| vault.open_sealed(CHECK_PLACE, sealed).is_ok_and(|plain| plain == VAULT_CHECK);
    Ok(stored.map(|(sealed, hash)| hash == check_hash(vault) && opens(&sealed)))
}

fn check_hash(vault: &Vault) -> i64 {
    vault.index().hash(b'v', VAULT_CHECK).cast_signed()
}

/// Refuses another database's key; a new database takes this one.
fn check_vault(conn: &Connection, vault: &Vault) -> Result<()> {
    match belongs(conn, vault)? {
        Some(true) => Ok(()),
        Some(false) => Err(StoreError::Corrupt(format!(
            "{KEY_FILE} does not belong to {DATABASE_FILE}; restore the key file from its backup"
        ))),
        None => {
            let mut insert = conn.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
            insert.execute(params!["vault", vault.seal(CHECK_PLACE, VAULT_CHECK)?])?;
            insert.execute(params!["vault_hash", check_hash(vault)])?;
            Ok(())
        }
    }
}

fn sync_dir(dir: &Path) -> Result<()> {
    let synced = File::open(dir).and_then(|d| d.sync_all());
    synced.map_err(|e| StoreError::Unavailable(format!("cannot sync {}: {e}", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_keeps_a_copy_and_happens_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(dir.path().join("x.db")).unwrap();
        let copy = |schema| backup_path(dir.path(), schema);
        migrate(&mut conn, 0, &["CREATE TABLE a (x); INSERT INTO a VALUES (1)"], &copy).unwrap();
        let broken = ["", "DELETE FROM a", "no sql"];
        assert!(migrate(&mut conn, 1, &broken, &copy).is_err());
        assert_eq!(conn.query_row("SELECT count(*) FROM a", [], |r| r.get::<_, i64>(0)).unwrap(), 1);
        assert_eq!(inspect(&conn).unwrap(), 1);
        migrate(&mut conn, 1, &["", "DELETE FROM a"], &copy).unwrap();
        assert_eq!(inspect(&conn).unwrap(), 2);
        let saved = Connection::open(copy(2)).unwrap();
        assert_eq!(saved.query_row("SELECT count(*) FROM a", [], |r| r.get::<_, i64>(0)).unwrap(), 1);
        assert!(matches!(
            migrate(&mut conn, 9, &["", ""], &copy),
            Err(StoreError::Newer { found: 9, known: 2 })
        ));
    }
}
