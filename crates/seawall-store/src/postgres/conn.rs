//! Connections: a pool of a fixed size, and a time within which each thing is done or given up.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::try_join;
use seawall_core::time::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row, Statement};

use super::partitions::Days;
use super::tls::Tls;
use crate::vault::Vault;
use crate::{Result, StoreError};

/// Connections of one node, the one that listens apart.
const CONNECTIONS: usize = 16;
/// Within this a request knows whether it was done.
pub(super) const SOON: Duration = Duration::from_millis(1_800);
/// Within this what reads much is done: lists, refilling, retention.
const LATE: Duration = Duration::from_secs(60);

/// How long a server that does not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether the server answers. A request asks it several things, and must not wait for each of them.
struct Health {
    begun: Instant,
    answered: AtomicI64,
    alone_until: AtomicI64,
}

impl Health {
    fn now(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn answered(&self) {
        self.answered.store(self.now(), Ordering::Relaxed);
    }

    /// Something took too long. That one did is no proof; that nothing else was answered meanwhile is.
    fn silent(&self) {
        let (now, pause) = (self.now(), i64::try_from(PAUSE.as_millis()).unwrap_or(i64::MAX));
        if now - self.answered.load(Ordering::Relaxed) > pause {
            self.alone_until.store(now + pause, Ordering::Relaxed);
        }
    }

    fn is_left_alone(&self) -> bool {
        self.now() < self.alone_until.load(Ordering::Relaxed)
    }
}

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The database, and what this node is in it.
pub(super) struct Db {
    pool: Pool,
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) vault: Arc<Vault>,
    pub(super) days: Days,
    pub(super) node: super::node::Node,
    health: Arc<Health>,
    closed: AtomicBool,
    latest: AtomicI64,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Db {
    /// Reads a URL; connects only when something is asked for.
    pub(super) fn connect(url: &str, vault: Arc<Vault>) -> Result<Arc<Self>> {
        let (config, tls) = super::url::read(url)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), recycling);
        let ready = Hook::async_fn(|client, _| {
            Box::pin(async move {
                super::setup::ready(client).await.map_err(|e| HookError::message(e.to_string()))
            })
        });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .post_create(ready)
            .build()
            .map_err(|e| StoreError::Unavailable(format!("no connections to PostgreSQL: {e}")))?;
        Ok(Arc::new(Db {
            pool,
            config,
            tls,
            vault,
            days: Days::default(),
            node: super::node::Node::default(),
            health: Arc::new(Health {
                begun: Instant::now(),
                answered: AtomicI64::new(0),
                alone_until: AtomicI64::new(0),
            }),
            closed: AtomicBool::new(false),
            latest: AtomicI64::new(0),
            tasks: Mutex::default(),
        }))
    }

    /// A connection for something that a request waits for.
    pub(super) async fn soon(&self) -> Result<Conn> {
        self.conn(Instant::now() + SOON, Instant::now() + SOON).await
    }

    /// A connection for something that takes longer; that one is free is known as soon.
    pub(super) async fn patient(&self) -> Result<Conn> {
        self.conn(Instant::now() + SOON, Instant::now() + LATE).await
    }

    /// A connection for something that has to be done until an instant.
    pub(super) async fn until(&self, until: Instant) -> Result<Conn> {
        self.conn(until, until).await
    }

    async fn conn(&self, got_by: Instant, until: Instant) -> Result<Conn> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        if self.health.is_left_alone() {
            return Err(StoreError::Unavailable(LATE_ANSWER.to_owned()));
        }
        let object = match tokio::time::timeout_at(got_by, self.pool.get()).await {
            Ok(Ok(object)) => object,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => {
                let busy = self.pool.status().available == 0 && self.pool.status().size >= CONNECTIONS;
                if !busy {
                    self.health.silent();
                }
                let why = if busy { "all its connections are in use" } else { "it does not answer" };
                return Err(StoreError::Unavailable(format!("PostgreSQL: {why}")));
            }
        };
        let health = self.health.clone();
        Ok(Conn { object: Some(object), until, health, busy: AtomicU32::new(0), open: false })
    }

    /// Notes the time of a request; lists, which are given none, use the latest to tell what has expired.
    pub(super) fn note(&self, now: Timestamp) {
        self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Nothing new is begun.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.tasks().drain(..).for_each(|task| task.abort());
        self.pool.close();
    }

    /// Ends a task together with the store.
    pub(super) fn keep(&self, task: JoinHandle<()>) {
        self.tasks().push(task);
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(error: &deadpool_postgres::PoolError) -> StoreError {
    match error {
        deadpool_postgres::PoolError::Backend(error) => {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            match error.as_db_error() {
                Some(db) => {
                    StoreError::Unavailable(format!("PostgreSQL refuses the connection: {}", db.message()))
                }
                None => StoreError::Unavailable(format!("PostgreSQL cannot be reached: {error}{cause}")),
            }
        }
        other => StoreError::Unavailable(format!("PostgreSQL cannot be used: {other}")),
    }
}

/// One connection while it is used. One that was given up in the middle of something is closed, not reused.
pub(super) struct Conn {
    object: Option<Object>,
    until: Instant,
    health: Arc<Health>,
    /// Statements under way.
    busy: AtomicU32,
    open: bool,
}

impl Conn {
    /// Waits for the server, but not for ever.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout_at(self.until, work).await {
            Ok(done) => {
                self.health.answered();
                Ok(done?)
            }
            Err(_) => {
                self.health.silent();
                Err(StoreError::Unavailable(LATE_ANSWER.to_owned()))
            }
        }
    }

    /// The driver's own client, for statements that travel together.
    pub(super) fn client(&self) -> Result<&Object> {
        self.object.as_ref().ok_or_else(|| StoreError::Unavailable("a connection was given back".to_owned()))
    }

    /// A statement, prepared once on each connection.
    pub(super) async fn prepared(&self, sql: &str) -> Result<Statement> {
        self.within(self.client()?.prepare_cached(sql)).await
    }

    /// Does one thing. A connection on which one was given up half-way is not used again.
    async fn whole<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let done = self.within(work).await;
        if !timed_out(&done) {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
        done
    }

    /// Rows of a query. Several that are asked for at a time travel together.
    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let statement = self.prepared(sql).await?;
        self.whole(self.client()?.query(&statement, values)).await
    }

    /// The first row of a query.
    pub(super) async fn row(&self, sql: &str, values: Values<'_>) -> Result<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs a statement; how many rows it touched.
    pub(super) async fn run(&self, sql: &str, values: Values<'_>) -> Result<u64> {
        let statement = self.prepared(sql).await?;
        self.whole(self.client()?.execute(&statement, values)).await
    }

    /// Runs statements without values.
    pub(super) async fn script(&self, sql: &str) -> Result<()> {
        self.whole(self.client()?.batch_execute(sql)).await
    }

    /// Begins a transaction. A connection that is dropped before its end is closed, which takes it back.
    pub(super) async fn begin(&mut self) -> Result<()> {
        self.open = true;
        self.script("BEGIN").await
    }

    /// Notes that a transaction was begun with statements of the caller's own.
    pub(super) fn begun(&mut self) {
        self.open = true;
    }

    /// Notes that the caller committed.
    pub(super) fn ended(&mut self) {
        self.open = false;
    }

    /// Commits.
    pub(super) async fn commit(&mut self) -> Result<()> {
        self.script("COMMIT").await?;
        self.open = false;
        Ok(())
    }

    /// Begins a transaction and runs its first query, in one trip.
    pub(super) async fn begin_with(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let statement = self.prepared(sql).await?;
        self.open = true;
        let client = self.client()?;
        let work = try_join(client.batch_execute("BEGIN"), client.query(&statement, values));
        self.within(work).await.map(|((), rows)| rows)
    }

    /// Runs the last statement of a transaction and commits, in one trip. Where the statement fails, the server takes
    /// everything back.
    pub(super) async fn commit_with(&mut self, sql: &str, values: Values<'_>) -> Result<u64> {
        let statement = self.prepared(sql).await?;
        let client = self.client()?;
        let work = try_join(client.execute(&statement, values), client.batch_execute("COMMIT"));
        let (touched, ()) = self.within(work).await?;
        self.open = false;
        Ok(touched)
    }

    /// Holds a lock until the end of the transaction.
    pub(super) async fn lock(&mut self, lock: Lock) -> Result<()> {
        self.rows("SELECT pg_advisory_xact_lock($1::int4, $2::int4)", &[&OURS, &(lock.number())])
            .await
            .map(drop)
    }

    /// The same, of one number.
    pub(super) async fn lock_number(&mut self, number: i64) -> Result<()> {
        self.rows("SELECT pg_advisory_xact_lock($1::bigint)", &[&number]).await.map(drop)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let given_up = self.open || *self.busy.get_mut() > 0;
        if let Some(object) = self.object.take().filter(|_| given_up) {
            drop(Object::take(object));
        }
    }
}

/// Marks our advisory locks: `Swal`.
pub(super) const OURS: i32 = 0x5377_616c;

/// What nodes do one at a time.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    /// Changing the schema.
    Schema,
    /// Changing what is set up, and the audit log.
    Directory,
    /// Appending to the stream of evidence.
    Evidence,
    /// Making and dropping partitions.
    Partitions,
    /// Applying retention.
    Retention,
    /// Joining and leaving.
    Nodes,
    /// Keeping a snapshot of the evidence.
    Snapshot,
    /// Making an installation.
    Installation,
}

impl Lock {
    /// As PostgreSQL knows it.
    pub(super) fn number(self) -> i32 {
        match self {
            Lock::Schema => 1,
            Lock::Directory => 2,
            Lock::Evidence => 3,
            Lock::Partitions => 4,
            Lock::Retention => 5,
            Lock::Nodes => 6,
            Lock::Snapshot => 7,
            Lock::Installation => 8,
        }
    }
}

const LATE_ANSWER: &str = "PostgreSQL did not answer in time";

fn timed_out<T>(done: &Result<T>) -> bool {
    matches!(done, Err(StoreError::Unavailable(why)) if why == LATE_ANSWER)
}
