//! A line of things that wait to be done together: who brings one waits for its answer, and whoever does them takes all
//! that wait at that moment. The longer a round to the server takes, the more it carries.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::{Result, StoreError};

/// Things that may wait; whoever brings one more waits to hand it over.
const ROOM: usize = 4096;

/// One thing, until when its answer is of use, and where it is awaited.
pub(crate) struct Job<Q, A> {
    pub(crate) what: Q,
    pub(crate) until: Instant,
    pub(crate) waits: oneshot::Sender<Result<A>>,
}

/// Where things are brought.
pub(crate) struct Line<Q, A> {
    bring: mpsc::Sender<Job<Q, A>>,
    server: &'static str,
    patience: Duration,
}

impl<Q, A> Line<Q, A> {
    /// A line to a server that is waited for so long, and the end where its things are taken in groups.
    pub(crate) fn new(server: &'static str, patience: Duration, group: usize) -> (Self, Arc<Brought<Q, A>>) {
        let (bring, taken) = mpsc::channel(ROOM);
        (Line { bring, server, patience }, Arc::new(Brought { taken: Mutex::new(taken), group }))
    }

    /// Brings one, and waits for its answer. Whoever takes things answers in time, if only that it is too late: those who
    /// wait need no clocks of their own.
    pub(crate) async fn bring(&self, what: Q) -> Result<A> {
        let (waits, answer) = oneshot::channel();
        let until = Instant::now() + self.patience;
        let late = |_| StoreError::Unavailable(format!("{} did not answer in time", self.server));
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        match self.bring.try_send(Job { what, until, waits }) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => {
                timeout_at(until, self.bring.send(job)).await.map_err(late)?.map_err(|_| closed())?;
            }
            Err(TrySendError::Closed(_)) => return Err(closed()),
        }
        answer.await.map_err(|_| closed())?
    }
}

/// Where things are taken, by any number of takers.
pub(crate) struct Brought<Q, A> {
    taken: Mutex<mpsc::Receiver<Job<Q, A>>>,
    group: usize,
}

impl<Q, A> Brought<Q, A> {
    /// All that wait, and until when the first of them has to be done; nothing when the line was closed.
    pub(crate) async fn group(&self) -> Option<(Vec<Job<Q, A>>, Instant)> {
        loop {
            let mut jobs = Vec::new();
            let mut taken = self.taken.lock().await;
            if taken.recv_many(&mut jobs, self.group).await == 0 {
                return None;
            }
            // Whoever is about to bring something does so first; where nobody is, this takes no time.
            yield_now().await;
            self.take(&mut taken, &mut jobs);
            drop(taken);
            if let Some(until) = jobs.iter().map(|job| job.until).min() {
                return Some((jobs, until));
            }
        }
    }

    /// Waits until there is something, and takes it; false when the line was closed. May be given up.
    pub(crate) async fn first(&self, jobs: &mut Vec<Job<Q, A>>) -> bool {
        self.taken.lock().await.recv_many(jobs, self.group).await > 0
    }

    /// Takes what waits beside that.
    pub(crate) async fn more(&self, jobs: &mut Vec<Job<Q, A>>) {
        self.take(&mut *self.taken.lock().await, jobs);
    }

    fn take(&self, taken: &mut mpsc::Receiver<Job<Q, A>>, jobs: &mut Vec<Job<Q, A>>) {
        while jobs.len() < self.group
            && let Ok(job) = taken.try_recv()
        {
            jobs.push(job);
        }
        // Nobody waits for these any more, and nothing of them was begun.
        jobs.retain(|job| !job.waits.is_closed());
    }
}

/// Tells all of a group why nothing came of it.
pub(crate) fn failed<A>(waits: impl IntoIterator<Item = oneshot::Sender<Result<A>>>, error: &StoreError) {
    let why = error.to_string();
    let why = why.strip_prefix("the store is unavailable: ").unwrap_or(&why);
    for waits in waits {
        drop(waits.send(Err(StoreError::Unavailable(why.to_owned()))));
    }
}
