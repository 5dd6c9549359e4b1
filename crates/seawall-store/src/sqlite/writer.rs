//! One thread owns the connection that writes. It runs every job that waits in one transaction, so that a
//! single fsync makes all of them durable, and answers them after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use super::db::{Shared, View};
use super::fault;
use super::hot::Hot;
use crate::{Result, StoreError};

/// Jobs of one transaction, and rows after which no further job is taken into it.
const GROUP_JOBS: usize = 512;
const GROUP_WEIGHT: usize = 4096;

/// Tells whoever waits: committed, or why not.
type Answer = Box<dyn FnOnce(Option<&str>) + Send>;

/// Takes back what a job did in memory when its transaction did not commit.
type Undo = Box<dyn FnOnce(&mut Hot) + Send>;

/// What a job may use.
pub(super) struct Turn<'a> {
    /// The writing connection, inside the group's transaction.
    pub(super) view: View<'a>,
    undo: &'a mut Vec<Undo>,
}

impl Turn<'_> {
    /// What is kept in memory beside the database. Hold it briefly: requests read it too.
    pub(super) fn hot(&self) -> MutexGuard<'_, Hot> {
        self.view.hot()
    }

    /// Registers how to take back a change in memory; call it together with the change.
    pub(super) fn on_rollback(&mut self, undo: impl FnOnce(&mut Hot) + Send + 'static) {
        self.undo.push(Box::new(undo));
    }
}

/// Something to do inside a group's transaction. A job must make its checks before its first write: a job
/// that fails without having written fails alone, one that fails later takes its whole group back.
pub(super) struct Job {
    weight: usize,
    run: Box<dyn FnOnce(&mut Turn<'_>) -> Finished + Send>,
}

struct Finished {
    failed: bool,
    answer: Answer,
}

impl Job {
    /// A job and where its answer arrives, after the commit.
    pub(super) fn new<T: Send + 'static>(
        weight: usize,
        work: impl FnOnce(&mut Turn<'_>) -> Result<T> + Send + 'static,
    ) -> (Job, oneshot::Receiver<Result<T>>) {
        let (sender, receiver) = oneshot::channel();
        let run = Box::new(move |turn: &mut Turn<'_>| {
            let result = work(turn);
            let failed = result.is_err();
            let answer = Box::new(move |trouble: Option<&str>| {
                let result = trouble.map_or(result, |why| Err(StoreError::Unavailable(why.to_owned())));
                // Nobody waits any more when the request was dropped; what it wrote stays.
                let _ = sender.send(result);
            });
            Finished { failed, answer: answer as Answer }
        });
        (Job { weight, run }, receiver)
    }
}

/// What the writer thread receives.
pub(super) enum Order {
    /// Work.
    Run(Job),
    /// Finish and answer.
    Close(oneshot::Sender<()>),
}

/// The thread's state.
pub(super) struct Writer {
    /// The only connection that writes.
    pub(super) conn: Connection,
    /// Shared with the readers.
    pub(super) shared: Arc<Shared>,
    /// Orders, in the order in which they are carried out.
    pub(super) orders: Receiver<Order>,
    /// The lock of the data directory, released when the connection is closed.
    pub(super) lock: Option<std::fs::File>,
}

impl Writer {
    /// Works until told to close or until nobody can send orders any more.
    pub(super) fn run(mut self) {
        while let Some(order) = self.orders.blocking_recv() {
            match order {
                Order::Run(job) => {
                    if let Some(closing) = self.group(job) {
                        return self.close(closing);
                    }
                }
                Order::Close(closing) => return self.close(closing),
            }
        }
        let _ = self.conn.execute_batch("PRAGMA optimize");
    }

    fn close(self, closing: oneshot::Sender<()>) {
        if !self.shared.is_broken()
            && let Err(error) = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the database's log was not written back; the next start does it");
        }
        drop(self.conn);
        drop(self.lock);
        let _ = closing.send(());
    }

    /// Runs `first` and whatever arrived meanwhile in one transaction. Returns an order to close.
    fn group(&mut self, first: Job) -> Option<oneshot::Sender<()>> {
        let (mut answers, mut undo, mut closing) = (Vec::new(), Vec::new(), None);
        let (mut weight, mut next) = (0, Some(first));
        let mut trouble = self.begin();
        while let Some(job) = next.take() {
            weight += job.weight;
            let finished =
                if trouble.is_none() { self.step(job, &mut undo, &mut trouble) } else { refuse(job) };
            answers.extend(finished);
            if trouble.is_none() && weight < GROUP_WEIGHT && answers.len() < GROUP_JOBS {
                next = match self.next_order() {
                    Some(Order::Run(job)) => Some(job),
                    Some(Order::Close(sender)) => {
                        closing = Some(sender);
                        None
                    }
                    None => None,
                };
            }
        }
        let trouble = trouble.or_else(|| self.commit());
        if trouble.is_some() {
            self.roll_back(undo);
        }
        answers.into_iter().for_each(|answer| answer(trouble.as_deref()));
        closing
    }

    /// What waits. When nothing does, requests that are ready to run get the processor once before the group
    /// is committed: a commit costs far more than the few microseconds by which it then grows.
    fn next_order(&mut self) -> Option<Order> {
        self.orders.try_recv().ok().or_else(|| {
            std::thread::yield_now();
            self.orders.try_recv().ok()
        })
    }

    fn begin(&self) -> Option<String> {
        if self.shared.is_broken() {
            return Some("an earlier write failed in a way that only a restart can mend".to_owned());
        }
        let begun = self.conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([]));
        begun.err().map(|error| self.failed(&error))
    }

    fn commit(&self) -> Option<String> {
        let done = self.conn.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
        done.err().map(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> String {
        if fault::is_final(error) {
            self.shared.mark_broken();
            tracing::error!(%error, "the database can no longer be trusted to write; restart after mending the disk");
        } else {
            tracing::warn!(%error, "a write failed and was taken back");
        }
        StoreError::from(rusqlite_clone(error)).to_string()
    }

    fn step(&self, job: Job, undo: &mut Vec<Undo>, trouble: &mut Option<String>) -> Option<Answer> {
        let (written, undone) = (self.conn.total_changes(), undo.len());
        let run = job.run;
        let mut turn = Turn { view: View { conn: &self.conn, shared: &self.shared }, undo };
        let Ok(finished) = catch_unwind(AssertUnwindSafe(|| run(&mut turn))) else {
            *trouble = Some("a write stopped half-way".to_owned());
            return None;
        };
        let changed = self.conn.total_changes() != written || turn.undo.len() != undone;
        if finished.failed && (changed || self.conn.is_autocommit()) {
            *trouble = Some("a write failed half-way and was taken back with its group".to_owned());
        }
        Some(finished.answer)
    }

    fn roll_back(&self, undo: Vec<Undo>) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            self.shared.mark_broken();
            tracing::error!(%error, "a transaction could not be taken back");
        }
        let mut hot = self.shared.hot();
        undo.into_iter().rev().for_each(|undo| undo(&mut hot));
    }
}

/// A job of a group that is lost already: dropping it tells whoever waits.
fn refuse(job: Job) -> Option<Answer> {
    drop(job);
    None
}

/// `rusqlite::Error` is not `Clone`; only what SQLite itself reported matters here.
fn rusqlite_clone(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        _ => rusqlite::Error::InvalidQuery,
    }
}
