//! The database as the rest of the module sees it: jobs to the writer, and readers beside it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use seawall_core::time::Timestamp;
use tokio::sync::oneshot;

use super::hot::Hot;
use super::orders::Line;
use super::setup;
use super::writer::{Job, Order, Turn, Writer};
use crate::vault::Vault;
use crate::{Result, StoreError};

/// Connections for lists, beside the one for single rows.
const LIST_READERS: usize = 2;

/// What the writer and all readers share.
pub(super) struct Shared {
    /// Keys.
    pub(super) vault: Arc<Vault>,
    /// What is kept in memory.
    hot: Mutex<Hot>,
    broken: AtomicBool,
    latest: AtomicI64,
}

impl Shared {
    /// What is kept in memory. Hold it briefly.
    pub(super) fn hot(&self) -> MutexGuard<'_, Hot> {
        self.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Notes the time of a request; lists, which are given none, use the latest to tell what has expired.
    pub(super) fn note(&self, now: Timestamp) {
        self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }
}

/// A connection with what is needed to understand its rows.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) conn: &'a Connection,
    pub(super) shared: &'a Shared,
}

impl View<'_> {
    pub(super) fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    pub(super) fn hot(&self) -> MutexGuard<'_, Hot> {
        self.shared.hot()
    }
}

/// Readers of a file. A database in memory has only one connection, so its reads are jobs of the writer.
struct Readers {
    single: Mutex<Connection>,
    lists: Vec<Mutex<Connection>>,
}

impl Readers {
    fn open(dir: &Path) -> Result<Self> {
        let lists =
            (0..LIST_READERS).map(|_| setup::open_reader(dir).map(Mutex::new)).collect::<Result<_>>()?;
        Ok(Readers { single: Mutex::new(setup::open_reader(dir)?), lists })
    }

    fn list(&self) -> Result<MutexGuard<'_, Connection>> {
        let free = self.lists.iter().find_map(|reader| reader.try_lock().ok());
        let first = || self.lists.first().map(|r| r.lock().unwrap_or_else(PoisonError::into_inner));
        free.or_else(first).ok_or_else(closed)
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed, or a write before this one failed".to_owned())
}

/// The database.
pub(super) struct Db {
    pub(super) shared: Arc<Shared>,
    orders: Arc<Line<Order>>,
    readers: Option<Arc<Readers>>,
}

impl Db {
    /// Opens a directory's database.
    pub(super) fn file(dir: &Path, vault: Arc<Vault>) -> Result<Self> {
        let lock = setup::lock(dir)?;
        let conn = setup::open_file(dir, &vault)?;
        Self::start(conn, vault, Some(dir), Some(lock))
    }

    /// Opens an empty database in memory.
    pub(super) fn memory(vault: Arc<Vault>) -> Result<Self> {
        let conn = setup::open_memory(&vault)?;
        Self::start(conn, vault, None, None)
    }

    fn start(
        conn: Connection,
        vault: Arc<Vault>,
        dir: Option<&Path>,
        lock: Option<std::fs::File>,
    ) -> Result<Self> {
        let hot = Mutex::new(super::start::load(&conn, &vault)?);
        let shared =
            Arc::new(Shared { vault, hot, broken: AtomicBool::new(false), latest: AtomicI64::new(0) });
        let orders = Arc::new(Line::default());
        let readers = dir.map(Readers::open).transpose()?.map(Arc::new);
        let writer = Writer { conn, shared: shared.clone(), orders: orders.clone(), lock };
        std::thread::Builder::new()
            .name("seawall-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|e| StoreError::Unavailable(format!("no thread for the database: {e}")))?;
        Ok(Db { shared, orders, readers })
    }

    /// Runs a job; returns once it is durable. `weight`: about how many rows it writes.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        weight: usize,
        work: impl FnOnce(&mut Turn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, answer) = Job::new(weight, work);
        if !self.orders.bring(Order::Run(job)).await {
            return Err(closed());
        }
        answer.await.map_err(|_| closed())?
    }

    /// Reads a row or two by key, right here: it takes microseconds.
    pub(super) async fn point<T: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(readers) = &self.readers else {
            return self.write(0, move |turn| read(turn.view)).await;
        };
        let conn = readers.single.lock().unwrap_or_else(PoisonError::into_inner);
        read(View { conn: &conn, shared: &self.shared })
    }

    /// Reads what may take longer, on a thread for such things.
    pub(super) async fn list<T: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(readers) = self.readers.clone() else {
            return self.write(0, move |turn| read(turn.view)).await;
        };
        let shared = self.shared.clone();
        let task = tokio::task::spawn_blocking(move || {
            let conn = readers.list()?;
            read(View { conn: &conn, shared: &shared })
        });
        task.await.map_err(|_| StoreError::Unavailable("a read stopped half-way".to_owned()))?
    }

    /// Finishes everything that was handed over, writes the log back and ends the writer.
    pub(super) async fn close(&self) {
        let (sender, done) = oneshot::channel();
        if self.orders.bring(Order::Close(sender)).await {
            let _ = tokio::time::timeout(Duration::from_secs(30), done).await;
        }
    }
}

/// Without anybody who could give an order the writer ends.
impl Drop for Db {
    fn drop(&mut self) {
        self.orders.close();
    }
}
