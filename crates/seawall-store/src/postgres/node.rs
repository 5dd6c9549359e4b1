//! This node among the others: a number that its ids carry, and a lease on what it is submitting.
//!
//! A node renews its lease every second. One whose lease ran out, and is seen so for a while by a node that does
//! reach the database, is gone: what it was submitting becomes `unknown`, because nobody can know. It is never
//! submitted again, so a node that was only slow does no harm when it wakes up; it takes a new lease then.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use hashbrown::HashMap;
use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::conn::{Db, Lock, OURS, SOON};
use super::{Sharing, setup};
use crate::records::{Moved, Recovery};
use crate::{Changes, Result, StoreError};

/// Numbers of nodes; ids leave ten bits for them.
const NUMBERS: i64 = 1024;
/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(1);
/// How long one lasts, as an interval of PostgreSQL.
const LEASE: &str = "interval '3 seconds'";
/// How long a node that leads goes on without having renewed: less than its lease lasts.
const LEADS: Duration = Duration::from_millis(2_700);
/// How long a lease has to be seen to have run out.
const DOUBT: Duration = Duration::from_millis(900);
/// How long a start waits for the node before it to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// The advisory lock that says that the database is used.
const USE: i32 = 100;
/// The channel of notifications.
pub(super) const CHANNEL: &str = "seawall_directory";

/// What this node is.
pub(super) struct Node {
    lease: AtomicI64,
    number: AtomicI64,
    shared: AtomicBool,
    ousted: AtomicBool,
    leads_until: Mutex<Option<Instant>>,
    /// The server's process that holds this node's place, while there was one.
    holder: AtomicI32,
    expired: Mutex<HashMap<i64, Instant>>,
    changes: watch::Sender<Changes>,
}

impl Default for Node {
    fn default() -> Self {
        Node {
            lease: AtomicI64::new(0),
            number: AtomicI64::new(0),
            shared: AtomicBool::new(false),
            ousted: AtomicBool::new(false),
            leads_until: Mutex::default(),
            holder: AtomicI32::new(0),
            expired: Mutex::default(),
            changes: watch::channel(Changes::default()).0,
        }
    }
}

impl Node {
    /// The lease under which this node submits.
    pub(super) fn lease(&self) -> i64 {
        self.lease.load(Ordering::Acquire)
    }

    /// Its number among the nodes.
    pub(super) fn number(&self) -> u16 {
        u16::try_from(self.number.load(Ordering::Acquire)).unwrap_or(0)
    }

    /// Whether there may be others.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Acquire)
    }

    /// Whether it does what one node does for all.
    pub(super) fn leads(&self) -> bool {
        !self.is_shared() || self.leading().is_some_and(|until| Instant::now() < until)
    }

    fn leading(&self) -> MutexGuard<'_, Option<Instant>> {
        self.leads_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is set up, as it changes.
    pub(super) fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    /// Refuses to write once another node has taken the database for itself.
    pub(super) fn check(&self) -> Result<()> {
        if self.ousted.load(Ordering::Acquire) { Err(taken()) } else { Ok(()) }
    }

    fn expired(&self) -> MutexGuard<'_, HashMap<i64, Instant>> {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken() -> StoreError {
    let say = "another seawall uses this database, and limits that one of them counts in its memory would not hold \
         for both; stop it, or let both count in the same Redis (counters.url)";
    StoreError::Unavailable(say.to_owned())
}

/// Takes a place, and keeps it until the store is closed.
pub(super) async fn join(db: &Arc<Db>, sharing: Sharing) -> Result<()> {
    db.node.shared.store(sharing == Sharing::Shared, Ordering::Release);
    let begun = Instant::now();
    let mut keeper = loop {
        match Keeper::start(db).await {
            Ok(keeper) => break keeper,
            Err(Refused::Taken) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await
            }
            Err(Refused::Taken) => return Err(taken()),
            Err(Refused::Store(error)) => return Err(error),
        }
    };
    keeper.renew(db).await?;
    db.keep(tokio::spawn(keep(db.clone(), Some(keeper))));
    Ok(())
}

