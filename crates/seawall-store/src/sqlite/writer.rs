//! One thread owns the connection that writes. It runs every job that waits in one transaction, so that a
//! single fsync makes all of them durable, and answers them after the commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::db::{Shared, View};
use super::fault;
use super::hot::Hot;
use super::orders::Line;
use super::prepared::{Prepared, Statements};
use crate::{Result, StoreError};

/// Jobs of one transaction, and rows after which no further job is taken into it.
const GROUP_JOBS: usize = 512;
const GROUP_WEIGHT: usize = 4096;
/// From so many jobs in the group before it, a group is worth waiting for: a commit costs as much as many
/// rows, and those who wait for it wait for an fsync anyway.
const BUSY: usize = 4;
/// How long a pause is, and how many there are at most while jobs keep coming.
const PAUSE: Duration = Duration::from_micros(200);
const PAUSES: u8 = 8;

/// Takes back what a job did in memory when its transaction did not commit.
type Undo = Box<dyn FnOnce(&mut Hot) + Send>;

/// What a job may use.
pub(super) struct Turn<'a> {
    /// The writing connection, inside the group's transaction.
    pub(super) view: View<'a>,
    /// The statements that messages need.
    pub(super) prepared: &'a mut (dyn Prepared + 'a),
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

/// Something to do inside a group's transaction, and whom to tell. A job must make its checks before its
/// first write: a job that fails without having written fails alone, one that fails later takes its whole
/// group back.
trait Work: Send {
    /// Does it; false when it failed.
    fn run(&mut self, turn: &mut Turn<'_>) -> bool;
    /// Tells whoever waits: committed, or why not.
    fn answer(self: Box<Self>, trouble: Option<&str>);
}

/// A job in the writer's line.
pub(super) struct Job {
    weight: usize,
    work: Box<dyn Work>,
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T>>,
    waits: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&mut Turn<'_>) -> Result<T> + Send> Work for Task<T, F> {
    fn run(&mut self, turn: &mut Turn<'_>) -> bool {
        let result = self.work.take().map(|work| work(turn));
        let done = matches!(result, Some(Ok(_)));
        self.result = result;
        done
    }

    fn answer(self: Box<Self>, trouble: Option<&str>) {
        let result = match (trouble, self.result) {
            (Some(why), _) => Err(StoreError::Unavailable(why.to_owned())),
            (None, Some(result)) => result,
            // Never run: dropping the sender tells whoever waits.
            (None, None) => return,
        };
        // Nobody waits any more when the request was dropped; what it wrote stays.
        let _ = self.waits.send(result);
    }
}

impl Job {
    /// A job and where its answer arrives, after the commit.
    pub(super) fn new<T: Send + 'static>(
        weight: usize,
        work: impl FnOnce(&mut Turn<'_>) -> Result<T> + Send + 'static,
    ) -> (Job, oneshot::Receiver<Result<T>>) {
        let (waits, receiver) = oneshot::channel();
        (Job { weight, work: Box::new(Task { work: Some(work), result: None, waits }) }, receiver)
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
    pub(super) orders: Arc<Line<Order>>,
    /// The lock of the data directory, released when the connection is closed.
    pub(super) lock: Option<std::fs::File>,
}

/// Closes the line when the thread ends, however it ends.
struct Ending(Arc<Line<Order>>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Writer {
    /// Works until told to close or until nobody can send orders any more.
    pub(super) fn run(self) {
        let Writer { conn, shared, orders, lock } = self;
        let ending = Ending(orders.clone());
        let closing =
            Session { conn: &conn, shared: &shared, statements: Statements::new(&conn) }.run(&orders);
        let truncated = match &closing {
            Some(_) if !shared.is_broken() => conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"),
            Some(_) => Ok(()),
            None => conn.execute_batch("PRAGMA optimize"),
        };
        if let Err(error) = truncated {
            tracing::warn!(%error, "the database's log was not written back; the next start does it");
        }
        drop(conn);
        drop(lock);
        drop(ending);
        if let Some(closing) = closing {
            let _ = closing.send(());
        }
    }
}

/// The writer while its connection is open.
struct Session<'c> {
    conn: &'c Connection,
    shared: &'c Shared,
    statements: Statements<'c>,
}

impl Session<'_> {
    /// Carries out orders. Returns an order to close; `None` when nobody can give any more.
    fn run(mut self, orders: &Line<Order>) -> Option<oneshot::Sender<()>> {
        let (mut taken, mut last) = (VecDeque::new(), 0);
        loop {
            if taken.is_empty() && !orders.wait(&mut taken) {
                return None;
            }
            if last >= BUSY {
                orders.gather(&mut taken, last.min(GROUP_JOBS), PAUSE, PAUSES);
            }
            if let Some(Order::Close(_)) = taken.front() {
                let first = taken.pop_front();
                return first.and_then(|order| match order {
                    Order::Close(closing) => Some(closing),
                    Order::Run(_) => None,
                });
            }
            last = self.group(orders, &mut taken);
        }
    }

    /// Runs what waits in one transaction; says how many jobs that were.
    fn group(&mut self, orders: &Line<Order>, taken: &mut VecDeque<Order>) -> usize {
        let (mut done, mut undo, mut weight) = (Vec::with_capacity(taken.len()), Vec::new(), 0);
        let mut trouble = self.begin();
        let begun = trouble.is_none();
        while weight < GROUP_WEIGHT && done.len() < GROUP_JOBS && begun == trouble.is_none() {
            if taken.is_empty() {
                orders.take(taken);
            }
            let next = taken.pop_front_if(|order| matches!(order, Order::Run(_)));
            let Some(Order::Run(job)) = next else { break };
            weight += job.weight;
            done.extend(if begun { self.step(job.work, &mut undo, &mut trouble) } else { Some(job.work) });
        }
        let trouble = trouble.or_else(|| self.commit());
        if trouble.is_some() {
            self.roll_back(undo);
        }
        let jobs = done.len();
        done.into_iter().for_each(|work: Box<dyn Work>| work.answer(trouble.as_deref()));
        jobs
    }

    fn begin(&mut self) -> Option<String> {
        if self.shared.is_broken() {
            return Some("an earlier write failed in a way that only a restart can mend".to_owned());
        }
        self.statements.begin().err().map(|error| self.failed(&error))
    }

    fn commit(&mut self) -> Option<String> {
        self.statements.commit().err().map(|error| self.failed(&error))
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

    fn step(
        &mut self,
        mut work: Box<dyn Work>,
        undo: &mut Vec<Undo>,
        trouble: &mut Option<String>,
    ) -> Option<Box<dyn Work>> {
        let (written, undone) = (self.conn.total_changes(), undo.len());
        let view = View { conn: self.conn, shared: self.shared };
        let mut turn = Turn { view, prepared: &mut self.statements, undo };
        let Ok(well) = catch_unwind(AssertUnwindSafe(|| work.run(&mut turn))) else {
            *trouble = Some("a write stopped half-way".to_owned());
            return None;
        };
        let changed = self.conn.total_changes() != written || undo.len() != undone;
        if !well && (changed || self.conn.is_autocommit()) {
            *trouble = Some("a write failed half-way and was taken back with its group".to_owned());
        }
        Some(work)
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

/// `rusqlite::Error` is not `Clone`; only what SQLite itself reported matters here.
fn rusqlite_clone(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        _ => rusqlite::Error::InvalidQuery,
    }
}
