//! [`Lists`] on SQLite.
//!
//! Entries belong to a batch, and a batch to a list once it is whole: an import is written in pieces that
//! nobody sees, and then one row makes all of it count. What no batch with a list holds is swept away later.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use seawall_core::id::{Id, IdKind};
use seawall_core::time::Timestamp;

use super::SqliteStore;
use super::db::View;
use super::documents::write_audit;
use super::writer::Turn;
use crate::lists::{Hits, ListEntry, Lists};
use crate::records::{AuditEntry, Page};
use crate::sealed::setup::{self, SealedEntry};
use crate::vault::Vault;
use crate::{Result, StoreError};

/// Entries that one turn of the writer takes.
const PIECE: usize = 500;

const COLUMNS: &str =
    "e.row, e.tail, b.list, e.body FROM list_entries e JOIN list_batches b ON b.batch = e.batch";

fn read(view: View<'_>, r: &Row<'_>) -> Result<ListEntry> {
    setup::open_entry(view.vault(), r.get(0)?, r.get(1)?, r.get(2)?, &r.get::<_, Vec<u8>>(3)?)
}

fn list(view: View<'_>, list: Option<&str>, page: Page) -> Result<Vec<ListEntry>> {
    let whose = if list.is_some() { "b.list = ?1" } else { "b.list IS NOT NULL AND ?1 IS NULL" };
    let sql = format!("SELECT {COLUMNS} WHERE {whose} AND e.row < ?2 ORDER BY e.row DESC LIMIT ?3");
    let mut select = view.conn.prepare_cached(&sql)?;
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![list, page.before.unwrap_or(i64::MAX), limit])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(read(view, r)?);
    }
    Ok(found)
}

fn one(view: View<'_>, list: &str, id: Id) -> Result<Option<ListEntry>> {
    let sql = format!("SELECT {COLUMNS} WHERE e.row = ?1 AND e.tail = ?2 AND b.list = ?3");
    let mut select = view.conn.prepare_cached(&sql)?;
    let mut rows = select.query(params![id.row(), id.tail().cast_signed(), list])?;
    rows.next()?.map(|r| read(view, r)).transpose()
}

/// The batch that a list's next entry goes to.
fn open_batch(turn: &Turn<'_>, list: &str) -> Result<i64> {
    let sql = "SELECT max(batch) FROM list_batches WHERE list = ?1";
    let newest: Option<i64> = turn.view.conn.prepare_cached(sql)?.query_row([list], |r| r.get(0))?;
    match newest {
        Some(batch) => Ok(batch),
        None => new_batch(turn, Some(list)),
    }
}

fn new_batch(turn: &Turn<'_>, list: Option<&str>) -> Result<i64> {
    turn.view.conn.prepare_cached("INSERT INTO list_batches (list) VALUES (?1)")?.execute([list])?;
    Ok(turn.view.conn.last_insert_rowid())
}

fn insert(turn: &Turn<'_>, batch: i64, entries: &[SealedEntry]) -> Result<()> {
    let sql = "INSERT INTO list_entries (row, tail, batch, body) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = turn.view.conn.prepare_cached(sql)?;
    for entry in entries {
        insert.execute(params![entry.row, entry.tail, batch, entry.body])?;
    }
    Ok(())
}

fn change(turn: &mut Turn<'_>, list: &str, entry: &SealedEntry, audit: &AuditEntry) -> Result<bool> {
    let sql = "UPDATE list_entries SET body = ?3 WHERE row = ?1 AND tail = ?2 \
         AND batch IN (SELECT batch FROM list_batches WHERE list = ?4)";
    let values = params![entry.row, entry.tail, entry.body, list];
    let changed = turn.view.conn.prepare_cached(sql)?.execute(values)? > 0;
    if changed {
        write_audit(turn, audit)?;
    }
    Ok(changed)
}

fn remove(turn: &mut Turn<'_>, list: &str, id: Id, audit: &AuditEntry) -> Result<bool> {
    let sql = "DELETE FROM list_entries WHERE row = ?1 AND tail = ?2 \
         AND batch IN (SELECT batch FROM list_batches WHERE list = ?3)";
    let values = params![id.row(), id.tail().cast_signed(), list];
    let gone = turn.view.conn.prepare_cached(sql)?.execute(values)? > 0;
    if gone {
        forget_hits(turn, id)?;
        write_audit(turn, audit)?;
    }
    Ok(gone)
}

fn forget_hits(turn: &Turn<'_>, entry: Id) -> Result<()> {
    let sql = "DELETE FROM hits WHERE id = ?1";
    turn.view.conn.prepare_cached(sql)?.execute([entry.show(IdKind::Entry)])?;
    Ok(())
}

/// Makes a whole batch count.
fn publish(turn: &mut Turn<'_>, list: &str, replace: bool, batch: i64, audit: &AuditEntry) -> Result<()> {
    if replace {
        turn.view.conn.prepare_cached("DELETE FROM list_batches WHERE list = ?1")?.execute([list])?;
    }
    let sql = "UPDATE list_batches SET list = ?2 WHERE batch = ?1";
    turn.view.conn.prepare_cached(sql)?.execute(params![batch, list])?;
    write_audit(turn, audit)
}

/// Batches that an import left behind when the process ended.
pub(super) fn forget_unpublished(conn: &Connection) -> Result<()> {
    conn.execute("DELETE FROM list_batches WHERE list IS NULL", [])?;
    Ok(())
}

