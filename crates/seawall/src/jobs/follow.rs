//! What another node sets up comes into force here, too: the store tells of it, usually at once and within a
//! second at the latest.

use std::sync::Arc;
use std::time::Duration;

use seawall_store::Changes;
use tokio::sync::watch;

use crate::app::{App, lists, reload};

/// Pause after something that did not come into force.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows until told to stop. Ends at once where no other process can change anything. `changes` has seen what there was
/// before the first snapshot and the first lists were read.
pub async fn run(app: Arc<App>, mut changes: watch::Receiver<Changes>, mut shutdown: watch::Receiver<bool>) {
    let mut entries = changes.borrow().entries;
    // What has changed since is found at once, not with the next change.
    changes.mark_changed();
    loop {
        tokio::select! {
            _ = shutdown.changed() => return,
            changed = changes.changed() => if changed.is_err() {
                return;
            },
        }
        let now = *changes.borrow_and_update();
        // Whoever changes something here holds this until it is in force, so nothing is built twice.
        let _changing = app.reload_lock.lock().await;
        let mut done = true;
        if now.version > app.snapshot.load().policy.version {
            done &= reload::reload(&app).await.is_ok();
        }
        if now.entries != entries {
            match lists::load_again(&app).await {
                Ok(()) => entries = now.entries,
                Err(error) => {
                    tracing::error!(%error, "lists that another node changed could not be read; trying again");
                    done = false;
                }
            }
        }
        if !done {
            tokio::time::sleep(AGAIN).await;
            changes.mark_changed();
        }
    }
}
