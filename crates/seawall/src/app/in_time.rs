//! Between its charge and its place in the ledger a message stands in neither if the windows are lost just then: who
//! refills them from the ledger does not find it. So the refilling waits for what is under way, and what is under way
//! for longer looks once more whether the windows are those that it was charged in.

use std::collections::BTreeSet;
use std::time::Duration;

use seawall_store::StoreError;
use tokio::time::Instant;

use super::App;
use super::screen::Screened;

/// What was charged longer ago looks once more. With the time that the ledger takes at most this is less than the refilling
/// waits.
const FRESH: Duration = Duration::from_millis(500);
/// Windows are refilled by the instants in ids: a charge comes at most so long after its own.
const LATE: Duration = Duration::from_secs(2);

/// Whether what was screened may be recorded now; if not, its charges are taken back.
pub async fn in_time<'a>(
    app: &App,
    all: impl Iterator<Item = &'a Screened> + Clone,
) -> Result<(), StoreError> {
    let problem = problem(app, all.clone().filter(|one| one.allowed())).await;
    if problem.is_err() {
        undo(app, all).await;
    }
    problem
}

async fn problem<'a>(app: &App, all: impl Iterator<Item = &'a Screened> + Clone) -> Result<(), StoreError> {
    if all.clone().any(|one| one.made.within > LATE) {
        let why = "it took too long to learn what the decision depends on".to_owned();
        return Err(StoreError::Unavailable(why));
    }
    let old = |counted: &(Instant, u64)| counted.0.elapsed() > FRESH;
    let fillings: BTreeSet<u64> =
        all.filter_map(|one| one.made.counted).filter(old).map(|(_, n)| n).collect();
    for filling in fillings {
        if !app.store.counters.still(filling).await? {
            let why = "the windows of the limits were lost while the request was under way".to_owned();
            return Err(StoreError::Unavailable(why));
        }
    }
    Ok(())
}

/// Takes back the charges of what is not carried out after all.
pub async fn undo<'a>(app: &App, all: impl Iterator<Item = &'a Screened>) {
    for one in all.filter(|one| one.allowed()) {
        one.undo(app).await;
    }
}
