//! From the embedded store to PostgreSQL, when one machine is not enough any more: every table, in one transaction,
//! sealed as it is, with the key of the installation. All or nothing: what was counted on both sides has to agree
//! before it is committed, and a database that holds anything is refused.

mod tables;

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::mpsc;
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use self::tables::{Column, TABLES, Table};
use crate::postgres::{PostgresStore, Sharing};
use crate::sealed::chain;
use crate::sqlite::{self, SqliteStore};
use crate::vault::Vault;
use crate::{Ledger, Result, StoreError};

/// Takes everything in a data directory to a PostgreSQL database that is empty. Neither may be in use. Gives the
/// number of rows of each table. The file is renamed at the end, so that nobody goes on with both.
pub async fn import(dir: &Path, url: &str, vault: Arc<Vault>) -> Result<Vec<(&'static str, u64)>> {
    if !dir.join(sqlite::DATABASE_FILE).exists() {
        let why = format!("{} holds no {}", dir.display(), sqlite::DATABASE_FILE);
        return Err(StoreError::Unavailable(why));
    }
    // Brings it to this version's schema, and writes its log back.
    SqliteStore::open(dir, vault.clone())?.close().await;
    let (_lock, from) = sqlite::held(dir)?;
    let store = PostgresStore::open(url, vault, Sharing::Alone).await?;
    let done = take(&Source(Arc::new(Mutex::new(from))), &store).await;
    store.close().await;
    let counts = done?;
    let file = dir.join(sqlite::DATABASE_FILE);
    let kept = file.with_extension("db.imported");
    std::fs::rename(&file, &kept).map_err(|e| {
        StoreError::Unavailable(format!("everything is imported, but {}: {e}", file.display()))
    })?;
    Ok(counts)
}

async fn take(from: &Source, store: &PostgresStore) -> Result<Vec<(&'static str, u64)>> {
    let days = days(&from.conn())?;
    store.make_days(&days).await?;
    let mut client = store.own_connection().await?;
    let tx = client.transaction().await?;
    empty(&tx).await?;
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        counts.push((table.name, copy(from, &tx, table).await?));
    }
    tx.batch_execute(tables::AFTERWARDS).await?;
    let one = |sql: &str| from.conn().query_row(sql, [], |r| r.get::<_, i64>(0));
    let version = one("SELECT coalesce(max(value), 0) FROM meta WHERE key = 'version'")?;
    tx.execute("INSERT INTO meta (name, value) VALUES ('version', $1)", &[&version]).await?;
    for name in [chain::END, chain::CUT] {
        let mark = from
            .conn()
            .query_row("SELECT value FROM meta WHERE key = ?1", [name], |r| r.get::<_, Vec<u8>>(0));
        if let Some(mark) = mark.optional()? {
            tx.execute("INSERT INTO meta (name, body) VALUES ($1, $2)", &[&name, &mark]).await?;
        }
    }
    // Batches are forgotten, and their numbers are not used again: a snapshot names them.
    let evidence = one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'evidence'")?;
    if evidence > 0 {
        tx.execute("SELECT setval(pg_get_serial_sequence('evidence', 'seq'), $1)", &[&evidence]).await?;
    }
    tx.commit().await?;
    Ok(counts)
}

/// The embedded store, read by a thread of its own while PostgreSQL is waited for.
#[derive(Clone)]
struct Source(Arc<Mutex<Connection>>);

impl Source {
    fn conn(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of one message a day, for which PostgreSQL needs a partition.
fn days(from: &Connection) -> Result<Vec<i64>> {
    let day = 86_400_000i64 << seawall_core::id::SEQUENCE_BITS;
    let (mut found, mut next) = (Vec::new(), 0i64);
    let mut message = from.prepare("SELECT min(row) FROM messages WHERE row >= ?1")?;
    while let Some(row) = message.query_row([next], |r| r.get::<_, Option<i64>>(0))? {
        found.push(row);
        next = (row / day + 1) * day;
    }
    Ok(found)
}

/// Refuses a target in which something stands.
async fn empty(tx: &Transaction<'_>) -> Result<()> {
    for table in TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if tx.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
            let why = format!("the database holds {} already; import into an empty one", table.name);
            return Err(StoreError::Unavailable(why));
        }
    }
    Ok(())
}

/// Copies one table; its rows, counted on both sides.
async fn copy(from: &Source, tx: &Transaction<'_>, table: &'static Table) -> Result<u64> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let types: Vec<Type> = table.columns.iter().map(|(_, column)| column.kind()).collect();
    let sql = format!("COPY {} ({}) FROM STDIN BINARY", table.name, names.join(", "));
    let mut writer = pin!(BinaryCopyInWriter::new(tx.copy_in(&sql).await?, &types));
    let (send, mut rows) = mpsc::channel(AHEAD);
    let source = from.clone();
    let reading = tokio::task::spawn_blocking(move || read(&source.conn(), table, &send));
    while let Some(mut row) = rows.recv().await {
        (table.mend)(&mut row)?;
        let values = row.into_iter().zip(table.columns).map(|(value, (_, column))| column.value(value));
        let values: Vec<Box<dyn ToSql + Sync + Send>> = values.collect::<Result<_>>()?;
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
        writer.as_mut().write(&values).await?;
    }
    reading.await.map_err(|_| StoreError::Unavailable("a read stopped half-way".to_owned()))??;
    let written = writer.finish().await?;
    let there: i64 = tx.query_one(&format!("SELECT count(*) FROM {}", table.name), &[]).await?.try_get(0)?;
    let sql = format!("SELECT count(*) FROM ({})", table.rows);
    let here: i64 = from.conn().query_row(&sql, [], |r| r.get(0))?;
    if there == here && written == there.unsigned_abs() {
        return Ok(written);
    }
    let why = format!("{there} of {here} rows of {} arrived; nothing was imported", table.name);
    Err(StoreError::Unavailable(why))
}

/// Rows that are read ahead.
const AHEAD: usize = 2_000;

/// Sends every row of a table; ends early when nobody takes them any more.
fn read(from: &Connection, table: &Table, send: &mpsc::Sender<Vec<Value>>) -> Result<()> {
    let mut select = from.prepare(table.rows)?;
    let columns = select.column_count();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>()?;
        if send.blocking_send(values).is_err() {
            break;
        }
    }
    Ok(())
}

impl Column {
    fn kind(self) -> Type {
        match self {
            Column::Number => Type::INT8,
            Column::Text => Type::TEXT,
            Column::Bytes => Type::BYTEA,
            Column::Truth => Type::BOOL,
        }
    }

    fn value(self, value: Value) -> Result<Box<dyn ToSql + Sync + Send>> {
        Ok(match (self, value) {
            (Column::Number, Value::Integer(n)) => Box::new(n),
            (Column::Number, Value::Null) => Box::new(None::<i64>),
            (Column::Text, Value::Text(text)) => Box::new(text),
            (Column::Text, Value::Null) => Box::new(None::<String>),
            (Column::Bytes, Value::Blob(bytes)) => Box::new(bytes),
            (Column::Bytes, Value::Null) => Box::new(None::<Vec<u8>>),
            (Column::Truth, Value::Integer(n)) => Box::new(n != 0),
            (column, _) => return Err(StoreError::Corrupt(format!("a value is no {column:?}"))),
        })
    }
}
