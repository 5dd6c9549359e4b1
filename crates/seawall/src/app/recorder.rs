//! Decisions that send nothing are written in packed batches within a second, so that a flood of refusals
//! costs the store nothing. Above 100 a second per subaccount and reason, samples and exact counts are kept.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use seawall_store::records::{Allows, DecisionRecord};

use super::screen::Screened;
use super::{App, reload};

/// Decisions kept in full per subaccount, reason and flush.
const SAMPLES: u64 = 100;
/// Allows are kept for the longest window that counts sends, and not shorter, so that a new one finds some.
const LEAST: Duration = Duration::from_secs(86_400);

/// What came together since the last flush.
#[derive(Default)]
pub struct Recorder(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    decisions: Vec<DecisionRecord>,
    seen: HashMap<String, HashMap<Option<ReasonCode>, Seen>>,
    requests: Vec<(u64, Timestamp)>,
    allows: Allows,
}

#[derive(Default)]
struct Seen {
    count: u64,
    /// Where the last sample stands, which also carries the count of those that were not kept.
    last: usize,
}

impl Recorder {
    /// Takes a decision after which we send nothing. Of a flood only samples are written out.
    pub fn record(&self, screened: &Screened) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = pending.decisions.len();
        let seen = pending.seen(screened);
        seen.count += 1;
        if seen.count <= SAMPLES {
            seen.last = next;
            pending.decisions.push(screened.record());
        } else {
            let (at, extra) = (seen.last, seen.count - SAMPLES + 1);
            if let Some(sample) = pending.decisions.get_mut(at) {
                sample.body.count = Some(extra);
            }
        }
    }

    /// Notes windows that count requests, for the checkpoint.
    pub fn note_requests(&self, keys: impl Iterator<Item = u64>, now: Timestamp) {
        let mut keys = keys.peekable();
        if keys.peek().is_some() {
            let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pending.requests.extend(keys.map(|key| (key, now)));
        }
    }

    /// Takes an allow that was charged without a send. All of them are kept, also of a flood: a restart
    /// forgives nobody.
    pub fn note_allow(&self, id: Id, subaccount: &str, segments: u8, dimensions: &Dimensions) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.allows.push(id, subaccount, segments, dimensions);
    }

    /// Decisions and allows; windows that count requests wait for their checkpoint.
    fn take_decisions(&self) -> (Vec<DecisionRecord>, Allows) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.seen.clear();
        (std::mem::take(&mut pending.decisions), std::mem::take(&mut pending.allows))
    }

    fn take(&self) -> Pending {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pending {
    /// What was seen of a decision's kind. A subaccount's name is copied once in a flush, not for each.
    fn seen(&mut self, screened: &Screened) -> &mut Seen {
        let first = screened.decision.reasons.first().map(|reason| reason.code);
        self.seen.entry_ref(screened.request.subaccount.as_str()).or_default().entry(first).or_default()
    }
}

/// Writes what came together. `longest`: the longest window that counts requests.
pub async fn flush(app: &App, longest: Duration) {
    let pending = app.recorder.take();
    let now = app.now();
    write(app, pending.decisions, pending.allows).await;
    if !pending.requests.is_empty()
        && let Err(error) = app.store.ledger.checkpoint(pending.requests, now.minus(longest)).await
    {
        tracing::error!(%error, "request windows of the last second could not be checkpointed");
    }
}

/// Writes decisions that came together, so that one made a moment ago is found.
pub async fn settled(app: &App) {
    let (decisions, allows) = app.recorder.take_decisions();
    write(app, decisions, allows).await;
}

async fn write(app: &App, decisions: Vec<DecisionRecord>, allows: Allows) {
    if !decisions.is_empty()
        && let Err(error) = app.store.ledger.record_decisions(decisions).await
    {
        tracing::error!(%error, "decisions of the last second could not be recorded");
    }
    if allows.is_empty() {
        return;
    }
    let forget_before = app.now().minus(reload::longest(app).max(LEAST));
    if let Err(error) = app.store.ledger.record_allows(allows, forget_before).await {
        tracing::error!(%error, "allows of the last second could not be recorded; a restart forgets them");
    }
}
