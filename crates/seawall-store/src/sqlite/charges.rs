//! What windows are refilled from: sends with their dimensions, and checkpoints of windows that count requests.

use hashbrown::{HashMap, HashSet};
use rusqlite::{Row, params};
use seawall_core::budget;
use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::codec::{self, damaged, subaccount};
use super::db::View;
use super::dims;
use super::writer::Turn;
use crate::records::Progress;
use crate::{PastCharge, Result};

/// Rows read at once.
const CHUNK: u16 = 20_000;
/// A verification lives at most so long after its first message, in milliseconds.
pub(super) const LONGEST_VERIFICATION: i64 = 2 * 86_400_000;

/// What was confirmed.
#[derive(Default)]
pub(super) struct Confirmed {
    /// When each number was last confirmed. Every confirmation ends the back-off of its number, so it covers
    /// all earlier sends to that number.
    numbers: HashMap<i64, i64>,
    /// The verifications that ended well.
    verified: HashSet<i64>,
}

impl Confirmed {
    fn of(&self, number: i64) -> Option<i64> {
        self.numbers.get(&number).copied()
    }
}

/// Confirmations since an instant.
pub(super) fn confirmed(view: View<'_>, since: Timestamp) -> Result<Confirmed> {
    let begun = Timestamp::from_millis((since.as_millis() - LONGEST_VERIFICATION).max(0));
    let mut select = view.conn.prepare_cached(
        "SELECT number, verified, row FROM verifications WHERE row >= ?1 AND verified IS NOT NULL",
    )?;
    let mut rows = select.query([Id::first_row(begun)])?;
    let mut confirmed = Confirmed::default();
    while let Some(row) = rows.next()? {
        let (number, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let newest = confirmed.numbers.entry(number).or_insert(at);
        *newest = at.max(*newest);
        confirmed.verified.insert(row.get(2)?);
    }
    Ok(confirmed)
}

/// The next sends from `row` on, and where the ones after them begin.
pub(super) fn sends(
    view: View<'_>,
    confirmed: &Confirmed,
    row: i64,
) -> Result<(Vec<PastCharge>, Option<i64>)> {
    let mut select = view.conn.prepare_cached(
        "SELECT row, sub, number, dims, state, verification, CASE WHEN state IN (5, 6, 9) THEN progress END \
         FROM messages WHERE row >= ?1 ORDER BY row LIMIT ?2",
    )?;
    let mut rows = select.query(params![row, CHUNK])?;
    let (mut sends, mut next) = (Vec::with_capacity(usize::from(CHUNK)), row);
    let mut last_sub: Option<(i64, String)> = None;
    while let Some(r) = rows.next()? {
        sends.push(send(view, r, confirmed, &mut last_sub)?);
        next = r.get::<_, i64>(0)? + 1;
    }
    let more = sends.len() == usize::from(CHUNK);
    Ok((sends, more.then_some(next)))
}

fn send(
    view: View<'_>,
    r: &Row<'_>,
    confirmed: &Confirmed,
    last_sub: &mut Option<(i64, String)>,
) -> Result<PastCharge> {
    let (row, sub, number): (i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
    let bytes = r.get_ref(3)?.as_blob().map_err(|_| damaged("a message"))?;
    let name = match &last_sub {
        Some((id, name)) if *id == sub => name.clone(),
        _ => last_sub.insert((sub, subaccount(view, sub)?)).1.clone(),
    };
    let dimensions = dims::decode(bytes, number).ok_or_else(|| damaged("a message"))?;
    let at = dimensions.charged_at(Id::new(row, 0).at());
    let verification: Option<i64> = r.get(5)?;
    Ok(PastCharge {
        at,
        dimensions,
        subaccount: name,
        confirmed: confirmed.of(number).is_some_and(|confirmed| confirmed >= at.as_millis()),
        verification: verification.map(|row| (row, confirmed.verified.contains(&row))),
        given_back: given_back(r)?,
    })
}

fn given_back(r: &Row<'_>) -> Result<bool> {
    let state = codec::state(r.get(4)?)?;
    let progress = match r.get_ref(6)?.as_blob_or_null().map_err(|_| damaged("a message"))? {
        Some(bytes) => codec::progress(bytes)?,
        None => Progress::default(),
    };
    Ok(budget::gives_back(state, progress.attempts.iter().map(|attempt| attempt.outcome.as_str())))
}

/// What was accepted and has neither left nor ended. Below `settled_below` nothing waits but what is scheduled.
pub(super) fn waiting(view: View<'_>) -> Result<Vec<PastCharge>> {
    let sql = "SELECT row, sub, number, dims, state, verification, NULL FROM messages NOT INDEXED \
         WHERE row >= (SELECT coalesce(max(value), 0) FROM meta WHERE key = 'settled_below') AND state IN (0, 2) \
         UNION ALL SELECT row, sub, number, dims, state, verification, NULL FROM messages \
         WHERE row IN (SELECT row FROM scheduled) \
         ORDER BY row";
    let mut select = view.conn.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let (mut found, mut last_sub) = (Vec::new(), None);
    while let Some(r) = rows.next()? {
        found.push(send(view, r, &Confirmed::default(), &mut last_sub)?);
    }
    Ok(found)
}

/// Writes which windows were charged; forgets what is older than any window.
pub(super) fn checkpoint(
    turn: &Turn<'_>,
    charged: &[(u64, Timestamp)],
    forget_before: Timestamp,
) -> Result<()> {
    let conn = turn.view.conn;
    if let Some(newest) = charged.iter().map(|(_, at)| *at).max() {
        let body: Vec<u8> = charged
            .iter()
            .flat_map(|(key, at)| key.to_le_bytes().into_iter().chain(at.as_millis().to_le_bytes()))
            .collect();
        let sql = "INSERT INTO checkpoints (row, body) VALUES \
             (max(?1, (SELECT coalesce(max(row), 0) + 1 FROM checkpoints)), ?2)";
        conn.prepare_cached(sql)?.execute(params![Id::first_row(newest), body])?;
    }
    let sql = "DELETE FROM checkpoints WHERE row < ?1";
    conn.prepare_cached(sql)?.execute([Id::first_row(forget_before)])?;
    Ok(())
}

/// Everything that was checkpointed since an instant.
pub(super) fn past_checkpoints(view: View<'_>, since: Timestamp) -> Result<Vec<(u64, Timestamp)>> {
    let mut select = view.conn.prepare_cached("SELECT body FROM checkpoints WHERE row >= ?1 ORDER BY row")?;
    let mut rows = select.query([Id::first_row(since)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_blob().map_err(|_| damaged("a checkpoint"))?;
        for entry in body.chunks_exact(16) {
            let (key, at) = entry.split_first_chunk::<8>().ok_or_else(|| damaged("a checkpoint"))?;
            let at: [u8; 8] = at.try_into().map_err(|_| damaged("a checkpoint"))?;
            let at = Timestamp::from_millis(i64::from_le_bytes(at));
            if at >= since {
                found.push((u64::from_le_bytes(*key), at));
            }
        }
    }
    Ok(found)
}
