//! Cleanings are worked on by the node that leads: it reads what is kept and goes on, whoever began.

use std::sync::Arc;
use std::time::Duration;

use seawall_store::StoreError;
use seawall_store::records::Page;
use tokio::task::JoinSet;

use super::kept::{KIND, Kept, delete};
use super::{Cleaning, MOST, Status, Work, ask, find, known};
use crate::app::App;

/// A table whose rows were not written by then never will be: its request is gone.
const RECEIVED_BY: Duration = Duration::from_secs(600);

/// Forgets what is over, and begins to work on what nobody works on.
pub async fn tend(app: &Arc<App>, workers: &mut JoinSet<()>) -> Result<(), StoreError> {
    let now = app.now();
    while workers.try_join_next().is_some() {}
    for over in app.store.directory.notes_until(KIND, now, MOST).await? {
        delete(app, &Kept::read(over)?).await?;
    }
    for note in app.store.directory.notes(KIND, Page { before: None, limit: 2 * MOST }).await? {
        let kept = Kept::read(note)?;
        if !kept.head.received {
            if kept.id.at().plus(RECEIVED_BY) <= now {
                delete(app, &kept).await?;
            }
            continue;
        }
        if matches!(kept.head.status, Status::Reading | Status::Running) && !app.cleanings.has(kept.id) {
            let cleaning = load(app, kept).await?;
            workers.spawn(work(app.clone(), cleaning));
        }
    }
    Ok(())
}

/// Takes one into memory. No erasure comes between reading it and knowing it.
async fn load(app: &App, kept: Kept) -> Result<Arc<Cleaning>, StoreError> {
    let _turn = app.contact_turn.lock().await;
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let (some, next) = kept.rows(app, before).await?;
        rows.extend(some);
        match next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    let head = &kept.head;
    let work = Work {
        status: head.status,
        rows,
        read: head.counts.read,
        price: head.price,
        most: head.most,
        spent: head.spent,
        reserved: 0,
        answers: 0,
        waits_until: None,
        problem: None,
        left: false,
    };
    let cleaning = Arc::new(Cleaning::new(kept, work));
    app.cleanings.add(cleaning.clone());
    Ok(cleaning)
}

async fn work(app: Arc<App>, cleaning: Arc<Cleaning>) {
    let (status, caller) = {
        let kept = cleaning.kept.lock().await;
        (kept.head.status, kept.head.caller(&app))
    };
    match (status, caller) {
        (Status::Reading, _) => known::read(&app, &cleaning).await,
        (_, Some(caller)) => ask::run(&app, &caller, &cleaning).await,
        (_, None) => {
            ask::stop(&cleaning, "the API key that confirmed it is no longer valid");
            cleaning.save(&app, true).await;
        }
    }
    // What was written of one that was deleted meanwhile goes with it.
    if let Ok(None) = find(&app, cleaning.id).await {
        let kept = cleaning.kept.lock().await.clone();
        if let Err(error) = kept.drop_rows(&app).await {
            tracing::error!(%error, "rows of a deleted cleaning are left");
        }
    }
    app.cleanings.leave(cleaning.id);
    app.cleanings.wake.notify_one();
}
