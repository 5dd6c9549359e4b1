//! Everything about one number is erased. What is found by an index goes first and at once; what has none (packed
//! decisions, kept answers, waiting deliveries) is gone through in bounded steps, so that writers never wait long.
//!
//! Rows of messages stay, emptied: their counts, prices and states belong to the operator, and the keyed hash of
//! their number keeps send times in force until their windows end.

use rusqlite::params;
use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::verification::VerificationState;

use super::codec;
use super::db::View;
use super::writer::Turn;
use super::{decisions, hooks, idempotency, numbers};
use crate::Result;
use crate::records::{Cursor, Erasing, ErasureJob, OptOut};
use crate::sealed::erasing::{self, emptied};

/// Messages that one step empties.
const MESSAGES: usize = 500;
/// Rows without an index that one step looks at.
const ROWS: i64 = 200;

/// One step; the cursor says where the next one goes on.
pub(super) fn step(turn: &mut Turn<'_>, number: Msisdn, erasing: &Erasing) -> Result<Erasing> {
    let mut next = erasing.clone();
    // What is written over or deleted is not to be read from free pages.
    turn.view.conn.pragma_update(None, "secure_delete", true)?;
    let done = match erasing.cursor {
        Cursor::Messages => of_index(turn, number, &mut next),
        Cursor::Decisions(from) => decisions::erase(turn, number, from, ROWS, &mut next),
        Cursor::Answers(bucket, hash) => idempotency::erase(turn, number, (bucket, hash), ROWS, &mut next),
        Cursor::Hooks(from) => hooks::erase(turn, number, from, ROWS, &mut next),
        Cursor::Done => Ok(()),
    };
    turn.view.conn.pragma_update(None, "secure_delete", false)?;
    done.map(|()| next)
}

/// Messages, verifications, lookups and what memory knows, by the keyed hash of the number.
fn of_index(turn: &mut Turn<'_>, number: Msisdn, next: &mut Erasing) -> Result<()> {
    let hash = codec::number_hash(turn.view.vault(), number);
    let mut left = MESSAGES;
    next.erased.under_way = 0;
    for row in numbers::rows(turn.view, hash)? {
        if left == 0 {
            return Ok(());
        }
        match message(turn, row, Some(number))? {
            Outcome::Emptied => (next.erased.messages, left) = (next.erased.messages + 1, left - 1),
            Outcome::UnderWay => next.erased.under_way += 1,
            Outcome::Nothing => {}
        }
    }
    let conn = turn.view.conn;
    let gone = |sql: &str| -> Result<u64> {
        Ok(u64::try_from(conn.prepare_cached(sql)?.execute([hash])?).unwrap_or(0))
    };
    next.erased.lookups += gone("DELETE FROM lookups WHERE number = ?1")?;
    next.erased.known += u64::from(super::known::forget(turn, hash)?);
    next.erased.notes += super::notes::erase(turn, hash)?;
    next.erased.masking += super::masking::erase(turn, hash)?;
    next.erased.opt_outs += opt_outs(turn, hash, number)?;
    if next.erased.under_way == 0 {
        next.cursor = Cursor::Decisions(0);
    }
    Ok(())
}

/// What became of a message that was to be emptied.
pub(super) enum Outcome {
    /// It holds nothing any more.
    Emptied,
    /// It waits, or a provider is being handed it this moment.
    UnderWay,
    /// It is of another number, or was emptied before.
    Nothing,
}

/// Empties the message in a row, and the verification that it belongs to. `of`: only if it is to this number.
pub(super) fn message(turn: &mut Turn<'_>, row: i64, of: Option<Msisdn>) -> Result<Outcome> {
    let Some(record) = super::messages::by_row(turn.view, row)? else { return Ok(Outcome::Nothing) };
    if record.to == Msisdn::ERASED || of.is_some_and(|number| record.to != number) {
        return Ok(Outcome::Nothing);
    }
    match record.state {
        MessageState::Submitting | MessageState::Queued | MessageState::Scheduled => {
            return Ok(Outcome::UnderWay);
        }
        _ => {}
    }
    if let Some(verification) = record.verification {
        self::verification(turn, verification.row(), codec::number_hash(turn.view.vault(), record.to))?;
    }
    let emptied = emptied(record);
    let body = codec::seal_body(turn.view.vault(), &emptied)?;
    let sql = "UPDATE messages SET body = ?2, text = NULL, verification = NULL WHERE row = ?1";
    turn.view.conn.prepare_cached(sql)?.execute(params![row, body])?;
    turn.hot().records.take(row);
    Ok(Outcome::Emptied)
}

/// Deletes a verification; its number may begin a new one at once.
fn verification(turn: &mut Turn<'_>, row: i64, number: i64) -> Result<()> {
    let Some(mut record) = super::verifications::by_row(turn.view, row)? else { return Ok(()) };
    let sub = turn.hot().subs.id(&record.subaccount);
    if let Some(sub) = sub {
        record.lifecycle.state = VerificationState::Canceled;
        super::accept::note_open(turn, sub, number, &record);
    }
    turn.view.conn.prepare_cached("DELETE FROM verifications WHERE row = ?1")?.execute([row])?;
    Ok(())
}

