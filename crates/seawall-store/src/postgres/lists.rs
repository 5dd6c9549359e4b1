//! [`Lists`] on PostgreSQL: entries belong to a batch, and a batch to a list once it is whole, as in SQLite.

use async_trait::async_trait;
use seawall_core::id::{Id, IdKind};
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::conn::{Conn, Db};
use super::documents::{changing, count_up, write_audit};
use crate::lists::{Hits, ListEntry, Lists};
use crate::records::{AuditEntry, Page};
use crate::sealed::setup::{self, SealedEntry};
use crate::vault::Vault;
use crate::{Result, StoreError};

/// Entries that one statement takes.
const PIECE: usize = 500;
/// A batch without a list is left alone for so long: an import may be writing it.
const ABANDONED: &str = "interval '1 hour'";

const COLUMNS: &str =
    "e.key, e.tail, b.list, e.body FROM list_entries e JOIN list_batches b ON b.batch = e.batch";

fn read(vault: &Vault, row: &Row) -> Result<ListEntry> {
    setup::open_entry(vault, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)
}

/// The batch that a list's next entry goes to.
async fn open_batch(conn: &mut Conn, list: &str) -> Result<i64> {
    let found = conn.row("SELECT max(batch) FROM list_batches WHERE list = $1", &[&list]).await?;
    match found.map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten() {
        Some(batch) => Ok(batch),
        None => new_batch(conn, Some(list)).await,
    }
}

async fn new_batch(conn: &mut Conn, list: Option<&str>) -> Result<i64> {
    let row = conn.row("INSERT INTO list_batches (list) VALUES ($1) RETURNING batch", &[&list]).await?;
    Ok(row.ok_or(StoreError::Conflict)?.try_get(0)?)
}

async fn insert(conn: &mut Conn, batch: i64, entries: &[SealedEntry]) -> Result<()> {
    let keys: Vec<i64> = entries.iter().map(|e| e.row).collect();
    let tails: Vec<i64> = entries.iter().map(|e| e.tail).collect();
    let bodies: Vec<&[u8]> = entries.iter().map(|e| e.body.as_slice()).collect();
    let sql = "INSERT INTO list_entries (key, tail, batch, body) \
         SELECT k, t, $1, b FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS u (k, t, b)";
    conn.run(sql, &[&batch, &keys, &tails, &bodies]).await.map(drop)
}

async fn finish(mut conn: Conn, db: &Db, audit: &AuditEntry) -> Result<()> {
    write_audit(&mut conn, &db.vault, audit).await?;
    count_up(&mut conn, "entries").await?;
    conn.commit().await
}

/// A batch with entries that belongs to no list. Jumps from one batch to the next.
const ORPHAN: &str = "WITH RECURSIVE b AS ((SELECT min(batch) AS batch FROM list_entries) UNION ALL \
     SELECT (SELECT min(batch) FROM list_entries WHERE batch > b.batch) FROM b WHERE b.batch IS NOT NULL) \
     SELECT b.batch FROM b WHERE b.batch IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM list_batches l WHERE l.batch = b.batch) LIMIT 1";

/// A step of sweeping; true while there is more.
async fn sweep(db: &Db, lists: &[String]) -> Result<bool> {
    let mut conn = db.soon().await?;
    let sql = format!(
        "DELETE FROM list_batches WHERE (list IS NOT NULL AND NOT list = ANY($1)) \
         OR (list IS NULL AND begun < now() - {ABANDONED})"
    );
    conn.run(&sql, &[&lists]).await?;
    let Some(orphan) = conn.row(ORPHAN, &[]).await? else { return Ok(false) };
    let batch: i64 = orphan.try_get(0)?;
    conn.begin().await?;
    let sql = "DELETE FROM list_entries WHERE key IN (SELECT key FROM list_entries WHERE batch = $1 LIMIT $2) \
         RETURNING key, tail";
    let rows = conn.rows(sql, &[&batch, &i64::try_from(PIECE).unwrap_or(i64::MAX)]).await?;
    let id = |row: &Row| {
        let id = Id::new(row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned());
        Ok::<_, StoreError>(id.show(IdKind::Entry))
    };
    let ids = rows.iter().map(id).collect::<Result<Vec<_>>>()?;
    conn.run("DELETE FROM hits WHERE id = ANY($1)", &[&ids]).await?;
    conn.commit().await?;
    Ok(true)
}

