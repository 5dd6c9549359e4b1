//! What networks say of calls that were put through: answered, ended, recorded.

use seawall_core::masking::call::{CallResult, Progress};
use seawall_store::StoreError;
use seawall_store::masking::{CallRecord, Recording};

use super::super::App;
use super::{TRIES, health, tell};

/// Recordings of one call at most.
const RECORDINGS: usize = 50;

/// Takes what a network says of a call. `None`: it never asked about that call. True: it was news.
pub async fn note(
    app: &App,
    via: &str,
    reference: &str,
    progress: Progress,
) -> Result<Option<(CallRecord, bool)>, StoreError> {
    let before = |call: &CallRecord| call.call.result();
    let found = changed(app, via, reference, |call| call.call.note(progress, app.now())).await?;
    if let Some((call, true)) = &found {
        tell::call_changed(app, call).await?;
        if before(call).is_some_and(|result| result != CallResult::Refused) {
            health_changed(app, call).await?;
        }
    }
    Ok(found)
}

/// Keeps what is known of a recording; a newer state replaces the older.
pub async fn recorded(
    app: &App,
    via: &str,
    reference: &str,
    recording: Recording,
) -> Result<Option<CallRecord>, StoreError> {
    let keep = |call: &mut CallRecord| {
        let full = call.recordings.len() >= RECORDINGS;
        match call.recordings.iter_mut().find(|known| known.id == recording.id) {
            Some(known) if *known == recording => return false,
            Some(known) => *known = recording.clone(),
            None if !full => call.recordings.push(recording.clone()),
            None => return false,
        }
        true
    };
    let Some((call, news)) = changed(app, via, reference, keep).await? else { return Ok(None) };
    if news {
        tell::recording_changed(app, &call, &recording).await?;
    }
    Ok(Some(call))
}

/// Changes a call, and tries again when another event of it came at the same time.
async fn changed(
    app: &App,
    via: &str,
    reference: &str,
    change: impl Fn(&mut CallRecord) -> bool,
) -> Result<Option<(CallRecord, bool)>, StoreError> {
    for _ in 0..TRIES {
        let Some(mut call) = app.store.directory.call_named(via, reference).await? else { return Ok(None) };
        if !change(&mut call) {
            return Ok(Some((call, false)));
        }
        match app.store.directory.change_call(call).await {
            Ok(call) => return Ok(Some((call, true))),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict)
}

/// Tells when this call made its virtual number fail, or work again.
async fn health_changed(app: &App, call: &CallRecord) -> Result<(), StoreError> {
    use seawall_core::masking::health::{HealthRule, LOOKED_AT, judge};
    let rule = {
        let masking = &app.snapshot.load().masking;
        let pool = masking.numbers.get(&call.mask).and_then(|number| masking.pool_of(number));
        pool.map_or_else(HealthRule::default, |pool| pool.health)
    };
    let results = app.store.directory.last_results(call.mask, LOOKED_AT).await?;
    let before: Vec<_> = results.iter().filter(|(at, _)| *at != call.id.at()).copied().collect();
    let now = health::of(app, call.mask).await?;
    if judge(&before, &rule, app.now()).failing != now.failing {
        if now.failing {
            tracing::warn!(number = %call.mask, failed = now.failed, calls = now.calls, "a virtual number fails; sessions get others");
        }
        tell::health_changed(app, call, &now).await?;
    }
    Ok(())
}
