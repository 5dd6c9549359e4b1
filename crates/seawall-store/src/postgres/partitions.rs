//! A partition a day of message keys, made when the first message of a day comes, or the day before.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashSet;
use seawall_core::id::SEQUENCE_BITS;

use super::conn::{Conn, Db, Lock};
use crate::Result;

const DAY_MS: i64 = 86_400_000;
/// Tables that are partitioned, by the same days.
const TABLES: [&str; 2] = ["messages", "provider_refs"];

/// Days whose partitions are known to be there.
#[derive(Default)]
pub(super) struct Days(Mutex<HashSet<i64>>);

/// The day of a key, counted from the epoch.
pub(super) fn day_of(key: i64) -> i64 {
    (key >> SEQUENCE_BITS) / DAY_MS
}

fn first_key(day: i64) -> i64 {
    (day * DAY_MS) << SEQUENCE_BITS
}

impl Days {
    /// Makes what is missing.
    pub(super) async fn ensure(&self, db: &Db, days: impl IntoIterator<Item = i64>) -> Result<()> {
        let mut missing: Vec<i64> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            days.into_iter().filter(|day| !known.contains(day)).collect()
        };
        missing.sort_unstable();
        missing.dedup();
        for day in missing {
            let mut conn = db.patient().await?;
            make(&mut conn, day).await?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
        }
        Ok(())
    }

    fn forget(&self, day: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&day);
    }
}

fn name(table: &str, day: i64) -> String {
    format!("{table}_d{day:06}")
}

/// Attaching an empty table holds no writer up; making it as a partition would.
async fn make(conn: &mut Conn, day: i64) -> Result<()> {
    conn.begin().await?;
    conn.lock(Lock::Partitions).await?;
    let there = conn.row("SELECT to_regclass($1) IS NOT NULL", &[&name("messages", day)]).await?;
    if !there.map(|row| row.try_get(0)).transpose()?.unwrap_or(false) {
        let (from, to) = (first_key(day), first_key(day + 1));
        for table in TABLES {
            let part = name(table, day);
            let sql = format!(
                "CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE); \
                 ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({from}) TO ({to})"
            );
            conn.script(&sql).await?;
        }
    }
    conn.commit().await
}

/// Days that have partitions, oldest first.
pub(super) async fn days(conn: &mut Conn) -> Result<Vec<i64>> {
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'messages'::regclass ORDER BY 1";
    let rows = conn.rows(sql, &[]).await?;
    let day = |row: &tokio_postgres::Row| {
        let name: String = row.try_get(0).ok()?;
        name.strip_prefix("messages_d")?.parse().ok()
    };
    Ok(rows.iter().filter_map(day).collect())
}

/// Drops a day as a whole, unless someone still uses it or something in it waits; true when it is gone.
pub(super) async fn drop_day(db: &Db, conn: &mut Conn, day: i64) -> Result<bool> {
    let part = name("messages", day);
    let waits = conn.row(&format!("SELECT 1 FROM {part} WHERE state < 3 LIMIT 1"), &[]).await?;
    if waits.is_some() {
        return Ok(false);
    }
    // Waits for whoever reads the table, but not long: all others would wait behind it.
    let parts = TABLES.map(|table| name(table, day)).join(", ");
    conn.script(&format!("SET LOCAL lock_timeout = '500ms'; DROP TABLE {parts}")).await?;
    db.days.forget(day);
    Ok(true)
}

/// Whether every key of a day is below one.
pub(super) fn is_below(day: i64, key: i64) -> bool {
    first_key(day + 1) <= key
}