/// Opt-outs stay in force by their keyed hash; the number in them goes, and the note, which is a person's words.
fn opt_outs(turn: &Turn<'_>, hash: i64, number: Msisdn) -> Result<u64> {
    let mut changed = 0;
    for entry in super::opt_outs::of_number(turn.view, hash)? {
        if entry.msisdn == number {
            super::opt_outs::rewrite(turn, OptOut { msisdn: Msisdn::ERASED, note: None, ..entry })?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// Erases what one message says of a person; false when there is none, or nothing is left in it.
pub(super) fn one(turn: &mut Turn<'_>, subaccount: &str, id: Id) -> Result<Option<bool>> {
    let found = super::messages::get(turn.view, Some(subaccount), id)?;
    let Some(record) = found.filter(|record| record.to != Msisdn::ERASED) else { return Ok(None) };
    let number = record.to;
    let outcome = message(turn, id.row(), Some(number))?;
    Ok(Some(matches!(outcome, Outcome::Emptied)))
}

/// How an erasure finds the messages of a number, as SQLite plans it.
#[cfg(test)]
fn plan(view: View<'_>) -> Result<Vec<String>> {
    let mut plan = Vec::new();
    let looks = format!("SELECT {} WHERE m.row = 1", codec::MESSAGE_COLUMNS);
    for sql in
        ["SELECT body FROM numbers WHERE id >= 1 AND id < 2", &looks, "DELETE FROM lookups WHERE number = 1"]
    {
        let mut explain = view.conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let lines = explain.query_map([], |r| r.get::<_, String>(3))?;
        plan.extend(lines.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(plan)
}

/// The erasures that are not done, oldest first; or one, done or not.
pub(super) fn jobs(view: View<'_>, one: Option<Id>) -> Result<Vec<ErasureJob>> {
    let sql = match one {
        Some(_) => "SELECT row, tail, body FROM erasures WHERE row = ?1",
        None => "SELECT row, tail, body FROM erasures WHERE done = 0 AND row > ?1 ORDER BY row LIMIT 100",
    };
    let mut select = view.conn.prepare_cached(sql)?;
    let mut rows = select.query([one.map_or(-1, Id::row)])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let (row, tail): (i64, i64) = (r.get(0)?, r.get(1)?);
        let job = erasing::open(view.vault(), row, tail, &r.get::<_, Vec<u8>>(2)?)?;
        if one.is_none_or(|wanted| wanted == job.id) {
            found.push(job);
        }
    }
    Ok(found)
}

/// Writes an erasure as it stands.
pub(super) fn save(turn: &Turn<'_>, job: &ErasureJob) -> Result<()> {
    let row = job.id.row();
    let sealed = erasing::seal(turn.view.vault(), job)?;
    let sql = "INSERT OR REPLACE INTO erasures (row, tail, done, body) VALUES (?1, ?2, ?3, ?4)";
    let values = params![row, job.id.tail().cast_signed(), job.receipt.is_some(), sealed];
    turn.view.conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use crate::Ledger;
    use crate::conformance::{message, msisdn};
    use crate::records::{Acceptance, Cursor, Erasing, MessageFilter, Page};
    use crate::sqlite::SqliteStore;
    use crate::vault::Vault;

    async fn filled(dir: &std::path::Path, messages: i64, numbers: i64) -> SqliteStore {
        let vault = Arc::new(Vault::from_keys(&[(1, [3; 32])]).unwrap());
        let store = SqliteStore::open(dir, vault).unwrap();
        for from in (0..messages).step_by(2_000) {
            let all = from..(from + 2_000).min(messages);
            let mut made: Vec<_> = all
                .map(|ms| message(1_000 + ms, ms.unsigned_abs() % numbers.unsigned_abs(), "x").unwrap())
                .collect();
            made.iter_mut()
                .for_each(|message| message.state = seawall_core::message::MessageState::Delivered);
            store.accept(Acceptance { messages: made, ..Acceptance::default() }).await.unwrap();
        }
        store
    }

    async fn erase(store: &SqliteStore, n: u64) -> Erasing {
        let mut erasing = Erasing::default();
        while erasing.cursor != Cursor::Done {
            erasing = store.erase_step(msisdn(n).unwrap(), erasing).await.unwrap();
        }
        erasing
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_number_is_found_by_keys_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path(), 20_000, 4_000).await;
        assert_eq!(erase(&store, 7).await.erased.messages, 5);
        assert_eq!(erase(&store, 7).await.erased.messages, 0);
        let of = |n| MessageFilter { to: msisdn(n).ok(), ..MessageFilter::default() };
        let page = Page { before: None, limit: 10 };
        assert_eq!(store.messages(of(7), page).await.unwrap().len(), 0);
        assert_eq!(store.messages(of(8), page).await.unwrap().len(), 5);
        let plan = store.db.list(super::plan).await.unwrap();
        assert!(plan.iter().all(|line| line.starts_with("SEARCH")), "{plan:?}");
    }

    /// `SEAWALL_ERASE=1000000 cargo test --release -p seawall-store a_large_ledger -- --nocapture --ignored`
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "takes minutes; prints how long the erasure of one number takes"]
    #[allow(clippy::disallowed_methods, reason = "a stop-watch is what this is")]
    async fn a_large_ledger() {
        let messages = std::env::var("SEAWALL_ERASE").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path(), messages, messages / 5).await;
        println!("{:?}", store.db.list(super::plan).await.unwrap());
        for n in [7, 70, 700] {
            let start = Instant::now();
            let erased = erase(&store, n).await.erased.messages;
            println!("{messages} messages: {erased} of one number erased in {:?}", start.elapsed());
            assert_eq!(erased, 5);
        }
    }
}
