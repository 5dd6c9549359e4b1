//! Windows that are lost are refilled from the ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::{App, reload};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Works until told to stop.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    loop {
        let refilled = async {
            app.store.counters.lost().await;
            reload::refill_lost(&app).await
        };
        let refilled = tokio::select! {
            refilled = refilled => refilled,
            _ = shutdown.changed() => return,
        };
        if let Err(error) = refilled {
            tracing::error!(%error, "lost windows could not be refilled; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
