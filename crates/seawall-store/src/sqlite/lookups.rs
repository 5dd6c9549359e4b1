//! What lookup providers said of numbers, and what the operator corrected: by keyed hash of the number and by
//! subaccount, so that no subaccount learns what another one asked for.

use rusqlite::{OptionalExtension, params};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::codec::number_hash;
use super::db::View;
use super::writer::Turn;
use crate::Result;
use crate::records::Looked;
use crate::sealed::setup;

/// What is kept of a number for a subaccount.
pub(super) fn get(view: View<'_>, number: Msisdn, sub: &str) -> Result<Option<Looked>> {
    let number = number_hash(view.vault(), number);
    let sql = "SELECT body FROM lookups WHERE number = ?1 AND sub = ?2";
    let sealed: Option<Vec<u8>> =
        view.conn.prepare_cached(sql)?.query_row(params![number, sub], |r| r.get(0)).optional()?;
    sealed.map(|sealed| setup::open_looked(view.vault(), number, &sealed)).transpose()
}

/// Replaces it; an empty one is deleted.
pub(super) fn set(turn: &Turn<'_>, number: Msisdn, sub: &str, looked: &Looked, at: Timestamp) -> Result<()> {
    let number = number_hash(turn.view.vault(), number);
    if *looked == Looked::default() {
        let sql = "DELETE FROM lookups WHERE number = ?1 AND sub = ?2";
        turn.view.conn.prepare_cached(sql)?.execute(params![number, sub])?;
        return Ok(());
    }
    let sealed = setup::seal_looked(turn.view.vault(), number, looked)?;
    let sql = "INSERT OR REPLACE INTO lookups (number, sub, at, body) VALUES (?1, ?2, ?3, ?4)";
    turn.view.conn.prepare_cached(sql)?.execute(params![number, sub, at.as_millis(), sealed])?;
    Ok(())
}

/// Deletes what was said before `cutoff`; corrections, which no subaccount holds, stay. Returns how many.
pub(super) fn prune(turn: &Turn<'_>, cutoff: i64, limit: i64) -> Result<u64> {
    let sql = "DELETE FROM lookups WHERE (number, sub) IN \
         (SELECT number, sub FROM lookups WHERE at < ?1 AND sub <> '' ORDER BY at LIMIT ?2)";
    let gone = turn.view.conn.prepare_cached(sql)?.execute([cutoff, limit])?;
    Ok(u64::try_from(gone).unwrap_or(0))
}
