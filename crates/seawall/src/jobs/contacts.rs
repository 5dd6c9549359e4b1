//! Jobs on many contacts, behind the requests that began them. Where there are several nodes, the one that leads works.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;
use crate::app::contacts::batches;

/// What a restart or another node left is looked for this often.
const EVERY: Duration = Duration::from_secs(5);

/// Works until told to stop.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let stop = shutdown.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.contact_jobs.notified() => {}
            _ = shutdown.changed() => return,
        }
        if !app.store.ledger.leads() {
            continue;
        }
        match batches::work::all(&app, || *stop.borrow()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "a job on contacts is not done yet; it is tried again"),
        }
    }
}
