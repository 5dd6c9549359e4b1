//! Messages by the keyed hash of their number.
//!
//! Entries are gathered in memory and written a bucket of a few thousand at a time, as a row for each of 16
//! shares of the hashes. A look-up reads one row of every bucket. `meta.unindexed_from` says from which
//! message on a start has to gather again; messages are not accepted quite in the order of their ids.

use hashbrown::HashSet;
use rusqlite::{Connection, OptionalExtension, params};

use super::db::View;
use super::writer::Turn;
use crate::Result;

/// Entries of a bucket.
const BUCKET: usize = 4096;
/// Shares of the hashes, each a row, so that a look-up reads a page of each bucket and not all of it.
const SHARES: i64 = 16;
/// A row's id: the share, then the bucket, so that the rows of a share lie together.
const SHARE_BITS: u32 = 40;
/// Bytes of an entry: 32 bits of the hash, then the message's row.
const ENTRY: usize = 12;

/// What is not written yet.
#[derive(Default)]
pub(super) struct Gathered {
    /// Keyed hash and row.
    entries: Vec<(i64, i64)>,
    /// The bucket written last: until its commit readers find it here only.
    written: Vec<(i64, i64)>,
    /// Number of the next bucket.
    next: i64,
    /// `meta.unindexed_from` as it stands in the database.
    from: i64,
}

impl Gathered {
    /// Takes a message back that was not committed.
    pub(super) fn forget(&mut self, row: i64) {
        self.entries.retain(|&(_, other)| other != row);
    }

    fn of(&self, number: i64) -> impl Iterator<Item = i64> {
        let all = self.entries.iter().chain(&self.written);
        all.filter(move |(other, _)| *other == number).map(|&(_, row)| row)
    }
}

/// The share of a hash, and the bits of it that an entry keeps.
fn parts(number: i64) -> (i64, [u8; 4]) {
    let [share, a, b, c, d, ..] = number.to_be_bytes();
    (i64::from(share >> 4), [a, b, c, d])
}

/// Adds messages to the index, within their transaction. The caller registers how to take them back.
pub(super) fn add(turn: &mut Turn<'_>, added: impl Iterator<Item = (i64, i64)>) -> Result<()> {
    let (lowest, full) = {
        let mut hot = turn.hot();
        let before = hot.numbers.entries.len();
        hot.numbers.entries.extend(added);
        let new = hot.numbers.entries.get(before..).unwrap_or_default();
        let lowest = new.iter().map(|&(_, row)| row).min().filter(|row| *row < hot.numbers.from);
        (lowest, hot.numbers.entries.len() >= BUCKET)
    };
    if let Some(row) = lowest {
        set_from(turn, row)?;
    }
    if full { write(turn) } else { Ok(()) }
}

fn set_from(turn: &mut Turn<'_>, row: i64) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO meta VALUES ('unindexed_from', ?1)";
    turn.view.conn.prepare_cached(sql)?.execute([row])?;
    let before = std::mem::replace(&mut turn.hot().numbers.from, row);
    turn.on_rollback(move |hot| hot.numbers.from = before);
    Ok(())
}

/// Writes a bucket and begins the next one.
fn write(turn: &mut Turn<'_>) -> Result<()> {
    let (bucket, entries) = {
        let mut hot = turn.hot();
        let bucket = hot.numbers.next;
        hot.numbers.next += 1;
        let entries = std::mem::take(&mut hot.numbers.entries);
        hot.numbers.written.clone_from(&entries);
        (bucket, entries)
    };
    let high = entries.iter().map(|&(_, row)| row).max().unwrap_or(0);
    let mut bodies: Vec<Vec<u8>> = (0..SHARES).map(|_| Vec::new()).collect();
    for &(number, row) in &entries {
        let (share, kept) = parts(number);
        if let Some(body) = usize::try_from(share).ok().and_then(|share| bodies.get_mut(share)) {
            body.extend_from_slice(&kept);
            body.extend_from_slice(&row.to_be_bytes());
        }
    }
    turn.on_rollback(move |hot| {
        hot.numbers.next = bucket;
        let newer = std::mem::replace(&mut hot.numbers.entries, entries);
        hot.numbers.entries.extend(newer);
        hot.numbers.written.clear();
    });
    let mut insert =
        turn.view.conn.prepare_cached("INSERT INTO numbers (id, high, body) VALUES (?1, ?2, ?3)")?;
    for (share, body) in (0..SHARES).zip(bodies) {
        insert.execute(params![(share << SHARE_BITS) | bucket, high, body])?;
    }
    drop(insert);
    set_from(turn, high + 1)
}

fn read(body: &[u8]) -> impl Iterator<Item = ([u8; 4], i64)> {
    body.chunks_exact(ENTRY).filter_map(|entry| {
        let (kept, row) = entry.split_first_chunk::<4>()?;
        Some((*kept, i64::from_be_bytes(row.try_into().ok()?)))
    })
}

