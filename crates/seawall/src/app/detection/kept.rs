//! Snapshots: what the stream folds to, up to a place in it. The embedded store's lies in the data directory; where
//! nodes share the stream it lies beside it, and one of them writes it for all.

use std::path::Path;
use std::sync::{Arc, Mutex};

use seawall_core::detect::{Engine, Tuning};
use seawall_store::vault::{Place, Vault};
use seawall_store::{Store, StoreError};

use super::super::App;
use super::happened::Happened;
use super::stream::{flush_in, read_on, write};
use super::{Detection, State, Turn, Watch};

/// Name of the snapshot in the data directory.
pub const SNAPSHOT_FILE: &str = "evidence.snapshot";
const PLACE: Place = Place { kind: *b"es", row: 0 };

/// What of the stream is forgotten once a snapshot holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// What no node reads any more: where nodes share it, only what the snapshot before holds as well, so that one
    /// that is a little behind need not begin anew.
    Old,
    /// All that it holds, because something in it is to be erased.
    All,
}

/// Writes a snapshot, and then forgets the part of the stream that it holds. Where nodes share the stream, the
/// others only write what they have.
pub async fn snapshot(app: &App, forget: Forget) {
    let mut turn = app.detection.turn.lock().await;
    if app.detection.shared && !app.store.ledger.leads() {
        flush_in(app, &mut turn).await;
        return;
    }
    let Some((folded, engine, watch)) = halt(app, &mut turn).await else { return };
    let made = tokio::task::spawn_blocking(move || {
        let snapshot = Snapshot { folded, engine: engine.snapshot(), watch: watch.snapshot() };
        postcard::to_allocvec(&snapshot).unwrap_or_default()
    });
    let kept = match made.await {
        Ok(plain) => keep(app, folded, plain).await,
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    };
    match kept {
        Ok(()) => forget_stream(app, &mut turn, folded, forget).await,
        Err(error) => tracing::error!(%error, "the evidence was not snapshotted; the stream goes on"),
    }
}

/// Everything as of one place in the stream.
async fn halt(app: &App, turn: &mut Turn) -> Option<(u64, Engine, Watch)> {
    if app.detection.shared {
        // Nobody else folds while it is our turn.
        let done = flush_in(app, turn).await;
        let (_, engine, watch) = done.then(|| app.detection.halt(false))?;
        return Some((app.detection.state().folded, engine, watch));
    }
    let (events, engine, watch) = app.detection.halt(true);
    if !write(app, events).await {
        return None;
    }
    Some((app.detection.state().folded, engine, watch))
}

impl Detection {
    /// Everything as of one event: what is not written yet, if it is to be taken, and both folds.
    fn halt(&self, take: bool) -> (Vec<Arc<Happened>>, Engine, Watch) {
        let mut watch = self.watching();
        let (pending, unwatched, engine) = {
            let mut state = self.state();
            state.since = 0;
            let pending = if take { std::mem::take(&mut state.pending) } else { Vec::new() };
            (pending, std::mem::take(&mut state.unwatched), state.engine.clone())
        };
        unwatched.iter().for_each(|happened| watch.observe(happened));
        (pending, engine, watch.clone())
    }
}

async fn keep(app: &App, folded: u64, plain: Vec<u8>) -> Result<(), StoreError> {
    if app.store.ledger.keeps_snapshots() {
        return app.store.ledger.keep_snapshot(folded, plain).await;
    }
    let (vault, dir) = (app.store.vault.clone(), app.config.data_dir().to_owned());
    let written = tokio::task::spawn_blocking(move || {
        replace(&dir.join(SNAPSHOT_FILE), &vault.seal(PLACE, &plain)?)
            .map_err(|e| StoreError::Unavailable(format!("cannot write {SNAPSHOT_FILE}: {e}")))
    });
    written.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
}

async fn forget_stream(app: &App, turn: &mut Turn, folded: u64, forget: Forget) {
    let before = std::mem::replace(&mut turn.before, folded);
    let up_to = if app.detection.shared && forget == Forget::Old { before } else { folded };
    if let Err(error) = app.store.ledger.forget_evidence(up_to).await {
        tracing::warn!(%error, "evidence that the snapshot holds could not be forgotten");
    }
}

/// A file that is either the old one or the new one, whatever happens.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("snapshot.new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |dir| std::fs::File::open(dir)?.sync_all())
}