/// A batch with entries that belongs to no list. Jumps from one batch to the next.
fn orphan(turn: &Turn<'_>) -> Result<Option<i64>> {
    let mut next = turn.view.conn.prepare_cached("SELECT min(batch) FROM list_entries WHERE batch > ?1")?;
    let mut known = turn.view.conn.prepare_cached("SELECT 1 FROM list_batches WHERE batch = ?1")?;
    let mut last = 0;
    while let Some(batch) = next.query_row([last], |r| r.get::<_, Option<i64>>(0))? {
        if known.query_row([batch], |_| Ok(())).optional()?.is_none() {
            return Ok(Some(batch));
        }
        last = batch;
    }
    Ok(None)
}

fn sweep(turn: &Turn<'_>, lists: &[String]) -> Result<bool> {
    let conn = turn.view.conn;
    let mut select = conn.prepare_cached("SELECT DISTINCT list FROM list_batches WHERE list IS NOT NULL")?;
    let all: Vec<String> = select.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    for gone in all.iter().filter(|list| !lists.contains(list)) {
        conn.prepare_cached("DELETE FROM list_batches WHERE list = ?1")?.execute([gone])?;
    }
    let Some(batch) = orphan(turn)? else { return Ok(false) };
    let sql = "SELECT row, tail FROM list_entries WHERE batch = ?1 LIMIT ?2";
    let mut select = conn.prepare_cached(sql)?;
    let values = params![batch, i64::try_from(PIECE).unwrap_or(i64::MAX)];
    let found: Vec<(i64, i64)> =
        select.query_map(values, |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (row, tail) in found {
        conn.prepare_cached("DELETE FROM list_entries WHERE row = ?1")?.execute([row])?;
        forget_hits(turn, Id::new(row, tail.cast_unsigned()))?;
    }
    Ok(true)
}

fn note_hits(turn: &Turn<'_>, hits: &[Hits]) -> Result<()> {
    let sql = "INSERT INTO hits (id, hits, enforced, last) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE \
         SET hits = hits + excluded.hits, enforced = enforced + excluded.enforced, last = max(last, excluded.last)";
    let mut add = turn.view.conn.prepare_cached(sql)?;
    for one in hits {
        let counts = (one.hits.cast_signed(), one.enforced.cast_signed());
        add.execute(params![one.id, counts.0, counts.1, one.last.as_millis()])?;
    }
    Ok(())
}

fn hits(view: View<'_>, from: &str, to: &str) -> Result<Vec<Hits>> {
    let sql = "SELECT id, hits, enforced, last FROM hits WHERE id >= ?1 AND id <= ?2 ORDER BY id";
    let mut select = view.conn.prepare_cached(sql)?;
    let read = |r: &Row<'_>| {
        Ok(Hits {
            id: r.get(0)?,
            hits: r.get::<_, i64>(1)?.cast_unsigned(),
            enforced: r.get::<_, i64>(2)?.cast_unsigned(),
            last: Timestamp::from_millis(r.get(3)?),
        })
    };
    Ok(select.query_map([from, to], read)?.collect::<rusqlite::Result<_>>()?)
}

impl SqliteStore {
    fn vault(&self) -> &Vault {
        &self.db.shared.vault
    }
}

#[async_trait]
impl Lists for SqliteStore {
    async fn entries(&self, of: Option<&str>, page: Page) -> Result<Vec<ListEntry>> {
        let of = of.map(str::to_owned);
        self.db.list(move |view| list(view, of.as_deref(), page)).await
    }

    async fn entry(&self, list: &str, id: Id) -> Result<Option<ListEntry>> {
        let list = list.to_owned();
        self.db.point(move |view| one(view, &list, id)).await
    }

    async fn add_entry(&self, entry: ListEntry, audit: AuditEntry) -> Result<()> {
        let sealed = setup::seal_entry(self.vault(), &entry)?;
        let add = move |turn: &mut Turn<'_>| {
            let batch = open_batch(turn, &entry.list)?;
            insert(turn, batch, &[sealed])?;
            write_audit(turn, &audit)
        };
        self.db.write(2, add).await
    }

    async fn change_entry(&self, entry: ListEntry, audit: AuditEntry) -> Result<bool> {
        let sealed = setup::seal_entry(self.vault(), &entry)?;
        self.db.write(2, move |turn| change(turn, &entry.list, &sealed, &audit)).await
    }

    async fn remove_entry(&self, list: &str, id: Id, audit: AuditEntry) -> Result<bool> {
        let list = list.to_owned();
        self.db.write(3, move |turn| remove(turn, &list, id, &audit)).await
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
        let batch = self.db.write(1, |turn| new_batch(turn, None)).await?;
        for piece in entries.chunks(PIECE) {
            let sealed = piece
                .iter()
                .map(|entry| setup::seal_entry(self.vault(), entry))
                .collect::<Result<Vec<_>>>()?;
            self.db.write(piece.len(), move |turn| insert(turn, batch, &sealed)).await?;
        }
        let list = list.to_owned();
        self.db.write(2, move |turn| publish(turn, &list, replace, batch, &audit)).await
    }

    async fn sweep_entries(&self, lists: Vec<String>) -> Result<bool> {
        self.db.write(PIECE, move |turn| sweep(turn, &lists)).await
    }

    async fn note_hits(&self, hits: Vec<Hits>) -> Result<()> {
        self.db.write(hits.len(), move |turn| note_hits(turn, &hits)).await
    }

    async fn hits(&self, from: &str, to: &str) -> Result<Vec<Hits>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.db.list(move |view| hits(view, &from, &to)).await
    }
}
