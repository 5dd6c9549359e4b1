//! The stream of events: what has happened here goes in, and where nodes share it, what comes out is folded.

use std::sync::Arc;
use std::time::Duration;

use seawall_store::{Ledger, StoreError};
use tokio::time::Instant;

use super::super::App;
use super::happened::Happened;
use super::{AT_A_TIME, Detection, Turn, kept};

/// How often a node that hears nothing looks whether it has missed something.
const LOOK: Duration = Duration::from_secs(1);

/// Brings what operators look at up to date, and lets other tasks run meanwhile.
pub async fn catch_up(app: &App) {
    while app.detection.catch_up(AT_A_TIME) {
        tokio::task::yield_now().await;
    }
}

/// Writes what has happened since the last time; where nodes share the stream, folds what they all wrote. False if
/// the ledger did not answer: then nothing is lost, and the next call goes on.
pub async fn flush(app: &App) -> bool {
    let mut turn = app.detection.turn.lock().await;
    flush_in(app, &mut turn).await
}

pub(super) async fn flush_in(app: &App, turn: &mut Turn) -> bool {
    if !app.detection.shared {
        return write(app, app.detection.take()).await;
    }
    let done = match send(app, turn).await {
        Ok(()) => follow(app).await,
        failed => failed,
    };
    if let Err(error) = &done {
        tracing::error!(%error, "evidence waits for the ledger");
    }
    done.is_ok()
}

/// Writes events that are folded already.
pub(super) async fn write(app: &App, events: Vec<Arc<Happened>>) -> bool {
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

/// Appends what has happened here. A batch whose answer was lost is sent again as it was, and the ledger knows it.
async fn send(app: &App, turn: &mut Turn) -> Result<(), StoreError> {
    loop {
        if turn.sending.is_none() {
            let events = app.detection.take();
            if events.is_empty() {
                return Ok(());
            }
            turn.sending = Some(postcard::to_allocvec(&events).unwrap_or_default());
        }
        if let Some(batch) = &turn.sending {
            app.store.ledger.append_evidence(batch.clone()).await?;
        }
        turn.sending = None;
    }
}

/// Folds what all nodes wrote, up to the end of the stream.
async fn follow(app: &App) -> Result<(), StoreError> {
    loop {
        let begun = Instant::now();
        let more = read_on(&app.store, &app.detection).await?;
        for number in more.forgotten {
            app.enumeration.forget(number);
            app.sandbox_lookup.forget(&number.to_e164());
        }
        if more.batches == 0 {
            app.detection.state().up_to_date = Some(begun);
            return Ok(());
        }
    }
}

/// What was read at once.
#[derive(Default)]
pub(super) struct Read {
    /// How many batches; none at the end of the stream.
    pub(super) batches: usize,
    /// Numbers that are to be forgotten.
    forgotten: Vec<seawall_core::msisdn::Msisdn>,
}

/// Folds the next batches. Who has missed some, because they are forgotten, begins anew with the snapshot that holds
/// them.
pub(super) async fn read_on(store: &seawall_store::Store, detection: &Detection) -> Result<Read, StoreError> {
    let folded = detection.state().folded;
    let next = store.ledger.evidence_after(folded).await?;
    let gap = match next.first() {
        Some((seq, _)) => *seq > folded + 1,
        None => detection.looks_now(),
    };
    if gap && detection.shared && missed(&*store.ledger, folded).await? {
        tracing::warn!(folded, "this node has missed a part of the stream; beginning with its snapshot");
        kept::begin_anew(store, detection).await?;
        return Ok(Read { batches: 1, ..Read::default() });
    }
    let mut read = Read { batches: next.len(), ..Read::default() };
    for (seq, batch) in next {
        match postcard::from_bytes::<Vec<Happened>>(&batch) {
            Ok(events) => {
                read.forgotten.extend(events.iter().filter_map(Happened::forgotten));
                detection.fold_all(events).await;
            }
            Err(error) => tracing::warn!(seq, %error, "a batch of evidence cannot be read; passed over"),
        }
        detection.state().folded = seq;
    }
    Ok(read)
}

async fn missed(ledger: &dyn Ledger, folded: u64) -> Result<bool, StoreError> {
    Ok(ledger.evidence_forgotten().await? > folded)
}

impl Detection {
    /// Whether it was a while ago that anybody looked whether something is missing that nothing has come after.
    fn looks_now(&self) -> bool {
        let mut state = self.state();
        let due = state.looked.is_none_or(|at| at.elapsed() >= LOOK);
        state.looked = if due { Some(Instant::now()) } else { state.looked };
        due
    }

    pub(super) fn take(&self) -> Vec<Arc<Happened>> {
        std::mem::take(&mut self.state().pending)
    }

    /// What could not be written comes before what has happened since.
    fn give_back(&self, mut events: Vec<Arc<Happened>>) {
        let mut state = self.state();
        events.append(&mut state.pending);
        state.pending = events;
    }

    /// Folds a batch, and lets requests be assessed meanwhile.
    async fn fold_all(&self, events: Vec<Happened>) {
        let mut events = events.into_iter().map(Arc::new);
        while self.fold_some(&mut events) {
            tokio::task::yield_now().await;
        }
    }

    /// True while there may be more.
    fn fold_some(&self, events: &mut impl Iterator<Item = Arc<Happened>>) -> bool {
        let mut state = self.state();
        let before = state.unwatched.len();
        for event in events.take(AT_A_TIME) {
            state.fold(&event);
            state.unwatched.push_back(event);
        }
        state.unwatched.len() - before == AT_A_TIME
    }
}
