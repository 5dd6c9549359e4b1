//! Detection in the running gateway: the engine, the stream of events that it folds, and the snapshots from
//! which a start goes on. Beside the engine the same stream is folded into what operators look at ([`Watch`]):
//! signals and incidents.
//!
//! A request is assessed before it is decided and booked as soon as it is: before it is on disk, so that the
//! next request sees it. What operators look at may wait: it is brought up to date each second, and when asked.
//! Events go to the ledger within a second, in batches; a snapshot says how far it has folded them, and a start
//! folds the rest. What a crash can lose is the last second of evidence, never a message.

pub mod happened;
pub mod recent;
mod watch;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seawall_core::detect::{Asked, Engine, Event, Evidence, Size, Tuning};
use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use seawall_store::vault::Place;
use seawall_store::{Store, StoreError};

use super::App;
use happened::{Happened, Note, Seen};
pub use watch::Watch;

/// Name of the snapshot in the data directory.
pub const SNAPSHOT_FILE: &str = "evidence.snapshot";
const PLACE: Place = Place { kind: *b"es", row: 0 };
/// Events that wait for a ledger that does not answer; older ones are given up then.
const MOST_PENDING: usize = 200_000;

/// Events that are folded into [`Watch`] before other tasks get their turn.
const AT_A_TIME: usize = 256;

/// The engine and what has happened since its events were last written; and what is folded behind it. Who needs
/// both locks takes that of the watch first.
#[derive(Default)]
pub struct Detection {
    state: Mutex<State>,
    watch: Mutex<Watch>,
}

#[derive(Default)]
struct State {
    engine: Engine,
    pending: Vec<Arc<Happened>>,
    /// What the watch has not seen yet.
    unwatched: VecDeque<Arc<Happened>>,
    /// The batch up to which the engine has folded the ledger's stream.
    folded: u64,
    lost: u64,
}

impl State {
    fn fold(&mut self, happened: &Happened) {
        match happened {
            Happened::Event(event, _) => self.engine.observe(event),
            // Nothing is to be expected of it any more, and it speaks against nobody.
            Happened::Unsent { id, at } => self.engine.observe(&Event::Failed { id: *id, at: *at }),
            Happened::Note(_) => {}
        }
    }
}

/// The number by which events name a message.
pub fn event_id(id: Id) -> u64 {
    id.row().cast_unsigned()
}

impl Detection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watching(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be thought of a request, before it is decided.
    pub fn assess(&self, asked: &Asked) -> Evidence {
        self.state().engine.assess(asked)
    }

    /// Folds an event in, and keeps it for the ledger.
    pub fn observe(&self, event: Event) {
        self.happened(Happened::Event(event, None));
    }

    /// The same for a request, with what became of it.
    pub fn observe_request(&self, event: Event, seen: Seen) {
        self.happened(Happened::Event(event, Some(Box::new(seen))));
    }

    /// A message that was decided to be sent was not sent after all.
    pub fn unsent(&self, id: Id, at: Timestamp) {
        self.happened(Happened::Unsent { id: event_id(id), at });
    }

    /// Something was done about an incident.
    pub fn note(&self, note: Note) {
        self.happened(Happened::Note(note));
    }

    fn happened(&self, event: Happened) {
        let event = Arc::new(event);
        let mut state = self.state();
        state.fold(&event);
        if state.pending.len() >= MOST_PENDING {
            let keep_from = MOST_PENDING / 10;
            state.pending.drain(..keep_from);
            state.lost += keep_from as u64;
        }
        state.pending.push(event.clone());
        state.unwatched.push_back(event);
    }

    /// Shows the watch up to so many events that it has not seen; true while there are more.
    fn catch_up(&self, at_most: usize) -> bool {
        let mut watch = self.watching();
        let (fresh, more): (Vec<_>, bool) = {
            let mut state = self.state();
            let some = at_most.min(state.unwatched.len());
            (state.unwatched.drain(..some).collect(), !state.unwatched.is_empty())
        };
        fresh.iter().for_each(|happened| watch.observe(happened));
        more
    }

    /// How much the engine holds, and how many events were given up.
    pub fn size(&self) -> (Size, u64) {
        let state = self.state();
        (state.engine.size(), state.lost)
    }

    /// Asks signals and incidents, of everything that has happened.
    pub fn watch<T>(&self, ask: impl FnOnce(&Watch) -> T) -> T {
        while self.catch_up(AT_A_TIME) {}
        ask(&self.watching())
    }

    /// Asks the engine.
    pub fn with<T>(&self, ask: impl FnOnce(&Engine) -> T) -> T {
        ask(&self.state().engine)
    }

    /// Forgets what is known of one number.
    pub fn forget_number(&self, number: seawall_core::msisdn::Msisdn) {
        self.state().engine.forget_number(number);
    }

    fn take(&self) -> Vec<Arc<Happened>> {
        std::mem::take(&mut self.state().pending)
    }

    /// Everything as of one event: what is not written yet, and both folds.
    fn halt(&self) -> (Vec<Arc<Happened>>, Engine, Watch) {
        let mut watch = self.watching();
        let (pending, unwatched, engine) = {
            let mut state = self.state();
            (std::mem::take(&mut state.pending), std::mem::take(&mut state.unwatched), state.engine.clone())
        };
        unwatched.iter().for_each(|happened| watch.observe(happened));
        (pending, engine, watch.clone())
    }

    /// What could not be written comes before what has happened since.
    fn give_back(&self, mut events: Vec<Arc<Happened>>) {
        let mut state = self.state();
        events.append(&mut state.pending);
        state.pending = events;
    }
}

