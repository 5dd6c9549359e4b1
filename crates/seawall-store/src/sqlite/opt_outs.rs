//! Numbers that want no more messages. All of them are known in memory, so that a send asks no table.

use rusqlite::{Row, params};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::codec::{damaged, number_hash};
use super::db::View;
use super::documents::write_audit;
use super::messages::Conditions;
use super::writer::Turn;
use crate::Result;
use crate::records::{AuditEntry, OptOut, Page};
use crate::vault::Place;

const PLACE: [u8; 2] = *b"oo";

#[derive(Serialize, Deserialize)]
struct Body {
    n: u64,
    s: String,
    t: Option<String>,
    a: i64,
}

const COLUMNS: &str = "row, tail, sub, body FROM opt_outs";

fn read(view: View<'_>, r: &Row<'_>) -> Result<OptOut> {
    let row: i64 = r.get(0)?;
    let plain = view.vault().open_sealed(Place::new(PLACE, row), &r.get::<_, Vec<u8>>(3)?)?;
    let body: Body = serde_json::from_slice(&plain)?;
    Ok(OptOut {
        id: Id::new(row, r.get::<_, i64>(1)?.cast_unsigned()),
        msisdn: Msisdn::from_u64(body.n).ok_or_else(|| damaged("a number"))?,
        subaccount: r.get(2)?,
        source: body.s,
        note: body.t,
        at: Timestamp::from_millis(body.a),
    })
}

/// Whether messages of a subaccount are unwanted.
pub(super) fn opted_out(view_hot: &super::hot::Hot, number: i64, subaccount: &str) -> bool {
    let entries = view_hot.opt_outs.get(&number);
    entries.is_some_and(|all| all.iter().any(|s| s.as_deref().is_none_or(|s| s == subaccount)))
}

/// Adds an entry, or returns the one that is there.
pub(super) fn add(turn: &mut Turn<'_>, entry: OptOut, audit: &AuditEntry) -> Result<OptOut> {
    let number = number_hash(turn.view.vault(), entry.msisdn);
    let known = turn.hot().opt_outs.get(&number).is_some_and(|all| all.contains(&entry.subaccount));
    if known {
        let sql = format!("SELECT {COLUMNS} WHERE number = ?1 AND sub IS ?2");
        let mut select = turn.view.conn.prepare_cached(&sql)?;
        let mut rows = select.query(params![number, entry.subaccount])?;
        if let Some(r) = rows.next()? {
            return read(turn.view, r);
        }
    }
    let body = Body {
        n: entry.msisdn.as_u64(),
        s: entry.source.clone(),
        t: entry.note.clone(),
        a: entry.at.as_millis(),
    };
    let row = entry.id.row();
    let sealed = turn.view.vault().seal(Place::new(PLACE, row), &serde_json::to_vec(&body)?)?;
    let sql = "INSERT INTO opt_outs (row, tail, number, sub, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let tail = entry.id.tail().cast_signed();
    turn.view.conn.prepare_cached(sql)?.execute(params![row, tail, number, entry.subaccount, sealed])?;
    write_audit(turn, audit)?;
    let before = turn.hot().opt_outs.get(&number).cloned();
    turn.hot().opt_outs.entry(number).or_default().push(entry.subaccount.clone());
    restore_on_rollback(turn, number, before);
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
    let row = entry.id.row();
    let body = Body { n: entry.msisdn.as_u64(), s: entry.source, t: entry.note, a: entry.at.as_millis() };
    let sealed = turn.view.vault().seal(Place::new(PLACE, row), &serde_json::to_vec(&body)?)?;
    let sql = "UPDATE opt_outs SET body = ?2 WHERE row = ?1";
    turn.view.conn.prepare_cached(sql)?.execute(params![row, sealed])?;
    Ok(())
}

/// Removes entries of a number: one subaccount's, or all.
pub(super) fn remove(
    turn: &mut Turn<'_>,
    msisdn: Msisdn,
    subaccount: Option<&str>,
    audit: &AuditEntry,
) -> Result<usize> {
    let number = number_hash(turn.view.vault(), msisdn);
    let sql = "DELETE FROM opt_outs WHERE number = ?1 AND (?2 IS NULL OR sub = ?2)";
    let gone = turn.view.conn.prepare_cached(sql)?.execute(params![number, subaccount])?;
    if gone == 0 {
        return Ok(0);
    }
    write_audit(turn, audit)?;
    let before = turn.hot().opt_outs.remove(&number);
    let left: Vec<_> = before
        .iter()
        .flatten()
        .filter(|entry| subaccount.is_some() && entry.as_deref() != subaccount)
        .cloned()
        .collect();
    if !left.is_empty() {
        turn.hot().opt_outs.insert(number, left);
    }
    restore_on_rollback(turn, number, before);
    Ok(gone)
}

fn restore_on_rollback(turn: &mut Turn<'_>, number: i64, before: Option<Vec<Option<String>>>) {
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
