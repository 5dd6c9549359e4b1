//! Numbers that want no more messages. All of them are known in memory, so that a send asks no table.

use rusqlite::{Connection, Row, params};
use seawall_core::consent::OptOutScope;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::codec::number_hash;
use super::db::View;
use super::documents::write_audit;
use super::hot::Hot;
use super::messages::Conditions;
use super::writer::Turn;
use crate::Result;
use crate::records::{AuditEntry, OptOut, Page};
use crate::sealed::setup;
use crate::vault::Vault;

const COLUMNS: &str = "row, tail, sub, body FROM opt_outs";

fn read(view: View<'_>, r: &Row<'_>) -> Result<OptOut> {
    setup::open_opt_out(view.vault(), r.get(0)?, r.get(1)?, r.get(2)?, &r.get::<_, Vec<u8>>(3)?)
}

/// Reads them at a start. Only narrow ones have to be opened.
pub(super) fn load(conn: &Connection, vault: &Vault, hot: &mut Hot) -> Result<()> {
    let sql = "SELECT number, sub, row, CASE WHEN narrow THEN body END FROM opt_outs";
    let mut select = conn.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let scope = match r.get::<_, Option<Vec<u8>>>(3)? {
            None => OptOutScope { subaccount: r.get(1)?, ..OptOutScope::default() },
            Some(sealed) => setup::open_opt_out(vault, r.get(2)?, 0, r.get(1)?, &sealed)?.scope,
        };
        hot.opt_outs.entry(r.get(0)?).or_default().push(scope);
    }
    Ok(())
}

/// Adds an entry, or returns the one that reaches as far, with the later end of both.
pub(super) fn add(turn: &mut Turn<'_>, entry: OptOut, audit: &AuditEntry) -> Result<OptOut> {
    let number = number_hash(turn.view.vault(), entry.msisdn);
    let known = turn.hot().opt_outs.get(&number).cloned();
    if known.iter().flatten().any(|scope| scope.reaches_as(&entry.scope)) {
        let there = of_number(turn.view, number)?.into_iter().find(|e| e.scope.reaches_as(&entry.scope));
        if let Some(there) = there {
            return lengthen(turn, number, there, entry.scope.until, audit);
        }
    }
    let sql = "INSERT INTO opt_outs (row, tail, number, sub, narrow, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (row, tail, sealed) =
        (entry.id.row(), entry.id.tail().cast_signed(), setup::seal_opt_out(turn.view.vault(), &entry)?);
    let (sub, narrow) = (&entry.scope.subaccount, entry.scope.is_narrow());
    turn.view.conn.prepare_cached(sql)?.execute(params![row, tail, number, sub, narrow, sealed])?;
    write_audit(turn, audit)?;
    turn.hot().opt_outs.entry(number).or_default().push(entry.scope.clone());
    restore_on_rollback(turn, number, known);
    Ok(entry)
}

/// An entry that is there ends when the new one would, unless it has no end.
fn lengthen(
    turn: &mut Turn<'_>,
    number: i64,
    mut entry: OptOut,
    until: Option<Timestamp>,
    audit: &AuditEntry,
) -> Result<OptOut> {
    if entry.scope.until.is_none() || entry.scope.until == until {
        return Ok(entry);
    }
    let before = turn.hot().opt_outs.get(&number).cloned();
    for scope in turn.hot().opt_outs.entry(number).or_default() {
        if scope.reaches_as(&entry.scope) {
            scope.until = until;
        }
    }
    restore_on_rollback(turn, number, before);
    entry.scope.until = until;
    rewrite(turn, entry.clone())?;
    write_audit(turn, audit)?;
    Ok(entry)
}

/// Entries of a number by its keyed hash.
pub(super) fn of_number(view: View<'_>, number: i64) -> Result<Vec<OptOut>> {
    let mut select = view.conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE number = ?1"))?;
    let mut rows = select.query([number])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(read(view, r)?);
    }
    Ok(found)
}

/// Writes what an entry says anew. It stays in force for the number whose keyed hash stands in its row.
pub(super) fn rewrite(turn: &Turn<'_>, entry: OptOut) -> Result<()> {
    let sql = "UPDATE opt_outs SET body = ?2, narrow = ?3 WHERE row = ?1";
    let values =
        params![entry.id.row(), setup::seal_opt_out(turn.view.vault(), &entry)?, entry.scope.is_narrow()];
    turn.view.conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Removes the entry of a number that reaches as far as a scope, or all of them.
pub(super) fn remove(
    turn: &mut Turn<'_>,
    msisdn: Msisdn,
    scope: Option<&OptOutScope>,
    audit: &AuditEntry,
) -> Result<usize> {
    let number = number_hash(turn.view.vault(), msisdn);
    let gone = |own: &OptOutScope| scope.is_none_or(|scope| scope.reaches_as(own));
    let mut removed = 0;
    for entry in of_number(turn.view, number)?.iter().filter(|entry| gone(&entry.scope)) {
        let sql = "DELETE FROM opt_outs WHERE row = ?1";
        removed += turn.view.conn.prepare_cached(sql)?.execute([entry.id.row()])?;
    }
    if removed == 0 {
        return Ok(0);
    }
    write_audit(turn, audit)?;
    let before = turn.hot().opt_outs.remove(&number);
    let left: Vec<_> = before.iter().flatten().filter(|own| !gone(own)).cloned().collect();
    if !left.is_empty() {
        turn.hot().opt_outs.insert(number, left);
    }
    restore_on_rollback(turn, number, before);
    Ok(removed)
}

fn restore_on_rollback(turn: &mut Turn<'_>, number: i64, before: Option<Vec<OptOutScope>>) {
    turn.on_rollback(move |hot| {
        match before {
            Some(before) => hot.opt_outs.insert(number, before),
            None => hot.opt_outs.remove(&number),
        };
    });
}

/// Entries, newest first.
pub(super) fn list(view: View<'_>, page: Page) -> Result<Vec<OptOut>> {
    let mut conditions = Conditions::default();
    conditions.rows("row", page.before, None, None);
    let mut found = Vec::new();
    conditions.select(view, COLUMNS, "row", page.limit, &mut |r| {
        found.push(read(view, r)?);
        Ok(())
    })?;
    Ok(found)
}