/// Renews, and connects again when the connection is lost.
async fn keep(db: Arc<Db>, mut keeper: Option<Keeper>) {
    while !db.is_closed() {
        let Some(held) = &mut keeper else {
            match timeout(SOON, Keeper::start(&db)).await {
                Ok(Ok(new)) => {
                    db.node.ousted.store(false, Ordering::Release);
                    keeper = Some(new);
                }
                Ok(Err(Refused::Taken)) => db.node.ousted.store(true, Ordering::Release),
                Ok(Err(Refused::Store(error))) => tracing::warn!(%error, "this node cannot renew its lease"),
                Err(_) => tracing::warn!("this node cannot renew its lease: PostgreSQL does not answer"),
            }
            if keeper.is_none() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            continue;
        };
        match timeout(SOON, held.renew(&db)).await {
            Ok(Ok(())) => held.listen(&db).await,
            _ => keeper = None,
        }
    }
}

enum Refused {
    Taken,
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Refused::Store(error.into())
    }
}

/// The connection that holds this node's place, and hears of changes.
struct Keeper {
    client: Client,
    told: mpsc::UnboundedReceiver<()>,
    _reading: Reading,
}

/// Reads a connection. It ends with this value: by itself it would wait for answers that are lost, and keep the
/// connection, with what it holds, open.
struct Reading(JoinHandle<()>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    async fn start(db: &Db) -> std::result::Result<Self, Refused> {
        let (client, mut connection) = db.config.connect(db.tls.clone()).await?;
        let (tell, told) = mpsc::unbounded_channel();
        let mut messages = poll_fn(move |cx| connection.poll_message(cx));
        let reading = Reading(tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if matches!(message, AsyncMessage::Notification(_)) && tell.send(()).is_err() {
                    break;
                }
            }
        }));
        setup::ready(&client).await.map_err(Refused::Store)?;
        let lock = if db.node.is_shared() { "pg_try_advisory_lock_shared" } else { "pg_try_advisory_lock" };
        let held = client.query_one(&format!("SELECT {lock}({OURS}, {USE})"), &[]).await?;
        if !held.try_get::<_, bool>(0)? {
            oust_former(&client, db.node.holder.load(Ordering::Acquire)).await?;
            return Err(Refused::Taken);
        }
        let holder = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        db.node.holder.store(holder, Ordering::Release);
        if !db.node.is_shared() {
            // Nobody else holds the lock, so all other leases are of nodes that are gone.
            client.execute("DELETE FROM nodes WHERE lease <> $1", &[&db.node.lease()]).await?;
        }
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        Ok(Keeper { client, told, _reading: reading })
    }

    /// Renews the lease, or takes a new one; looks what has changed.
    async fn renew(&mut self, db: &Db) -> Result<()> {
        let begun = Instant::now();
        let sql = format!("UPDATE nodes SET until = clock_timestamp() + {LEASE} WHERE lease = $1");
        if self.client.execute(&sql, &[&db.node.lease()]).await? == 0 {
            self.take(db).await?;
        }
        let sql = "SELECT coalesce(max(value) FILTER (WHERE name = 'version'), 0), \
             coalesce(max(value) FILTER (WHERE name = 'entries'), 0), \
             (SELECT n.lease FROM nodes n JOIN meta m ON m.name = 'leader' AND m.value = n.lease \
              WHERE n.until > clock_timestamp()) \
             FROM meta WHERE name IN ('version', 'entries')";
        let row = self.client.query_one(sql, &[]).await?;
        self.lead(db, row.try_get(2)?, begun).await?;
        let count = |at: usize| Ok::<_, StoreError>(row.try_get::<_, i64>(at)?.cast_unsigned());
        let now = Changes { version: count(0)?, entries: count(1)? };
        db.node.changes.send_if_modified(|known| std::mem::replace(known, now) != now);
        Ok(())
    }

    /// Goes on leading, or begins to where nobody does. The lease that says so was renewed after `begun`.
    async fn lead(&mut self, db: &Db, leader: Option<i64>, begun: Instant) -> Result<()> {
        let own = db.node.lease();
        let leads = match leader {
            Some(leader) => leader == own,
            None => {
                let sql = "INSERT INTO meta (name, value) VALUES ('leader', $1) ON CONFLICT (name) DO UPDATE SET value = $1 \
                     WHERE NOT EXISTS (SELECT 1 FROM nodes n WHERE n.lease = meta.value AND n.until > clock_timestamp())";
                self.client.execute(sql, &[&own]).await? > 0
            }
        };
        *db.node.leading() = leads.then(|| begun + LEADS);
        Ok(())
    }

    async fn take(&mut self, db: &Db) -> Result<()> {
        let before = i64::from(db.node.number());
        let tx = self.client.transaction().await?;
        tx.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&OURS, &Lock::Nodes.number()]).await?;
        let sql = format!(
            "INSERT INTO nodes (number, until) SELECT n, clock_timestamp() + {LEASE} \
             FROM generate_series(0::bigint, {NUMBERS} - 1) n WHERE NOT EXISTS (SELECT 1 FROM nodes o WHERE o.number = n) \
             ORDER BY n = $1 DESC, n LIMIT 1 RETURNING lease, number"
        );
        let Some(row) = tx.query_opt(&sql, &[&before]).await? else {
            return Err(StoreError::Unavailable(format!("{NUMBERS} nodes use this database already")));
        };
        let (lease, number): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        tx.commit().await?;
        db.node.number.store(number, Ordering::Release);
        db.node.lease.store(lease, Ordering::Release);
        Ok(())
    }

    /// Waits until the lease has to be renewed, or something has changed.
    async fn listen(&mut self, db: &Db) {
        if let Ok(None) = timeout(RENEW, self.told.recv()).await {
            tracing::warn!("the connection that holds this node's lease is lost; connecting again");
            // The next renewal fails at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while self.told.try_recv().is_ok() {}
        let _ = db;
    }
}

