//! Decisions: those of messages stand in their bodies, all others in packed batches.

use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use tokio_postgres::Row;

use super::conn::{Conn, Db};
use super::messages;
use super::query::Conditions;
use crate::records::{Cursor, DecisionFilter, DecisionRecord, Erasing, Page};
use crate::sealed::decisions::{SPAN, matches, of_message, oldest, seal, strip_batch, unpack};
use crate::sealed::{marks, number_hash};
use crate::{Result, StoreError};

/// Rows of messages read at once while merging.
const CHUNK: usize = 256;
/// Batches read at once.
const BATCHES: i64 = 32;

/// Writes batches.
pub(super) async fn record(db: &Db, decisions: Vec<DecisionRecord>) -> Result<()> {
    let batches = seal(&db.vault, decisions)?;
    let firsts: Vec<i64> = batches.iter().map(|batch| batch.first).collect();
    let lasts: Vec<i64> = batches.iter().map(|batch| batch.last).collect();
    let bodies: Vec<&[u8]> = batches.iter().map(|batch| batch.body.as_slice()).collect();
    // Written again when the answer to the first time was lost: what is there is the same.
    let sql = "INSERT INTO decision_batches (first, last, body) \
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) ON CONFLICT (first) DO NOTHING";
    db.soon().await?.run(sql, &[&firsts, &lasts, &bodies]).await.map(drop)
}

fn open(db: &Db, row: &Row) -> Result<Vec<DecisionRecord>> {
    unpack(&db.vault, row.try_get(0)?, row.try_get(2)?)
}

/// One decision.
pub(super) async fn get(db: &Db, id: Id) -> Result<Option<DecisionRecord>> {
    let mut conn = db.patient().await?;
    if let Some(message) = messages::get(&mut conn, &db.vault, None, id).await? {
        return of_message(message).map(Some);
    }
    let sql = "SELECT first, last, body FROM decision_batches WHERE first <= $1 AND first >= $2 AND last >= $1 \
         ORDER BY first DESC";
    let rows = conn.rows(sql, &[&id.row(), &(id.row() - SPAN)]).await?;
    for row in &rows {
        if let Some(found) = open(db, row)?.into_iter().find(|d| d.id == id) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Decisions of both kinds, newest first.
pub(super) async fn list(db: &Db, filter: &DecisionFilter, page: Page) -> Result<Vec<DecisionRecord>> {
    let mut conn = db.patient().await?;
    let mut found = of_messages(&mut conn, db, filter, page).await?;
    // Once the page is full of messages, batches matter only above the oldest of them.
    let floor =
        if found.len() < page.limit { i64::MIN } else { found.last().map_or(i64::MIN, |d| d.id.row()) };
    found.extend(of_batches(&mut conn, db, filter, page, floor).await?);
    found.sort_unstable_by_key(|d| std::cmp::Reverse(d.id));
    found.truncate(page.limit);
    Ok(found)
}

async fn of_messages(
    conn: &mut Conn,
    db: &Db,
    filter: &DecisionFilter,
    page: Page,
) -> Result<Vec<DecisionRecord>> {
    let (mut found, mut before) = (Vec::new(), page.before);
    let wanted = marks::wanted(&db.vault, filter);
    loop {
        let mut conditions = Conditions::default();
        conditions.keys(before, filter.from, filter.to_time);
        if let Some(subaccount) = &filter.subaccount {
            conditions.and("sub = ?", subaccount.clone());
        }
        if let Some(to) = filter.to {
            conditions.and("number = ?", number_hash(&db.vault, to));
        }
        if wanted != 0 {
            conditions.raw(&format!("marks & {wanted} = {wanted}"));
        }
        let rows = conditions.newest(conn, &format!("{} FROM messages", messages::COLUMNS), CHUNK).await?;
        for row in &rows {
            let message = messages::read(&db.vault, row)?;
            before = Some(message.id.row());
            let erased = filter.to.is_some() && message.to == Msisdn::ERASED;
            let decision = of_message(message)?;
            // The column was compared already, so the hash in the body need not be.
            if found.len() < page.limit && !erased && matches(filter, page, None, &decision) {
                found.push(decision);
            }
        }
        if rows.len() < CHUNK || found.len() >= page.limit {
            return Ok(found);
        }
    }
}

async fn of_batches(
    conn: &mut Conn,
    db: &Db,
    filter: &DecisionFilter,
    page: Page,
    floor: i64,
) -> Result<Vec<DecisionRecord>> {
    let from = filter.from.map_or(floor, |from| floor.max(Id::first_row(from)));
    let mut below = filter.to_time.map_or(i64::MAX, Id::first_row).min(page.before.unwrap_or(i64::MAX));
    let to_hash = filter.to.map(|to| number_hash(&db.vault, to).cast_unsigned());
    let mut found: Vec<DecisionRecord> = Vec::new();
    loop {
        let needed = if found.len() < page.limit { from } else { oldest(&mut found, page.limit).max(from) };
        let sql = "SELECT first, last, body FROM decision_batches WHERE first < $1 AND first >= $2 AND last >= $3 \
             ORDER BY first DESC LIMIT $4";
        let rows = conn.rows(sql, &[&below, &needed.saturating_sub(SPAN), &needed, &BATCHES]).await?;
        for row in &rows {
            found.extend(open(db, row)?.into_iter().filter(|d| matches(filter, page, to_hash, d)));
        }
        match rows.last() {
            Some(last) if rows.len() == 32 => below = last.try_get(0)?,
            _ => return Ok(found),
        }
    }
}

/// Strips decisions about a number in the next batches; sets the cursor behind them.
pub(super) async fn erase(
    conn: &mut Conn,
    db: &Db,
    number: Msisdn,
    (from, limit): (i64, i64),
    next: &mut Erasing,
) -> Result<()> {
    let hash = number_hash(&db.vault, number).cast_unsigned();
    let sql = "SELECT first, body FROM decision_batches WHERE first >= $1 ORDER BY first LIMIT $2";
    let rows = conn.rows(sql, &[&from, &limit]).await?;
    for row in &rows {
        let first: i64 = row.try_get(0)?;
        if let Some((body, changed)) = strip_batch(&db.vault, first, row.try_get(1)?, hash)? {
            conn.run("UPDATE decision_batches SET body = $2 WHERE first = $1", &[&first, &body]).await?;
            next.erased.decisions += changed;
        }
    }
    next.cursor =
        match rows.last().map(|row| row.try_get::<_, i64>(0)).transpose().map_err(StoreError::from)? {
            Some(last) => Cursor::Decisions(last + 1),
            None => Cursor::Answers(i64::MIN, i64::MIN),
        };
    Ok(())
}
