//! Notes about numbers: by keyed hash of the number, by kind, by instant. What they say is sealed.

use async_trait::async_trait;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::conn::{Conn, Db, Values};
use crate::Result;
use crate::notes::{Note, Notes};
use crate::records::Page;
use crate::sealed::{number_hash, setup};

async fn all(db: &Db, rest: &str, values: Values<'_>) -> Result<Vec<Note>> {
    let sql = format!("SELECT key, tail, kind, scope, at, body FROM notes WHERE {rest}");
    let rows = db.soon().await?.rows(&sql, values).await?;
    rows.iter().map(|row| open(db, row)).collect()
}

fn open(db: &Db, row: &Row) -> Result<Note> {
    let id = (row.try_get(0)?, row.try_get(1)?);
    setup::open_note(&db.vault, id, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?)
}

async fn keep(db: &Db, conn: &mut Conn, mut note: Note) -> Result<Note> {
    let number = number_hash(&db.vault, note.number);
    conn.lock_number(number).await?;
    let sql = "SELECT key, tail FROM notes WHERE number = $1 AND kind = $2 AND scope = $3";
    if let Some(row) = conn.row(sql, &[&number, &note.kind, &note.scope]).await? {
        note.id = Id::new(row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned());
    }
    let (key, tail, at) = (note.id.row(), note.id.tail().cast_signed(), note.when.as_millis());
    let body = setup::seal_note(&db.vault, &note)?;
    let sql = "INSERT INTO notes (key, tail, kind, number, scope, at, body) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (number, kind, scope) DO UPDATE SET at = excluded.at, body = excluded.body";
    conn.run(sql, &[&key, &tail, &note.kind, &number, &note.scope, &at, &body]).await?;
    Ok(note)
}

#[async_trait]
impl Notes for PostgresStore {
    async fn keep_notes(&self, notes: Vec<Note>) -> Result<Vec<Note>> {
        let mut conn = self.db.soon().await?;
        conn.begin().await?;
        // In one order on all nodes, so that none waits for the other in a circle.
        let mut order: Vec<(i64, usize, Note)> = notes
            .into_iter()
            .enumerate()
            .map(|(at, note)| (number_hash(&self.db.vault, note.number), at, note))
            .collect();
        order.sort_by_key(|(number, at, _)| (*number, *at));
        let mut kept = Vec::with_capacity(order.len());
        for (_, at, note) in order {
            kept.push((at, keep(&self.db, &mut conn, note).await?));
        }
        conn.commit().await?;
        kept.sort_by_key(|(at, _)| *at);
        Ok(kept.into_iter().map(|(_, note)| note).collect())
    }

    async fn swap_note(&self, before: Note, after: Note) -> Result<bool> {
        let mut conn = self.db.soon().await?;
        conn.begin().await?;
        let sql =
            "SELECT key, tail, kind, scope, at, body FROM notes WHERE key = $1 AND kind = $2 FOR UPDATE";
        let row = conn.row(sql, &[&before.id.row(), &before.kind]).await?;
        let there = row.as_ref().map(|row| open(&self.db, row)).transpose()?;
        if there.as_ref() != Some(&before) {
            return Ok(false);
        }
        let sealed = setup::seal_note(&self.db.vault, &after)?;
        let sql = "UPDATE notes SET at = $1, body = $2 WHERE key = $3";
        conn.run(sql, &[&after.when.as_millis(), &sealed, &before.id.row()]).await?;
        conn.commit().await?;
        Ok(true)
    }

    async fn note(&self, kind: &str, id: Id) -> Result<Option<Note>> {
        let found = all(&self.db, "key = $1 AND kind = $2", &[&id.row(), &kind]).await?;
        Ok(found.into_iter().find(|note| note.id == id))
    }

    async fn notes_of(&self, kind: &str, number: Msisdn) -> Result<Vec<Note>> {
        let number = number_hash(&self.db.vault, number);
        all(&self.db, "number = $1 AND kind = $2 ORDER BY key", &[&number, &kind]).await
    }

    async fn notes(&self, kind: &str, page: Page) -> Result<Vec<Note>> {
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let before = page.before.unwrap_or(i64::MAX);
        let rest = "kind = $1 AND key < $2 ORDER BY key DESC LIMIT $3";
        all(&self.db, rest, &[&kind, &before, &limit]).await
    }

    async fn notes_until(&self, kind: &str, until: Timestamp, limit: usize) -> Result<Vec<Note>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rest = "kind = $1 AND at <= $2 ORDER BY at, key LIMIT $3";
        all(&self.db, rest, &[&kind, &until.as_millis(), &limit]).await
    }

    async fn drop_note(&self, kind: &str, id: Id) -> Result<bool> {
        let sql = "DELETE FROM notes WHERE key = $1 AND tail = $2 AND kind = $3";
        let values: Values<'_> = &[&id.row(), &id.tail().cast_signed(), &kind];
        Ok(self.db.soon().await?.run(sql, values).await? > 0)
    }
    async fn drop_notes(&self, kind: &str, ids: Vec<Id>) -> Result<u64> {
        let rows: Vec<i64> = ids.iter().map(|id| id.row()).collect();
        let tails: Vec<i64> = ids.iter().map(|id| id.tail().cast_signed()).collect();
        let sql = "DELETE FROM notes USING unnest($1::bigint[], $2::bigint[]) AS gone (key, tail) \
             WHERE notes.key = gone.key AND notes.tail = gone.tail AND kind = $3";
        self.db.soon().await?.run(sql, &[&rows, &tails, &kind]).await
    }
}
