//! Recorded decisions, lent one by one to whoever computes something from them.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Scanned;

use super::App;

/// Lends every decision between two instants to `see`, on a thread for such things.
pub async fn scan<T: Send + 'static>(
    app: &App,
    from: Timestamp,
    to: Timestamp,
    state: T,
    see: impl Fn(&mut T, &Scanned<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let shared = Arc::new(Mutex::new((Some(state), None)));
    let into = shared.clone();
    let each = move |scanned: &Scanned<'_>| {
        let mut held = into.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, failed) = &mut *held;
        let Some(Err(error)) = state.as_mut().map(|state| see(state, scanned)) else {
            return ControlFlow::Continue(());
        };
        *failed = Some(error);
        ControlFlow::Break(())
    };
    app.store.ledger.scan_decisions(from, to, Box::new(each)).await?;
    let mut held = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match (held.1.take(), held.0.take()) {
        (None, Some(state)) => Ok(state),
        (failed, _) => Err(failed.unwrap_or_else(|| StoreError::Corrupt("a scan was lost".to_owned()))),
    }
}
