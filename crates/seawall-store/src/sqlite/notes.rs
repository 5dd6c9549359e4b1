//! Notes about numbers: by keyed hash of the number, by kind, by instant. What they say is sealed.

use rusqlite::{OptionalExtension, Row, params};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use async_trait::async_trait;

use super::SqliteStore;
use super::codec::number_hash;
use super::db::View;
use super::writer::Turn;
use crate::Result;
use crate::notes::{Note, Notes};
use crate::records::Page;
use crate::sealed::setup;

const COLUMNS: &str = "row, tail, kind, scope, at, body FROM notes";

fn read(view: View<'_>, r: &Row<'_>) -> Result<Note> {
    let id = (r.get(0)?, r.get(1)?);
    setup::open_note(view.vault(), id, r.get(2)?, r.get(3)?, r.get(4)?, &r.get::<_, Vec<u8>>(5)?)
}

fn all(view: View<'_>, rest: &str, values: impl rusqlite::Params) -> Result<Vec<Note>> {
    let mut select = view.conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE {rest}"))?;
    let mut rows = select.query(values)?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(read(view, r)?);
    }
    Ok(found)
}

fn keep(turn: &Turn<'_>, mut note: Note) -> Result<Note> {
    let (conn, vault) = (turn.view.conn, turn.view.vault());
    let number = number_hash(vault, note.number);
    let there: Option<(i64, i64)> = conn
        .prepare_cached("SELECT row, tail FROM notes WHERE number = ?1 AND kind = ?2 AND scope = ?3")?
        .query_row(params![number, note.kind, note.scope], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    if let Some((row, tail)) = there {
        note.id = Id::new(row, tail.cast_unsigned());
    }
    let row = note.id.row();
    let sealed = setup::seal_note(vault, &note)?;
    let sql = "INSERT OR REPLACE INTO notes (row, tail, kind, number, scope, at, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (tail, at) = (note.id.tail().cast_signed(), note.when.as_millis());
    conn.prepare_cached(sql)?.execute(params![row, tail, note.kind, number, note.scope, at, sealed])?;
    Ok(note)
}

/// Replaces a note that still says what `before` does.
fn swap(turn: &Turn<'_>, before: &Note, after: &Note) -> Result<bool> {
    let conn = turn.view.conn;
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE row = ?1 AND kind = ?2"))?;
    let mut rows = select.query(params![before.id.row(), before.kind])?;
    let there = rows.next()?.map(|row| read(turn.view, row)).transpose()?;
    drop(rows);
    if there.as_ref() != Some(before) {
        return Ok(false);
    }
    let sealed = setup::seal_note(turn.view.vault(), after)?;
    let sql = "UPDATE notes SET at = ?1, body = ?2 WHERE row = ?3";
    let changed =
        conn.prepare_cached(sql)?.execute(params![after.when.as_millis(), sealed, before.id.row()])?;
    Ok(changed > 0)
}

const DROP: &str = "DELETE FROM notes WHERE row = ?1 AND tail = ?2 AND kind = ?3";

fn drop_one(turn: &Turn<'_>, kind: &str, id: Id) -> Result<usize> {
    let values = params![id.row(), id.tail().cast_signed(), kind];
    Ok(turn.view.conn.prepare_cached(DROP)?.execute(values)?)
}

/// Deletes every note about a number. Returns how many.
pub(super) fn erase(turn: &Turn<'_>, number: i64) -> Result<u64> {
    let gone = turn.view.conn.prepare_cached("DELETE FROM notes WHERE number = ?1")?.execute([number])?;
    Ok(u64::try_from(gone).unwrap_or(0))
}

#[async_trait]
impl Notes for SqliteStore {
    async fn keep_notes(&self, notes: Vec<Note>) -> Result<Vec<Note>> {
        self.db.write(notes.len(), move |turn| notes.into_iter().map(|note| keep(turn, note)).collect()).await
    }

    async fn swap_note(&self, before: Note, after: Note) -> Result<bool> {
        self.db.write(1, move |turn| swap(turn, &before, &after)).await
    }

    async fn note(&self, kind: &str, id: Id) -> Result<Option<Note>> {
        let kind = kind.to_owned();
        let found =
            self.db.point(move |view| all(view, "row = ?1 AND kind = ?2", params![id.row(), kind])).await?;
        Ok(found.into_iter().find(|note| note.id == id))
    }

    async fn notes_of(&self, kind: &str, number: Msisdn) -> Result<Vec<Note>> {
        let kind = kind.to_owned();
        let of = move |view: View<'_>| {
            let number = number_hash(view.vault(), number);
            all(view, "number = ?1 AND kind = ?2 ORDER BY row", params![number, kind])
        };
        self.db.point(of).await
    }

    async fn notes(&self, kind: &str, page: Page) -> Result<Vec<Note>> {
        let kind = kind.to_owned();
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let before = page.before.unwrap_or(i64::MAX);
        let rest = "kind = ?1 AND row < ?2 ORDER BY row DESC LIMIT ?3";
        self.db.list(move |view| all(view, rest, params![kind, before, limit])).await
    }

    async fn notes_until(&self, kind: &str, until: Timestamp, limit: usize) -> Result<Vec<Note>> {
        let kind = kind.to_owned();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rest = "kind = ?1 AND at <= ?2 ORDER BY at, row LIMIT ?3";
        self.db.list(move |view| all(view, rest, params![kind, until.as_millis(), limit])).await
    }

    async fn drop_note(&self, kind: &str, id: Id) -> Result<bool> {
        let kind = kind.to_owned();
        self.db.write(1, move |turn| Ok(drop_one(turn, &kind, id)? > 0)).await
    }

    async fn drop_notes(&self, kind: &str, ids: Vec<Id>) -> Result<u64> {
        let kind = kind.to_owned();
        self.db
            .write(ids.len(), move |turn| {
                let mut gone = 0u64;
                for id in &ids {
                    gone += u64::from(drop_one(turn, &kind, *id)? > 0);
                }
                Ok(gone)
            })
            .await
    }
}
