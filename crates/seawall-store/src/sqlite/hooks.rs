//! Webhook deliveries that wait. When each is due is known in memory, so the table needs no index; a lease
//! lives in memory too, since a restart may deliver twice anyway.

use rusqlite::{OptionalExtension, Row, params};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::db::View;
use super::writer::Turn;
use crate::Result;
use crate::records::{Cursor, Erasing, HookDelivery};
use crate::sealed::hooks::{SealedHook, about, open};

/// Writes deliveries; one that is there already stays.
pub(super) fn insert(turn: &mut Turn<'_>, hooks: Vec<SealedHook>) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO hooks (row, tail, due, tries, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    for hook in hooks {
        let row = hook.id.row();
        let mut insert = turn.view.conn.prepare_cached(sql)?;
        let new =
            insert.execute(params![row, hook.id.tail().cast_signed(), hook.due, hook.tries, hook.body])? == 1;
        if new {
            turn.hot().hooks.set(row, Some(hook.due));
            turn.on_rollback(move |hot| {
                hot.hooks.set(row, None);
            });
        }
    }
    Ok(())
}

/// Reads deliveries that were leased in memory.
pub(super) fn read(view: View<'_>, rows: &[i64]) -> Result<Vec<HookDelivery>> {
    let mut select =
        view.conn.prepare_cached("SELECT row, tail, due, tries, body FROM hooks WHERE row = ?1")?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        type Raw = (i64, i64, i64, u8, Vec<u8>);
        let raw = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?));
        let Some((row, tail, due, tries, sealed)): Option<Raw> = select.query_row([row], raw).optional()?
        else {
            continue;
        };
        found.push(open(view.vault(), row, tail, due, tries, &sealed)?);
    }
    Ok(found)
}

/// Ends a delivery or puts it off.
pub(super) fn settle(turn: &mut Turn<'_>, id: Id, again_at: Option<Timestamp>) -> Result<()> {
    let (row, tail, due) = (id.row(), id.tail().cast_signed(), again_at.map(Timestamp::as_millis));
    let conn = turn.view.conn;
    let changed = match due {
        None => {
            conn.prepare_cached("DELETE FROM hooks WHERE row = ?1 AND tail = ?2")?.execute([row, tail])?
        }
        Some(due) => conn
            .prepare_cached(
                "UPDATE hooks SET due = ?3, tries = min(tries + 1, 255) WHERE row = ?1 AND tail = ?2",
            )?
            .execute([row, tail, due])?,
    };
    if changed == 1 {
        let before = turn.hot().hooks.set(row, due);
        turn.on_rollback(move |hot| {
            hot.hooks.set(row, before);
        });
    }
    Ok(())
}

/// Deletes deliveries about a number among the next ones; sets the cursor behind them.
pub(super) fn erase(
    turn: &mut Turn<'_>,
    number: Msisdn,
    from: i64,
    limit: i64,
    next: &mut Erasing,
) -> Result<()> {
    let conn = turn.view.conn;
    let mut select =
        conn.prepare_cached("SELECT row, body FROM hooks WHERE row > ?1 ORDER BY row LIMIT ?2")?;
    let rows = select.query_map([from, limit], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for (row, sealed) in &rows {
        let row = *row;
        if !about(turn.view.vault(), row, sealed, number)? {
            continue;
        }
        conn.prepare_cached("DELETE FROM hooks WHERE row = ?1")?.execute([row])?;
        let before = turn.hot().hooks.set(row, None);
        turn.on_rollback(move |hot| {
            hot.hooks.set(row, before);
        });
        next.erased.hooks += 1;
    }
    next.cursor = rows.last().map_or(Cursor::Done, |(row, _)| Cursor::Hooks(*row));
    Ok(())
}
