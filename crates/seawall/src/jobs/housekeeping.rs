//! Once a second: decisions and request windows to the ledger. Now and then: key uses, retention, the clock. What is to
//! be done once, where there are several nodes, one of them does.

use std::sync::Arc;
use std::time::Duration;

use seawall_core::limit::Counts;
use tokio::sync::watch;

use crate::app::detection::Forget;
use crate::app::signals::alerts as signals;
use crate::app::{
    App, alarms, bindings, consent, detection, erasure, hits, incidents, keys, lists, masking, number_keys,
    recorder,
};

/// Every so many seconds, key uses are written.
const KEYS_EVERY: u64 = 5;
/// Every so many seconds, it is told whether requests were refused for want of room.
const OVERLOAD_EVERY: u64 = 10;
/// Every so many seconds a snapshot of the evidence is written, sooner if much has happened.
const SNAPSHOT_EVERY: u64 = 300;
/// Every so many seconds, unusual traffic is looked for.
const SIGNALS_EVERY: u64 = 30;
/// Every so many seconds, what is over of questions and confirmations is ended.
const CONSENTS_EVERY: u64 = 5;
/// Every so many seconds, what is past its retention is erased.
const PRUNE_EVERY: u64 = 60;

/// Works until told to stop, and once more then.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let (mut second, mut overloaded) = (0u64, 0);
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => false,
            () = app.erasures.notified() => {
                erase(&app).await;
                continue;
            }
            _ = shutdown.changed() => true,
        };
        second += 1;
        recover_gone(&app).await;
        recorder::flush(&app, longest_request_window(&app)).await;
        watch_out(&app, second).await;
        alarms::flush(&app, stopping).await;
        if stopping || second.is_multiple_of(SNAPSHOT_EVERY) || app.detection.wants_snapshot() {
            detection::snapshot(&app, Forget::Old).await;
        } else {
            detection::flush(&app).await;
        }
        if let Some(step) = app.clock.slew(app.store.counters.time()) {
            warn_of_step(&app, step, second);
        }
        if second.is_multiple_of(OVERLOAD_EVERY) {
            overloaded = warn_of_overload(&app, overloaded);
        }
        if stopping || second.is_multiple_of(KEYS_EVERY) {
            flush_key_uses(&app).await;
            hits::flush(&app).await;
        }
        if stopping {
            return;
        }
        lists::sweep(&app).await;
        end_masks(&app).await;
        if let Err(error) = keys::tend(&app).await {
            tracing::error!(%error, "data keys cannot be tended; it is tried again");
        }
        if let Err(error) = number_keys::tend(&app).await {
            tracing::error!(%error, "keys for numbers cannot be tended; it is tried again");
        }
        // What a restart or a message under way interrupted.
        erase(&app).await;
        if second.is_multiple_of(CONSENTS_EVERY) && app.store.ledger.leads() {
            expire_questions(&app).await;
        }
        if second.is_multiple_of(PRUNE_EVERY) && app.store.ledger.leads() {
            prune(&app).await;
            prune_masks(&app).await;
        }
    }
}

/// Brings up to date what operators look at, and does about it what is done without being asked for. Whoever does
/// it has to have seen what was done before, so it is left for later while the stream cannot be read.
async fn watch_out(app: &App, second: u64) {
    if app.store.ledger.is_shared() && !detection::flush(app).await {
        return;
    }
    detection::catch_up(app).await;
    if !app.store.ledger.leads() {
        return;
    }
    app.detection.pass(app.now());
    incidents::tend::tend(app).await;
    if second.is_multiple_of(SIGNALS_EVERY) {
        signals::tell(app, app.now());
    }
}

async fn erase(app: &App) {
    if app.store.ledger.leads() {
        erasure::work(app).await;
    }
}

/// What nodes that are gone were sending: nobody can know what became of it.
async fn recover_gone(app: &App) {
    match app.store.ledger.recover_gone(app.now()).await {
        Ok(moved) => moved.iter().for_each(|moved| app.metrics.moved(moved.state)),
        Err(error) => tracing::warn!(%error, "whether nodes are gone could not be seen"),
    }
}

fn warn_of_step(app: &App, step: Duration, second: u64) {
    // The sandbox clock is meant to differ.
    if !app.config.sandbox.clock && second % 60 == 1 {
        let why =
            "the clock was set, and the gateway goes on by the time that passes; a restart takes the clock's";
        tracing::warn!(seconds = step.as_secs(), why);
    }
}

/// Requests that were refused for want of room, if there were more since it was last asked.
fn warn_of_overload(app: &App, before: u64) -> u64 {
    let (under_way, all) = app.room.counts();
    if all > before {
        let why = "requests were refused as overloaded, see limits.max_requests";
        tracing::warn!(refused = all - before, under_way, why);
    }
    all
}

fn longest_request_window(app: &App) -> Duration {
    let snapshot = app.snapshot.load();
    let counting = snapshot.policy.limits.iter().filter(|l| l.counts != Counts::Sends);
    counting.map(|l| l.window).max().unwrap_or(Duration::from_secs(60))
}

async fn flush_key_uses(app: &App) {
    let uses = app.key_uses.take();
    if !uses.is_empty()
        && let Err(error) = app.store.directory.touch_keys(uses).await
    {
        tracing::warn!(%error, "last uses of keys could not be written");
    }
}

async fn expire_questions(app: &App) {
    let done = async {
        consent::opt_in::expire(app).await?;
        consent::not_me::sweep(app).await?;
        consent::reviews::sweep(app).await?;
        bindings::sweep(app).await?;
        consent::reconfirm::tend(app).await
    };
    if let Err(error) = done.await {
        tracing::warn!(%error, "what is over of consents could not be ended; it is tried again");
    }
}

async fn end_masks(app: &App) {
    if let Err(error) = masking::end::expire(app).await {
        tracing::warn!(%error, "masking sessions whose time is over could not be ended");
    }
}

/// Masking sessions that are over, masked calls, and pairs that are free again.
async fn prune_masks(app: &App) {
    let now = app.now();
    let before = now.minus(app.config.retention.masking);
    if let Err(error) = app.store.directory.prune_masks(before, now, 10_000).await {
        tracing::warn!(%error, "retention could not be applied to masking");
    }
}

async fn prune(app: &App) {
    // Bounded: the rest waits for the next minute.
    for _ in 0..50 {
        match app.store.ledger.prune(app.now(), &app.config.retention).await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "retention could not be applied");
                return;
            }
        }
    }
}