/// Ends the server's process that holds the place for a connection of this node that is lost: the server may take long
/// to find out. The next try has the place then.
async fn oust_former(client: &Client, holder: i32) -> Result<()> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND classid::bigint = $1 AND objid::bigint = $2 AND pid = $3 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    client.query(sql, &[&i64::from(OURS), &i64::from(USE), &holder]).await?;
    Ok(())
}

/// Gives the lease back.
pub(super) async fn leave(db: &Db) -> Result<()> {
    db.soon().await?.run("DELETE FROM nodes WHERE lease = $1", &[&db.node.lease()]).await.map(drop)
}

/// Marks what this node, or one that is gone, was submitting as `unknown`.
pub(super) async fn recover(db: &Db, now: Timestamp) -> Result<Recovery> {
    let conn = db.patient().await?;
    let sql = "UPDATE messages SET state = 7, changed = $1, owner = NULL WHERE state = 2 AND \
         (owner = $2 OR NOT EXISTS (SELECT 1 FROM nodes n WHERE n.lease = messages.owner))";
    let unknown = conn.run(sql, &[&now.as_millis(), &db.node.lease()]).await?;
    let row = conn.row("SELECT count(*) FROM messages WHERE state IN (0, 1)", &[]).await?;
    let waiting = row.map(|row| row.try_get::<_, i64>(0)).transpose()?.unwrap_or(0);
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Recovery { unknown: count(unknown), waiting: count(waiting.cast_unsigned()) })
}

/// Finds nodes that are gone, and marks what they were submitting.
pub(super) async fn recover_gone(db: &Db, now: Timestamp) -> Result<Vec<Moved>> {
    let gone = find_gone(db).await.inspect_err(|_| db.node.expired().clear())?;
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let mut conn = db.patient().await?;
    conn.begin().await?;
    let sql = "DELETE FROM nodes WHERE lease = ANY($1) AND until < clock_timestamp() RETURNING lease";
    let gone = conn.rows(sql, &[&gone]).await?;
    let gone = gone.iter().map(|row| row.try_get(0)).collect::<std::result::Result<Vec<i64>, _>>()?;
    let sql = "UPDATE messages SET state = 7, changed = $1, owner = NULL WHERE state = 2 AND owner = ANY($2) \
         RETURNING key, tail";
    let rows = conn.rows(sql, &[&now.as_millis(), &gone]).await?;
    conn.commit().await?;
    if !gone.is_empty() {
        tracing::warn!(
            nodes = gone.len(),
            messages = rows.len(),
            "nodes are gone; what they were sending is unknown"
        );
    }
    let moved = |row: &tokio_postgres::Row| {
        let id = Id::new(row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned());
        Ok(Moved { id, state: MessageState::Unknown })
    };
    rows.iter().map(moved).collect()
}

/// Leases that have run out, and did so a while ago.
async fn find_gone(db: &Db) -> Result<Vec<i64>> {
    let sql = "SELECT lease FROM nodes WHERE until < clock_timestamp() AND lease <> $1";
    let rows = db.soon().await?.rows(sql, &[&db.node.lease()]).await?;
    let leases = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<Vec<i64>, _>>()?;
    let now = Instant::now();
    let mut expired = db.node.expired();
    expired.retain(|lease, _| leases.contains(lease));
    for lease in &leases {
        expired.entry(*lease).or_insert(now);
    }
    Ok(expired.iter().filter(|(_, seen)| now - **seen >= DOUBT).map(|(lease, _)| *lease).collect())
}
