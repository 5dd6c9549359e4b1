//! The same request twice is done once, and answered the same: by the key that its caller gives it, or for a
//! while by what it says.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_core::time::Timestamp;
use seawall_store::records::Idempotent;
use tokio::sync::Notify;

use super::{App, Refusal, number_keys};

/// Keys of requests under way.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Held>);

#[derive(Default)]
struct Held {
    keys: Mutex<HashSet<String>>,
    /// Tells those who wait for a key.
    freed: Notify,
}

impl UnderWay {
    fn keys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a key, unless another request does.
    fn hold(&self, key: &str) -> Option<Hold> {
        let free = self.keys().insert(key.to_owned());
        free.then(|| Hold { key: key.to_owned(), all: self.clone() })
    }

    /// Holds a key as soon as it is free.
    async fn held(&self, key: &str) -> Hold {
        loop {
            // Listens before it looks, so that no release is missed.
            let freed = self.0.freed.notified();
            if let Some(hold) = self.hold(key) {
                return hold;
            }
            freed.await;
        }
    }
}

/// Holds a key while its request is under way.
pub struct Hold {
    key: String,
    all: UnderWay,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.keys().remove(&self.key);
        self.all.0.freed.notify_waiters();
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
    /// Under which key, with its scope.
    pub fn key(&self) -> &str {
        &self.key
    }

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
    let hold = app.under_way.hold(&key).ok_or(Refusal::UnderWay)?;
    let fingerprint = app.store.vault.index().hash(b'q', &number_keys::written_out(app, body));
    match app.store.ledger.idempotent(&key).await? {
        Some(kept) if kept.fingerprint != fingerprint => Err(Refusal::KeyReused),
        Some(kept) => Ok(Found::Replay(kept)),
        None => Ok(Found::New(Wish { key, fingerprint, render, _hold: hold })),
    }
}

/// Looks for the same request within a window, and waits for one that is under way: the first one's answer is
/// everybody's. What was refused is decided anew. `said`: everything that makes requests the same.
pub async fn same<T>(
    app: &App,
    scope: &str,
    said: &[u8],
    window: Duration,
    render: Render<T>,
) -> Result<Found<T>, Refusal> {
    let fingerprint = app.store.vault.index().hash(b'q', &number_keys::written_out(app, said));
    let name = format!("{scope}\u{1f}same\u{1f}{fingerprint:016x}");
    let hold = app.under_way.held(&name).await;
    // A key holds for one stretch as long as the window, so an answer that still counts is in this stretch or in
    // the one before.
    let now = app.now();
    let length = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
    let stretch = now.as_millis() / length;
    let key = |stretch: i64| format!("{name}\u{1f}{length}\u{1f}{stretch}");
    for stretch in [stretch, stretch - 1] {
        let kept = app.store.ledger.idempotent(&key(stretch)).await?;
        if let Some(kept) = kept.filter(|kept| kept.at.plus(window) > now) {
            return Ok(Found::Replay(kept));
        }
    }
    Ok(Found::New(Wish { key: key(stretch), fingerprint, render, _hold: hold }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_then_by_the_next() {
        let all = UnderWay::default();
        let first = all.hold("a").unwrap();
        assert!(all.hold("a").is_none() && all.hold("b").is_some());
        let (again, key) = (all.clone(), "a");
        let waits = tokio::spawn(async move { again.held(key).await.key.clone() });
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!waits.is_finished());
        drop(first);
        assert_eq!(waits.await.unwrap(), "a");
        assert!(all.keys().is_empty());
    }
}