/// Brings what operators look at up to date, and lets other tasks run meanwhile.
pub async fn catch_up(app: &App) {
    while app.detection.catch_up(AT_A_TIME) {
        tokio::task::yield_now().await;
    }
}

/// Writes what has happened since the last time.
pub async fn flush(app: &App) -> bool {
    let events = app.detection.take();
    write(app, events).await
}

async fn write(app: &App, events: Vec<Arc<Happened>>) -> bool {
    if events.is_empty() {
        return true;
    }
    let batch = postcard::to_allocvec(&events).unwrap_or_default();
    match app.store.ledger.append_evidence(batch).await {
        Ok(seq) => {
            app.detection.state().folded = seq;
            true
        }
        Err(error) => {
            tracing::error!(%error, "evidence of the last second waits for the ledger");
            app.detection.give_back(events);
            false
        }
    }
}

/// Writes a snapshot, and then forgets the part of the stream that it holds. Called by the one job that also
/// flushes, so no batch is written in between.
pub async fn snapshot(app: &App) {
    let (events, engine, watch) = app.detection.halt();
    if !write(app, events).await {
        return;
    }
    let folded = app.detection.state().folded;
    let (vault, dir) = (app.store.vault.clone(), app.config.data_dir().to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let snapshot = Snapshot { folded, engine: engine.snapshot(), watch: watch.snapshot() };
        let plain = postcard::to_allocvec(&snapshot).unwrap_or_default();
        let sealed = vault.seal(PLACE, &plain)?;
        replace(&dir.join(SNAPSHOT_FILE), &sealed)
            .map_err(|e| StoreError::Unavailable(format!("cannot write {SNAPSHOT_FILE}: {e}")))
    });
    match written.await {
        Ok(Ok(())) => {
            if let Err(error) = app.store.ledger.forget_evidence(folded).await {
                tracing::warn!(%error, "evidence that the snapshot holds could not be forgotten");
            }
        }
        Ok(Err(error)) => tracing::error!(%error, "the evidence was not snapshotted; the stream goes on"),
        Err(error) => tracing::error!(%error, "the evidence was not snapshotted; the stream goes on"),
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

/// What the file holds. Each part knows its own format, so that a new version of one does not cost the other.
#[derive(serde::Serialize, serde::Deserialize)]
struct Snapshot {
    folded: u64,
    engine: Vec<u8>,
    watch: Vec<u8>,
}

/// Everything as it was: the snapshot, and the stream after it. A snapshot that cannot be read is told and
/// passed over: the stream that is left is folded alone, and detection learns the rest anew.
pub async fn restore(store: &Store, dir: &Path) -> Result<Detection, StoreError> {
    let (mut state, mut watch) = read_snapshot(store, dir).unwrap_or_default();
    let mut batches = 0u64;
    loop {
        let next = store.ledger.evidence_after(state.folded).await?;
        let Some((last, _)) = next.last() else { break };
        state.folded = *last;
        for (seq, batch) in next {
            match postcard::from_bytes::<Vec<Happened>>(&batch) {
                Ok(events) => events.iter().for_each(|event| {
                    state.fold(event);
                    watch.observe(event);
                }),
                Err(error) => tracing::warn!(seq, %error, "a batch of evidence cannot be read; passed over"),
            }
            batches += 1;
        }
    }
    let size = state.engine.size();
    tracing::info!(batches, keys = size.keys, outstanding = size.outstanding, "evidence restored");
    Ok(Detection { state: Mutex::new(state), watch: Mutex::new(watch) })
}

fn read_snapshot(store: &Store, dir: &Path) -> Option<(State, Watch)> {
    let sealed = std::fs::read(dir.join(SNAPSHOT_FILE)).ok()?;
    let plain = match store.vault.open_sealed(PLACE, &sealed) {
        Ok(plain) => plain,
        Err(error) => {
            tracing::error!(%error, "{SNAPSHOT_FILE} cannot be read; going on with the stream alone");
            return None;
        }
    };
    let Ok(snapshot) = postcard::from_bytes::<Snapshot>(&plain) else {
        tracing::warn!("{SNAPSHOT_FILE} is of another version; going on with the stream alone");
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
