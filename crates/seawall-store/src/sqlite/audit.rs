//! The audit log as a chain, see [`chain`].

use rusqlite::{Connection, OptionalExtension, params};

use super::db::View;
use super::writer::Turn;
use crate::Result;
use crate::audit::AuditChain;
use crate::records::AuditEntry;
use crate::sealed::chain::{self, CUT, END, Walk};

fn mark(conn: &Connection, name: &str) -> Result<Option<Vec<u8>>> {
    let mut select = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(select.query_row([name], |r| r.get(0)).optional()?)
}

fn set_mark(conn: &Connection, name: &str, mark: &[u8]) -> Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![name, mark])?;
    Ok(())
}

/// Writes an entry behind the newest.
pub(super) fn write(turn: &Turn<'_>, row: i64, entry: &AuditEntry) -> Result<()> {
    let conn = turn.view.conn;
    let newest = conn
        .prepare_cached("SELECT row, body FROM audit ORDER BY row DESC LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let end = mark(conn, END)?;
    let written = chain::seal_audit(turn.view.vault(), row, entry, end.as_deref(), newest)?;
    let sql = "INSERT INTO audit (row, body) VALUES (?1, ?2)";
    conn.prepare_cached(sql)?.execute(params![row, written.body])?;
    set_mark(conn, END, &written.end)
}

/// Takes some of the oldest entries below a row, and notes where the rest begins; how many.
pub(super) fn prune(turn: &Turn<'_>, until: i64, most: i64) -> Result<u64> {
    let conn = turn.view.conn;
    let sql = "SELECT row, body FROM (SELECT row, body FROM audit WHERE row < ?1 ORDER BY row LIMIT ?2) \
         ORDER BY row DESC LIMIT 1";
    let last: Option<(i64, Vec<u8>)> =
        conn.prepare_cached(sql)?.query_row([until, most], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
    let Some((row, body)) = last else { return Ok(0) };
    if let Some(mark) = chain::cut(turn.view.vault(), row, &body) {
        set_mark(conn, CUT, &mark)?;
    }
    let gone = conn.prepare_cached("DELETE FROM audit WHERE row <= ?1")?.execute([row])?;
    Ok(u64::try_from(gone).unwrap_or(0))
}

/// Goes through the whole log.
pub(super) fn look(view: View<'_>, noted: Option<String>) -> Result<AuditChain> {
    let conn = view.conn;
    // One transaction: entries that come meanwhile are not seen in part. The writer's turn is one already.
    let _tx = conn.is_autocommit().then(|| conn.unchecked_transaction()).transpose()?;
    let (end, cut) = (mark(conn, END)?, mark(conn, CUT)?);
    let mut walk = Walk::new(view.vault(), noted, end.as_deref(), cut.as_deref());
    let mut select = conn.prepare("SELECT row, body FROM audit ORDER BY row")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        walk.entry(row.get(0)?, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
    }
    Ok(walk.finish())
}