/// Rows of messages to a number, newest first. Some may be of another number: few, as 36 bits of the hash
/// are compared.
pub(super) fn rows(view: View<'_>, number: i64) -> Result<Vec<i64>> {
    let mut found: Vec<i64> = view.hot().numbers.of(number).collect();
    let (share, wanted) = parts(number);
    let mut select = view.conn.prepare_cached("SELECT body FROM numbers WHERE id >= ?1 AND id < ?2")?;
    let mut buckets = select.query([share << SHARE_BITS, (share + 1) << SHARE_BITS])?;
    while let Some(bucket) = buckets.next()? {
        let body = bucket.get_ref(0)?.as_blob().map_err(|_| super::codec::damaged("the index of numbers"))?;
        found.extend(read(body).filter(|(kept, _)| *kept == wanted).map(|(_, row)| row));
    }
    found.sort_unstable_by_key(|&row| std::cmp::Reverse(row));
    // The bucket written last is met twice.
    found.dedup();
    Ok(found)
}

/// Gathers again what was not written when the process ended.
pub(super) fn load(conn: &Connection) -> Result<Gathered> {
    let sql = "SELECT value FROM meta WHERE key = 'unindexed_from'";
    let from: i64 = conn.query_row(sql, [], |r| r.get(0)).optional()?.unwrap_or(0);
    let mut written = HashSet::new();
    let mut select = conn.prepare("SELECT body FROM numbers WHERE high >= ?1")?;
    let mut rows = select.query([from])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_blob().map_err(|_| super::codec::damaged("the index of numbers"))?;
        written.extend(read(body).map(|(_, row)| row).filter(|row| *row >= from));
    }
    let mut select = conn.prepare("SELECT number, row FROM messages WHERE row >= ?1")?;
    let entries = select.query_map([from], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let entries = entries.filter(|entry| !entry.as_ref().is_ok_and(|(_, row)| written.contains(row)));
    let entries = entries.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let sql = "SELECT coalesce(max(id & ?1), -1) + 1 FROM numbers";
    let next = conn.query_row(sql, [(1i64 << SHARE_BITS) - 1], |r| r.get(0))?;
    Ok(Gathered { entries, written: Vec::new(), next, from })
}

/// Forgets buckets of which all messages are gone.
pub(super) fn prune(turn: &Turn<'_>, oldest: i64) -> Result<()> {
    turn.view.conn.prepare_cached("DELETE FROM numbers WHERE high < ?1")?.execute([oldest])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Ledger;
    use crate::conformance::{at, message, msisdn};
    use crate::records::{Acceptance, MessageFilter, Page};
    use crate::sqlite::SqliteStore;
    use crate::vault::Vault;

    const ALL: Page = Page { before: None, limit: 100_000 };

    async fn counts(store: &SqliteStore) -> [usize; 4] {
        let mut found = [0; 4];
        for (n, count) in (0..).zip(&mut found) {
            let filter = MessageFilter { to: msisdn(n).ok(), ..MessageFilter::default() };
            let list = store.messages(filter, ALL).await.unwrap();
            assert!(list.is_sorted_by(|a, b| a.id > b.id));
            *count = list.len();
        }
        found
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_message_is_found_by_its_number_also_late_ones_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::from_keys(&[(1, [3; 32])]).unwrap());
        let open = || SqliteStore::open(dir.path(), vault.clone()).unwrap();
        let mut store = open();
        let accept = async |store: &SqliteStore, from: i64, count: i64| {
            let messages = (from..from + count).map(|ms| message(ms, ms.unsigned_abs() % 4, "x").unwrap());
            let messages = messages.collect();
            store.accept(Acceptance { messages, ..Acceptance::default() }).await.unwrap();
        };
        accept(&store, 20_000, 5_000).await;
        accept(&store, 1_000, 8).await;
        assert_eq!(counts(&store).await, [1_252; 4]);
        store.close().await;
        drop(store);
        store = open();
        assert_eq!(counts(&store).await, [1_252; 4]);
        accept(&store, 30_000, 4_200).await;
        accept(&store, 2_000, 8).await;
        assert_eq!(counts(&store).await, [2_304; 4]);
        store.close().await;
        drop(store);
        store = open();
        assert_eq!(counts(&store).await, [2_304; 4]);
        let written: i64 = {
            let conn = rusqlite::Connection::open(dir.path().join(crate::sqlite::DATABASE_FILE)).unwrap();
            conn.query_row("SELECT count(*) FROM numbers", [], |r| r.get(0)).unwrap()
        };
        assert_eq!(written, 2 * SHARES);
        assert!(store.claim(at(90_000), 1).await.unwrap().len() == 1);
    }
}
