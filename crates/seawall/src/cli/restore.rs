//! `seawall restore`

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use seawall_core::id::Id;
use seawall_store::memory::MemoryCounters;
use seawall_store::sqlite::SqliteStore;
use seawall_store::sqlite::backup::Backup;
use seawall_store::vault::{KEY_FILE, Vault};
use seawall_store::{Store, StoreError};

use super::backup::{copy_private, write_private};
use super::replay::progress::Progress;
use super::{Failure, Place, block_on, output};
use crate::app::restore::{Restored, settle};
use crate::app::tombstones::{self, Tombstone};
use crate::clock::Clock;
use crate::config::Config;
use crate::serve;

/// Where a store is made ready before it gets its place.
const STAGE: &str = "restoring";

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// The backup. Left out where PostgreSQL is the store: what `pg_restore` brought back is looked after then.
    file: Option<PathBuf>,
    /// The key file that belongs to it; otherwise `installation.key` in the data directory.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Numbers that were erased since the backup: `erased.log` of the lost data directory, receipts or numbers.
    #[arg(long, value_name = "FILE")]
    erased: Option<PathBuf>,
    /// The gateway was stopped before the backup was made and has not run since: what waited is sent, and open
    /// verifications go on.
    #[arg(long)]
    stopped: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    match (&args.file, &config.store.postgres) {
        (Some(_), Some(_)) => {
            let say = "store.url names PostgreSQL: restore the database with pg_restore, then run this without a file \
                 (docs/operate.md)";
            return Err(Failure::Wrong(say.to_owned()));
        }
        (None, None) => return Err(Failure::Wrong("which backup? seawall restore FILE".to_owned())),
        _ => {}
    }
    let erased = match &args.erased {
        Some(path) => read_erased(path)?,
        None => Vec::new(),
    };
    let done = match &args.file {
        Some(file) => block_on(restore(&config, file, args, &erased))??,
        None => block_on(database(&config, args, &erased))?.map_err(|e| e.to_string())?,
    };
    if args.json {
        return Ok(output::json(&done)?);
    }
    say(config.data_dir(), args, &done)
}

fn read_erased(path: &Path) -> Result<Vec<Tombstone>, Failure> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|e| Failure::Wrong(format!("cannot read {}: {e}", path.display())))?;
    tombstones::read(&text).map_err(|e| Failure::Wrong(format!("{}: {e}", path.display())))
}

fn say(dir: &Path, args: &RestoreArgs, done: &Restored) -> Result<(), Failure> {
    output::line(&format!("{} is restored; `seawall serve` goes on with it", dir.display()))?;
    if !args.stopped {
        output::line(&format!(
            "{} messages that waited may have left since and are unknown now, {} expired, {} are scheduled for later; \
             {} open verifications were canceled",
            done.unknown, done.expired, done.scheduled, done.verifications
        ))?;
    }
    if args.erased.is_some() {
        output::line(&format!(
            "{} numbers are erased again when it serves; of {} the backup holds nothing that names them",
            done.erased_again, done.not_found
        ))?;
    } else {
        output::line("What was erased after the backup is back: --erased FILE erases it again")?;
    }
    Ok(())
}

/// Everything is made ready beside its place, so that a restore that fails leaves nothing that could be served.
async fn restore(
    config: &Config,
    file: &Path,
    args: &RestoreArgs,
    erased: &[Tombstone],
) -> Result<Restored, String> {
    let dir = config.data_dir();
    let own = dir.join(KEY_FILE);
    look(dir, args)?;
    let key = args.key.as_deref().unwrap_or(&own);
    let hint = |e: StoreError| format!("{e}; --key FILE names the key of the backup");
    let elsewhere = config.keys.is_some() && args.key.is_none();
    let vault = if elsewhere { serve::vault(config, false) } else { Vault::read(key) };
    let vault = Arc::new(vault.map_err(hint)?);
    let backup = Backup::open(file, &vault).map_err(|e| e.to_string())?;
    let stage = dir.join(STAGE);
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", stage.display());
    fs::create_dir_all(dir).map_err(failed)?;
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(failed)?;
    }
    fs::create_dir(&stage).map_err(failed)?;
    let made = make(&stage, &backup, vault, !args.stopped, erased).await;
    let placed = match made {
        Ok(done) => place(&stage, dir, (key != own).then_some(key)).map(|()| done),
        Err(error) => Err(error.to_string()),
    };
    let _ = fs::remove_dir_all(&stage);
    placed
}

/// A directory in which something is kept already is left alone. A key of one's own may lie there.
fn look(dir: &Path, args: &RestoreArgs) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let allowed = name == STAGE || (name == KEY_FILE && args.key.is_none());
        if !allowed {
            let why = format!("{} holds {} already", dir.display(), name.display());
            return Err(format!("{why}; a backup is restored into an empty directory"));
        }
    }
    Ok(())
}

async fn make(
    stage: &Path,
    backup: &Backup,
    vault: Arc<Vault>,
    went_on: bool,
    erased: &[Tombstone],
) -> Result<Restored, StoreError> {
    let progress = Progress::new(Some(1), false);
    backup.unpack(stage, &mut |left, of| progress.pages(left, of))?;
    progress.finish();
    for (name, body) in backup.beside()? {
        // Names come from the backup, and must not lead elsewhere.
        let name =
            Path::new(&name).file_name().ok_or_else(|| StoreError::Corrupt("a file name".to_owned()))?;
        write_private(&stage.join(name), &body).map_err(StoreError::Unavailable)?;
    }
    let db = Arc::new(SqliteStore::open(stage, vault.clone())?);
    let counters = Arc::new(MemoryCounters::default());
    end(Store { directory: db.clone(), ledger: db, counters, vault }, went_on, erased).await
}

/// A database that was restored by other means, and that no node uses.
async fn database(config: &Config, args: &RestoreArgs, erased: &[Tombstone]) -> Result<Restored, StoreError> {
    let mut config = config.clone();
    // Counters of its own make it refuse a database that a node uses.
    config.counters.redis = None;
    end(serve::open_store(&config, false).await?, !args.stopped, erased).await
}

async fn end(store: Store, went_on: bool, erased: &[Tombstone]) -> Result<Restored, StoreError> {
    let clock = Clock::start(Id::new(store.ledger.newest_row().await?, 0).at());
    let done = settle(&store, clock.now(), went_on, erased).await;
    store.ledger.close().await;
    done
}

/// Moves what is ready to its place, the database last: without it there is nothing to serve.
fn place(stage: &Path, dir: &Path, key: Option<&Path>) -> Result<(), String> {
    if let Some(key) = key {
        copy_private(key, &dir.join(KEY_FILE))?;
    }
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", dir.display());
    let entries = fs::read_dir(stage).map_err(failed)?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort_by_key(|name| name == seawall_store::sqlite::DATABASE_FILE);
    for name in names.iter().filter(|name| *name != seawall_store::sqlite::LOCK_FILE) {
        fs::rename(stage.join(name), dir.join(name)).map_err(failed)?;
    }
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}
