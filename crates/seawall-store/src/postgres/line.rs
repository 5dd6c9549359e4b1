//! A line of things that wait to be done together: who brings one waits for its answer, and whoever does them takes all
//! that wait at that moment. The longer a round to the server takes, the more it carries.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::conn::SOON;
use crate::{Result, StoreError};

/// Things of a group.
const GROUP: usize = 256;
/// Things that may wait; whoever brings one more waits to hand it over.
const ROOM: usize = 4096;

/// One thing, until when its answer is of use, and where it is awaited.
pub(super) struct Job<Q, A> {
    pub(super) what: Q,
    pub(super) until: Instant,
    pub(super) waits: oneshot::Sender<Result<A>>,
}

/// Where things are brought.
pub(super) struct Line<Q, A>(mpsc::Sender<Job<Q, A>>);

impl<Q, A> Line<Q, A> {
    /// A line, and the end where its things are taken.
    pub(super) fn new() -> (Self, Arc<Brought<Q, A>>) {
        let (bring, brought) = mpsc::channel(ROOM);
        (Line(bring), Arc::new(Brought(Mutex::new(brought))))
    }

    /// Brings one, and waits for its answer, but not for ever.
    pub(super) async fn bring(&self, what: Q) -> Result<A> {
        let (waits, answer) = oneshot::channel();
        let until = Instant::now() + SOON;
        let late = |_| StoreError::Unavailable("PostgreSQL did not answer in time".to_owned());
        let brought = timeout_at(until, self.0.send(Job { what, until, waits })).await.map_err(late)?;
        brought.map_err(|_| closed())?;
        timeout_at(until, answer).await.map_err(late)?.map_err(|_| closed())?
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// Where things are taken, by any number of takers.
pub(super) struct Brought<Q, A>(Mutex<mpsc::Receiver<Job<Q, A>>>);

impl<Q, A> Brought<Q, A> {
    /// All that wait, and until when the first of them has to be done; nothing when the line was closed.
    pub(super) async fn group(&self) -> Option<(Vec<Job<Q, A>>, Instant)> {
        loop {
            let mut jobs = Vec::new();
            if self.0.lock().await.recv_many(&mut jobs, GROUP).await == 0 {
                return None;
            }
            // Nobody waits for these any more, and nothing of them was begun.
            jobs.retain(|job| !job.waits.is_closed());
            if let Some(until) = jobs.iter().map(|job| job.until).min() {
                return Some((jobs, until));
            }
        }
    }
}

/// Tells all of a group why nothing came of it.
pub(super) fn failed<A>(waits: impl IntoIterator<Item = oneshot::Sender<Result<A>>>, error: &StoreError) {
    let why = error.to_string();
    let why = why.strip_prefix("the store is unavailable: ").unwrap_or(&why);
    for waits in waits {
        drop(waits.send(Err(StoreError::Unavailable(why.to_owned()))));
    }
}