#[async_trait]
impl Lists for PostgresStore {
    async fn entries(&self, of: Option<&str>, page: Page) -> Result<Vec<ListEntry>> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE b.list IS NOT NULL AND ($1::text IS NULL OR b.list = $1) AND e.key < $2 \
             ORDER BY e.key DESC LIMIT $3"
        );
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let conn = self.db.patient().await?;
        let rows = conn.rows(&sql, &[&of, &page.before.unwrap_or(i64::MAX), &limit]).await?;
        rows.iter().map(|row| read(&self.db.vault, row)).collect()
    }

    async fn entry(&self, list: &str, id: Id) -> Result<Option<ListEntry>> {
        let sql = format!("SELECT {COLUMNS} WHERE e.key = $1 AND e.tail = $2 AND b.list = $3");
        let conn = self.db.soon().await?;
        let row = conn.row(&sql, &[&id.row(), &id.tail().cast_signed(), &list]).await?;
        row.map(|row| read(&self.db.vault, &row)).transpose()
    }

    async fn add_entry(&self, entry: ListEntry, audit: AuditEntry) -> Result<()> {
        let sealed = setup::seal_entry(&self.db.vault, &entry)?;
        let mut conn = changing(&self.db).await?;
        let batch = open_batch(&mut conn, &entry.list).await?;
        insert(&mut conn, batch, &[sealed]).await?;
        finish(conn, &self.db, &audit).await
    }

    async fn change_entry(&self, entry: ListEntry, audit: AuditEntry) -> Result<bool> {
        let sealed = setup::seal_entry(&self.db.vault, &entry)?;
        let conn = changing(&self.db).await?;
        let sql = "UPDATE list_entries SET body = $3 WHERE key = $1 AND tail = $2 \
             AND batch IN (SELECT batch FROM list_batches WHERE list = $4)";
        let changed = conn.run(sql, &[&sealed.row, &sealed.tail, &sealed.body, &entry.list]).await? > 0;
        if changed {
            finish(conn, &self.db, &audit).await?;
        }
        Ok(changed)
    }

    async fn remove_entry(&self, list: &str, id: Id, audit: AuditEntry) -> Result<bool> {
        let conn = changing(&self.db).await?;
        let sql = "DELETE FROM list_entries WHERE key = $1 AND tail = $2 \
             AND batch IN (SELECT batch FROM list_batches WHERE list = $3)";
        let gone = conn.run(sql, &[&id.row(), &id.tail().cast_signed(), &list]).await? > 0;
        if gone {
            conn.run("DELETE FROM hits WHERE id = $1", &[&id.show(IdKind::Entry)]).await?;
            finish(conn, &self.db, &audit).await?;
        }
        Ok(gone)
    }

    async fn import_entries(
        &self,
        list: &str,
        replace: bool,
        entries: Vec<ListEntry>,
        audit: AuditEntry,
    ) -> Result<()> {
        if entries.iter().any(|entry| entry.list != list) {
            return Err(StoreError::Corrupt("an entry of another list in an import".to_owned()));
        }
        let batch = new_batch(&mut self.db.soon().await?, None).await?;
        for piece in entries.chunks(PIECE) {
            let sealed = piece
                .iter()
                .map(|entry| setup::seal_entry(&self.db.vault, entry))
                .collect::<Result<Vec<_>>>()?;
            insert(&mut self.db.soon().await?, batch, &sealed).await?;
        }
        let conn = changing(&self.db).await?;
        if replace {
            conn.run("DELETE FROM list_batches WHERE list = $1", &[&list]).await?;
        }
        if conn.run("UPDATE list_batches SET list = $2 WHERE batch = $1", &[&batch, &list]).await? != 1 {
            return Err(StoreError::Unavailable("the import took so long that it was swept away".to_owned()));
        }
        finish(conn, &self.db, &audit).await
    }

    async fn sweep_entries(&self, lists: Vec<String>) -> Result<bool> {
        sweep(&self.db, &lists).await
    }

    async fn note_hits(&self, mut hits: Vec<Hits>) -> Result<()> {
        hits.sort_by(|a, b| a.id.cmp(&b.id));
        let sql = "INSERT INTO hits AS h (id, hits, enforced, last) VALUES ($1, $2, $3, $4) ON CONFLICT (id) \
             DO UPDATE SET hits = h.hits + excluded.hits, enforced = h.enforced + excluded.enforced, \
             last = greatest(h.last, excluded.last)";
        let mut conn = self.db.soon().await?;
        conn.begin().await?;
        for one in hits {
            let (all, enforced) = (one.hits.cast_signed(), one.enforced.cast_signed());
            conn.run(sql, &[&one.id, &all, &enforced, &one.last.as_millis()]).await?;
        }
        conn.commit().await
    }

    async fn hits(&self, from: &str, to: &str) -> Result<Vec<Hits>> {
        let sql = "SELECT id, hits, enforced, last FROM hits WHERE id >= $1 AND id <= $2 ORDER BY id";
        let rows = self.db.patient().await?.rows(sql, &[&from, &to]).await?;
        let read = |row: &Row| {
            Ok(Hits {
                id: row.try_get(0)?,
                hits: row.try_get::<_, i64>(1)?.cast_unsigned(),
                enforced: row.try_get::<_, i64>(2)?.cast_unsigned(),
                last: Timestamp::from_millis(row.try_get(3)?),
            })
        };
        rows.iter().map(read).collect()
    }
}
