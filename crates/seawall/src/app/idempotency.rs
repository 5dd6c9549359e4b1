//! The same request twice is done once, and answered the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use seawall_core::time::Timestamp;
use seawall_store::records::Idempotent;

use super::{App, Refusal};

/// Keys of requests under way.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<String>>>);

/// Holds a key while its request is under way.
pub struct Hold {
    key: String,
    all: UnderWay,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// How a result is answered, so that the answer can be kept in the same transaction as what it answers.
pub type Render<T> = Box<dyn Fn(&T) -> (u16, String) + Send + Sync>;

/// A request that shall be done once.
pub struct Wish<T> {
    key: String,
    fingerprint: u64,
    render: Render<T>,
    _hold: Hold,
}

impl<T> Wish<T> {
    /// What is kept.
    pub fn answer(&self, result: &T, at: Timestamp) -> Idempotent {
        let (status, body) = (self.render)(result);
        Idempotent { key: self.key.clone(), fingerprint: self.fingerprint, status, body, at }
    }
}

/// What a key leads to.
pub enum Found<T> {
    /// New: do it, and keep the answer with it.
    New(Wish<T>),
    /// Done before: give this answer again.
    Replay(Idempotent),
}

/// Looks a key up and holds it. `scope`: subaccount, method and path; `body`: the raw request body.
pub async fn begin<T>(
    app: &App,
    scope: &str,
    key: &str,
    body: &[u8],
    render: Render<T>,
) -> Result<Found<T>, Refusal> {
    let key = format!("{scope}\u{1f}{key}");
    if !app.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
        // Not ours to let go: the request that holds it does.
        return Err(Refusal::UnderWay);
    }
    let hold = Hold { key: key.clone(), all: app.under_way.clone() };
    let fingerprint = app.store.vault.index().hash(b'q', body);
    match app.store.ledger.idempotent(&key).await? {
        Some(kept) if kept.fingerprint != fingerprint => Err(Refusal::KeyReused),
        Some(kept) => Ok(Found::Replay(kept)),
        None => Ok(Found::New(Wish { key, fingerprint, render, _hold: hold })),
    }
}
