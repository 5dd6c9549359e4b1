//! Every ten seconds: the operator's own files about addresses and numbers, if one has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(10);

/// Works until told to stop; without files there is nothing to do.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    if !app.intel.has_files() {
        return;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shutdown.changed() => return,
        }
        let looked = app.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || looked.intel.refresh()).await {
            tracing::error!(%error, "files about addresses and numbers were not looked at");
        }
    }
}
