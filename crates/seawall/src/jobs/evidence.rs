//! Where nodes share the stream of evidence: ten times a second, what has happened here goes in, and what all of
//! them wrote is folded.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::{App, detection};

const EVERY: Duration = Duration::from_millis(100);
/// Pause after a try that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Works until told to stop; the housekeeping writes the last of it.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    if !app.store.ledger.is_shared() {
        return;
    }
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = shutdown.changed() => return,
        }
        pause = if detection::flush(&app).await { EVERY } else { AGAIN };
    }
}
