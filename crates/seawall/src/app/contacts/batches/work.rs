//! Jobs are done in steps: each is small, leaves everything in order, and may be done twice.

use std::time::Duration;

use seawall_store::StoreError;
use seawall_store::records::Page;

use super::super::super::App;
use super::super::super::audit::Actor;
use super::{Job, KIND, Status, list, parts, rows_of, save};

/// A job that is not done by then is given up.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// An upload whose rows were not written by then never will be: its request is gone.
const RECEIVED_BY: Duration = Duration::from_secs(600);
/// Jobs and rows that are dropped at a time.
const STEP: usize = 500;

/// Goes on with jobs that are not done, the oldest first; false when `stopping` came first.
pub async fn all(app: &App, stopping: impl Fn() -> bool) -> Result<bool, StoreError> {
    let now = app.now();
    for old in app.store.directory.notes_until(KIND, now, STEP).await? {
        drop_rows(app, &rows_of(old.id)).await?;
        app.store.directory.drop_note(KIND, old.id).await?;
    }
    let open = list(app).await?.into_iter().rev().filter(|job| job.status.is_open());
    for mut job in open {
        if job.status == Status::Receiving && job.id.at().plus(RECEIVED_BY) > now {
            continue;
        }
        let late = job.status == Status::Receiving || job.id.at().plus(PATIENCE) <= now;
        while !late && advance(app, &mut job).await? {
            if stopping() {
                return Ok(false);
            }
            tokio::task::yield_now().await;
        }
        if late {
            end(app, &mut job, Status::Timeout).await?;
        }
    }
    Ok(true)
}

/// One step; false when nothing is left to do.
async fn advance(app: &App, job: &mut Job) -> Result<bool, StoreError> {
    // An erasure between reading and writing would be undone.
    let _turn = app.contact_turn.lock().await;
    let actor = Actor { name: job.actor.clone(), ip: None };
    match parts::step(app, &actor, job).await? {
        parts::Left::Some => {
            job.status = Status::InProgress;
            save(app, job).await?;
            Ok(true)
        }
        parts::Left::Nothing => end(app, job, Status::Completed).await.map(|()| false),
        parts::Left::Impossible => end(app, job, Status::Failed).await.map(|()| false),
    }
}

async fn end(app: &App, job: &mut Job, status: Status) -> Result<(), StoreError> {
    drop_rows(app, &rows_of(job.id)).await?;
    job.status = status;
    save(app, job).await
}

async fn drop_rows(app: &App, kind: &str) -> Result<(), StoreError> {
    loop {
        let rows = app.store.directory.notes(kind, Page { before: None, limit: STEP }).await?;
        if rows.is_empty() {
            return Ok(());
        }
        app.store.directory.drop_notes(kind, rows.iter().map(|row| row.id).collect()).await?;
    }
}