/// What a snapshot holds. Each part knows its own format, so that a new version of one does not cost the other.
#[derive(serde::Serialize, serde::Deserialize)]
struct Snapshot {
    folded: u64,
    engine: Vec<u8>,
    watch: Vec<u8>,
}

/// Everything as it was: the snapshot, and the stream after it. A snapshot that cannot be read is told and
/// passed over: the stream that is left is folded alone, and detection learns the rest anew.
pub async fn restore(store: &Store, dir: &Path) -> Result<Detection, StoreError> {
    let (state, watch) = match store.ledger.keeps_snapshots() {
        true => match from_ledger(store).await? {
            Some(found) => found,
            None => take_in(store, dir).await?.unwrap_or_default(),
        },
        false => read_file(&store.vault, dir).unwrap_or_default(),
    };
    let turn = tokio::sync::Mutex::new(Turn { before: state.folded, ..Turn::default() });
    let (state, watch) = (Mutex::new(state), Mutex::new(watch));
    let detection = Detection { state, watch, shared: store.ledger.is_shared(), turn };
    let mut batches = 0;
    loop {
        let read = read_on(store, &detection).await?;
        if read.batches == 0 {
            break;
        }
        batches += read.batches;
        detection.watch(|_| ());
    }
    let (size, _) = detection.size();
    tracing::info!(batches, keys = size.keys, outstanding = size.outstanding, "evidence restored");
    Ok(detection)
}

/// A ledger without a snapshot may have been imported from an embedded store, whose snapshot lies in the data
/// directory: then it is the ledger's, and of all nodes.
async fn take_in(store: &Store, dir: &Path) -> Result<Option<(State, Watch)>, StoreError> {
    let Some(plain) = open_file(&store.vault, dir) else { return Ok(None) };
    let Ok(snapshot) = postcard::from_bytes::<Snapshot>(&plain) else { return Ok(None) };
    match store.ledger.keep_snapshot(snapshot.folded, plain.clone()).await {
        Ok(()) => {
            store.ledger.forget_evidence(snapshot.folded).await?;
            Ok(read(&plain))
        }
        Err(StoreError::Conflict) => {
            tracing::warn!("{SNAPSHOT_FILE} is of another store, and is passed over");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes what the snapshot holds in place of what is here.
pub(super) async fn begin_anew(store: &Store, detection: &Detection) -> Result<(), StoreError> {
    let forgotten = store.ledger.evidence_forgotten().await?;
    let (snapshot, fresh) = from_ledger(store).await?.unwrap_or_default();
    let mut watch = detection.watching();
    let mut state = detection.state();
    if snapshot.folded <= state.folded {
        tracing::error!("what was missed is in no snapshot; detection goes on without it");
        state.folded = state.folded.max(forgotten);
        return Ok(());
    }
    state.engine = snapshot.engine;
    state.folded = snapshot.folded;
    state.unwatched.clear();
    *watch = fresh;
    Ok(())
}

async fn from_ledger(store: &Store) -> Result<Option<(State, Watch)>, StoreError> {
    let found = store.ledger.snapshot().await?;
    Ok(found.map(|(_, plain)| read(&plain).unwrap_or_default()))
}

fn read_file(vault: &Vault, dir: &Path) -> Option<(State, Watch)> {
    open_file(vault, dir).and_then(|plain| read(&plain))
}

fn open_file(vault: &Vault, dir: &Path) -> Option<Vec<u8>> {
    let sealed = std::fs::read(dir.join(SNAPSHOT_FILE)).ok()?;
    let opened = vault.open_sealed(PLACE, &sealed);
    opened
        .inspect_err(
            |error| tracing::error!(%error, "{SNAPSHOT_FILE} cannot be read; going on with the stream alone"),
        )
        .ok()
}

fn read(plain: &[u8]) -> Option<(State, Watch)> {
    let Ok(snapshot) = postcard::from_bytes::<Snapshot>(plain) else {
        tracing::warn!("the snapshot of the evidence is of another version; going on with the stream alone");
        return None;
    };
    let engine = Engine::restore(Tuning::default(), &snapshot.engine)
        .inspect_err(|error| tracing::warn!(%error, "the snapshot of the evidence is passed over"));
    let watch = Watch::restore(&snapshot.watch);
    if watch.is_none() {
        tracing::warn!("the snapshot of signals and incidents is of another version, and is passed over");
    }
    let (engine, watch) = (engine.unwrap_or_default(), watch.unwrap_or_default());
    Some((State { engine, folded: snapshot.folded, ..State::default() }, watch))
}
