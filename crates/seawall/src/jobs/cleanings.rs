//! User bases are cleaned behind the requests that began it. Where there are several nodes, the one that leads works.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{App, cleaning};

/// What a restart or another node left is looked for this often.
const EVERY: Duration = Duration::from_secs(1);

/// Works until told to stop.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    // Those who work end with this, wherever they are.
    let mut workers = JoinSet::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.cleanings.wake.notified() => {}
            _ = shutdown.changed() => return,
        }
        if !app.store.ledger.leads() {
            continue;
        }
        if let Err(error) = cleaning::tend(&app, &mut workers).await {
            tracing::warn!(%error, "cleanings that wait cannot be read; it is tried again");
        }
    }
}
