//! The stream that detection folds: one sealed row for what came together in a second. It is kept until a
//! snapshot holds it.

use rusqlite::params;

use super::db::View;
use super::writer::Turn;
use crate::Result;
use crate::vault::Place;

const PLACE: [u8; 2] = *b"ev";
/// Batches read at once.
const CHUNK: i64 = 256;

/// Appends a batch and gives its number.
pub(super) fn append(turn: &mut Turn<'_>, batch: &[u8]) -> Result<u64> {
    let conn = turn.view.conn;
    // AUTOINCREMENT: a number is never used again, though the rows below it are forgotten.
    conn.prepare_cached("INSERT INTO evidence (body) VALUES (x'')")?.execute([])?;
    let seq = conn.last_insert_rowid();
    let sealed = turn.view.vault().seal(Place::new(PLACE, seq), batch)?;
    conn.prepare_cached("UPDATE evidence SET body = ?2 WHERE seq = ?1")?.execute(params![seq, sealed])?;
    Ok(seq.cast_unsigned())
}

/// The next batches after a number.
pub(super) fn after(view: View<'_>, seq: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let sql = "SELECT seq, body FROM evidence WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut select = view.conn.prepare_cached(sql)?;
    let mut rows = select.query(params![seq.cast_signed(), CHUNK])?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let plain = view.vault().open_sealed(Place::new(PLACE, seq), &row.get::<_, Vec<u8>>(1)?)?;
        batches.push((seq.cast_unsigned(), plain));
    }
    Ok(batches)
}

/// Forgets batches up to and including a number.
pub(super) fn forget(turn: &mut Turn<'_>, up_to: u64) -> Result<()> {
    let sql = "DELETE FROM evidence WHERE seq <= ?1";
    turn.view.conn.prepare_cached(sql)?.execute([up_to.cast_signed()])?;
    Ok(())
}
