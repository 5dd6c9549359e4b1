//! Writing a group of acceptances: two trips to the server, or three, however many they are.
//!
//! Unique keys decide who is first, on all nodes. Locks and rows are taken in one order by everybody: numbers,
//! then open verifications, then idempotency keys, each sorted, so that no two groups wait for each other.

use std::time::Duration;

use futures_util::future::{try_join3, try_join4};
use hashbrown::HashSet;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::conn::{Conn, Db};
use super::partitions::day_of;
use crate::records::Progress;
use crate::sealed::acceptance::{Sealed, SealedVerification};
use crate::sealed::answers::SealedKey;
use crate::sealed::messages::{SealedMessage, pack_progress};
use crate::{Result, StoreError};

/// What became of a group.
pub(super) enum Written {
    /// It is committed, but for those that were in conflict: false.
    Done(Vec<bool>),
    /// The answer to the commit was lost; the transaction that it was.
    Unknown(String),
}

const OPEN: &str = "INSERT INTO open_verifications AS o (sub, number, key, begun, expires) \
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
     ON CONFLICT (sub, number) DO UPDATE SET key = excluded.key, begun = excluded.begun, expires = excluded.expires \
     WHERE o.expires <= excluded.begun RETURNING key";
const KEYS: &str = "INSERT INTO idempotency (hash, at, body) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) ON CONFLICT (hash) DO NOTHING RETURNING hash";
const MESSAGES: &str = "INSERT INTO messages (key, tail, sub, number, block, country, state, due, expires, \
     verification, batch, marks, owner, dims, progress, body, content) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], \
       $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], \
       $14::bytea[], $15::bytea[], $16::bytea[], $17::bytea[])";
const VERIFICATIONS: &str = "INSERT INTO verifications \
     (key, sub, number, state, expires, verified, given_until, revision, body) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
       $7::bigint[], $8::bigint[], $9::bytea[])";
/// Changes whose revision is the stored one; of a verification that only its message holds, that is 1.
const UPDATES: &str = "WITH u AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], \
       $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[]) \
       AS u (key, sub, number, state, expires, verified, given, seen, body)), \
     changed AS (UPDATE verifications v SET state = u.state, expires = u.expires, verified = u.verified, \
       given_until = u.given, revision = u.seen + 1, body = u.body \
       FROM u WHERE v.key = u.key AND v.sub = u.sub AND v.revision = u.seen RETURNING v.key), \
     begun AS (INSERT INTO verifications (key, sub, number, state, expires, verified, given_until, revision, body) \
       SELECT u.key, u.sub, u.number, u.state, u.expires, u.verified, u.given, 2, u.body FROM u \
       WHERE u.seen = 1 AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.key = u.key) \
         AND EXISTS (SELECT 1 FROM messages m WHERE m.key = u.key AND m.verification = u.key AND m.sub = u.sub) \
       ON CONFLICT (key) DO NOTHING RETURNING key) \
     SELECT key FROM changed UNION ALL SELECT key FROM begun";
const REOPEN: &str = "INSERT INTO open_verifications AS o (sub, number, key, begun, expires) \
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
     ON CONFLICT (sub, number) DO UPDATE SET key = excluded.key, expires = excluded.expires \
     WHERE o.key <= excluded.key";

/// Writes a group, all but those that are in conflict.
pub(super) async fn write(db: &Db, all: &[Sealed], until: Instant) -> Result<Written> {
    db.node.check()?;
    db.days.ensure(db, all.iter().flat_map(|sealed| &sealed.messages).map(|m| day_of(m.id.row()))).await?;
    let mut conn = db.until(until).await?;
    let mut group = Group::new(all);
    let transaction = group.begin(&mut conn, db.node.lease()).await?;
    group.update(&mut conn).await?;
    let fits: Vec<bool> = group.lost.iter().map(|lost| !lost).collect();
    match group.finish(&mut conn, db.node.lease()).await {
        Ok(()) => conn.ended(),
        // Committed or taken back, whichever of the two failed.
        Err(error) => {
            drop(conn);
            return resolve(db, transaction, fits, until, error).await;
        }
    }
    Ok(Written::Done(fits))
}

struct Group<'a> {
    all: &'a [Sealed],
    /// Which of them are in conflict.
    lost: Vec<bool>,
}

fn begins(sealed: &Sealed) -> Option<&SealedVerification> {
    sealed.verification.as_deref().filter(|v| v.new)
}

fn updates(sealed: &Sealed) -> Option<&SealedVerification> {
    sealed.verification.as_deref().filter(|v| !v.new)
}

impl<'a> Group<'a> {
    /// Within a group the first of each kind is written, and the others see what it wrote.
    fn new(all: &'a [Sealed]) -> Self {
        let (mut numbers, mut keys, mut updated) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut lost = Vec::with_capacity(all.len());
        for sealed in all {
            let number = begins(sealed).map(|v| (v.record.subaccount.as_str(), v.number));
            let key = sealed.key.as_ref().map(|key| key.hash);
            let update = updates(sealed).map(|v| v.record.id.row());
            let taken = number.is_some_and(|number| numbers.contains(&number))
                || key.is_some_and(|key| keys.contains(&key))
                || update.is_some_and(|update| updated.contains(&update));
            if !taken {
                numbers.extend(number);
                keys.extend(key);
                updated.extend(update);
            }
            lost.push(taken);
        }
        Group { all, lost }
    }

    /// Those that are not in conflict.
    fn left(&self) -> impl Iterator<Item = (usize, &'a Sealed)> {
        let all = self.all.iter().enumerate().zip(&self.lost);
        all.filter(|(_, lost)| !**lost).map(|(sealed, _)| sealed).collect::<Vec<_>>().into_iter()
    }

    /// Begins, takes locks, opens verifications and takes idempotency keys: one trip.
    async fn begin(&mut self, conn: &mut Conn, lease: i64) -> Result<String> {
        let mut numbers: Vec<i64> = self.left().filter_map(|(_, s)| updates(s)).map(|v| v.number).collect();
        numbers.sort_unstable();
        let mut opens: Vec<&SealedVerification> = self.left().filter_map(|(_, s)| begins(s)).collect();
        opens.sort_unstable_by_key(|v| (v.record.subaccount.as_str(), v.number));
        let mut keys: Vec<&SealedKey> = self.left().filter_map(|(_, s)| s.key.as_ref()).collect();
        keys.sort_unstable_by_key(|key| key.hash);
        // A node whose lease is lost must not promise to send anything.
        let fence = "SELECT pg_current_xact_id()::text, count(pg_advisory_xact_lock(n)) FROM \
             (SELECT lease FROM nodes WHERE lease = $1 FOR KEY SHARE) l LEFT JOIN unnest($2::bigint[]) n ON true \
             GROUP BY l.lease";
        let fence = conn.prepared(fence).await?;
        let (open, taking) = (conn.prepared(OPEN).await?, conn.prepared(KEYS).await?);
        let opening = Opens::of(&opens);
        let hashes: Vec<i64> = keys.iter().map(|key| key.hash).collect();
        let ats: Vec<i64> = keys.iter().map(|key| key.at).collect();
        let bodies: Vec<&[u8]> = keys.iter().map(|key| key.body.as_slice()).collect();
        conn.begun();
        let client = conn.client()?;
        let (open_values, key_values) = (opening.values(), [&hashes as &(dyn ToSql + Sync), &ats, &bodies]);
        let fence_values = [&lease as &(dyn ToSql + Sync), &numbers];
        let opened =
            async { if opens.is_empty() { Ok(Vec::new()) } else { client.query(&open, &open_values).await } };
        let took =
            async { if keys.is_empty() { Ok(Vec::new()) } else { client.query(&taking, &key_values).await } };
        let begun = client.batch_execute("BEGIN");
        let work = try_join4(begun, client.query(&fence, &fence_values), opened, took);
        let ((), fence, opened, took) = conn.within(work).await?;
        let Some(fence) = fence.first() else {
            return Err(StoreError::Unavailable(
                "this node has lost its lease; it takes a new one".to_owned(),
            ));
        };
        let transaction = fence.try_get(0)?;
        let (opened, took) = (column(&opened)?, column(&took)?);
        for (at, sealed) in self.all.iter().enumerate() {
            let open_lost = begins(sealed).is_some_and(|v| !opened.contains(&v.record.id.row()));
            let key_lost = sealed.key.as_ref().is_some_and(|key| !took.contains(&key.hash));
            if let Some(lost) = self.lost.get_mut(at)
                && !*lost
                && (open_lost || key_lost)
            {
                *lost = true;
                self.give_back(conn, sealed, !open_lost, !key_lost).await?;
            }
        }
        Ok(transaction)
    }

    /// Takes back what the loser of one of two had won of the other. Rare, so it costs a trip.
    async fn give_back(&self, conn: &mut Conn, sealed: &Sealed, opened: bool, took: bool) -> Result<()> {
        if let Some(v) = begins(sealed).filter(|_| opened) {
            let sql = "DELETE FROM open_verifications WHERE sub = $1 AND number = $2 AND key = $3";
            conn.run(sql, &[&v.record.subaccount, &v.number, &v.record.id.row()]).await?;
        }
        if let Some(key) = sealed.key.as_ref().filter(|_| took) {
            conn.run("DELETE FROM idempotency WHERE hash = $1", &[&key.hash]).await?;
        }
        Ok(())
    }

    /// Changes verifications, if any are to be changed: one trip.
    async fn update(&mut self, conn: &mut Conn) -> Result<()> {
        let all: Vec<(usize, &SealedVerification)> =
            self.left().filter_map(|(at, s)| Some((at, updates(s)?))).collect();
        if all.is_empty() {
            return Ok(());
        }
        let records: Vec<&SealedVerification> = all.iter().map(|(_, v)| *v).collect();
        let rows = conn.rows(UPDATES, &Verifications::of(&records).values()).await?;
        let changed = column(&rows)?;
        let mut open = Vec::new();
        for (at, v) in all {
            if changed.contains(&v.record.id.row()) {
                open.push(v);
            } else if let (Some(lost), Some(sealed)) = (self.lost.get_mut(at), self.all.get(at)) {
                *lost = true;
                self.give_back(conn, sealed, false, true).await?;
            }
        }
        let (mut pending, ended): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|v| v.record.lifecycle.state == VerificationState::Pending);
        pending.sort_unstable_by_key(|v| (v.record.subaccount.as_str(), v.number, v.record.id));
        pending.dedup_by_key(|v| (v.record.subaccount.as_str(), v.number));
        conn.run(REOPEN, &Opens::of(&pending).values()).await?;
        for v in ended {
            let sql = "DELETE FROM open_verifications WHERE sub = $1 AND number = $2 AND key = $3";
            conn.run(sql, &[&v.record.subaccount, &v.number, &v.record.id.row()]).await?;
        }
        Ok(())
    }

    /// Writes verifications with rows of their own, and messages, and commits: one trip. Where one fails, the server takes
    /// everything back instead.
    async fn finish(&self, conn: &mut Conn, lease: i64) -> Result<()> {
        let own: Vec<&SealedVerification> =
            self.left().filter_map(|(_, s)| begins(s)).filter(|v| !v.body.is_empty()).collect();
        let none = own.is_empty();
        let messages: Vec<&SealedMessage> = self.left().flat_map(|(_, s)| &s.messages).collect();
        let (write_own, write) = (conn.prepared(VERIFICATIONS).await?, conn.prepared(MESSAGES).await?);
        let (own, messages) = (Verifications::of(&own), Messages::of(&messages, lease));
        let (own, messages) = (own.values(), messages.values());
        let client = conn.client()?;
        let own = async { if none { Ok(0) } else { client.execute(&write_own, &own).await } };
        let work = try_join3(own, client.execute(&write, &messages), client.batch_execute("COMMIT"));
        conn.within(work).await.map(drop)
    }
}

fn column(rows: &[Row]) -> Result<HashSet<i64>> {
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Open verifications as columns.
struct Opens<'a> {
    subs: Vec<&'a str>,
    numbers: Vec<i64>,
    keys: Vec<i64>,
    begun: Vec<i64>,
    expires: Vec<i64>,
}

impl<'a> Opens<'a> {
    fn of(all: &[&'a SealedVerification]) -> Self {
        Opens {
            subs: all.iter().map(|v| v.record.subaccount.as_str()).collect(),
            numbers: all.iter().map(|v| v.number).collect(),
            keys: all.iter().map(|v| v.record.id.row()).collect(),
            begun: all.iter().map(|v| v.record.lifecycle.sent_at.as_millis()).collect(),
            expires: all.iter().map(|v| v.record.lifecycle.expires_at.as_millis()).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.subs, &self.numbers, &self.keys, &self.begun, &self.expires]
    }
}

/// Verifications as columns.
struct Verifications<'a> {
    keys: Vec<i64>,
    subs: Vec<&'a str>,
    numbers: Vec<i64>,
    states: Vec<i64>,
    expires: Vec<i64>,
    verified: Vec<Option<i64>>,
    given: Vec<Option<i64>>,
    revisions: Vec<i64>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Verifications<'a> {
    fn of(all: &[&'a SealedVerification]) -> Self {
        let expires = |v: &&SealedVerification| v.record.lifecycle.expires_at.as_millis();
        Verifications {
            keys: all.iter().map(|v| v.record.id.row()).collect(),
            subs: all.iter().map(|v| v.record.subaccount.as_str()).collect(),
            numbers: all.iter().map(|v| v.number).collect(),
            states: all.iter().map(|v| i64::from(v.record.lifecycle.state.as_u8())).collect(),
            expires: all.iter().map(expires).collect(),
            verified: all.iter().map(|v| v.record.lifecycle.verified_at.map(Timestamp::as_millis)).collect(),
            given: all.iter().map(|v| v.record.given_code.as_ref().map(|_| expires(v))).collect(),
            revisions: all.iter().map(|v| v.record.revision.cast_signed()).collect(),
            bodies: all.iter().map(|v| v.body.as_slice()).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 9] {
        [
            &self.keys,
            &self.subs,
            &self.numbers,
            &self.states,
            &self.expires,
            &self.verified,
            &self.given,
            &self.revisions,
            &self.bodies,
        ]
    }
}

/// Messages as columns.
struct Messages<'a> {
    numbers: [Vec<i64>; 7],
    missing: [Vec<Option<i64>>; 5],
    subs: Vec<&'a str>,
    bytes: [Vec<&'a [u8]>; 3],
    texts: Vec<Option<&'a [u8]>>,
}

impl<'a> Messages<'a> {
    fn of(all: &[&'a SealedMessage], lease: i64) -> Self {
        let number = |of: fn(&SealedMessage) -> i64| all.iter().map(|m| of(m)).collect();
        let missing = |of: fn(&SealedMessage) -> Option<i64>| all.iter().map(|m| of(m)).collect();
        let owner = |m: &&SealedMessage| (m.state == MessageState::Submitting).then_some(lease);
        Messages {
            numbers: [
                number(|m| m.id.row()),
                number(|m| m.id.tail().cast_signed()),
                number(|m| m.number),
                number(|m| m.block),
                number(|m| m.country),
                number(|m| i64::from(m.state.as_u8())),
                number(|m| m.marks),
            ],
            missing: [
                missing(|m| m.due),
                missing(|m| m.expires),
                missing(|m| m.verification),
                missing(|m| m.batch),
                all.iter().map(owner).collect(),
            ],
            subs: all.iter().map(|m| m.subaccount.as_str()).collect(),
            bytes: [
                all.iter().map(|m| m.dims.as_slice()).collect(),
                all.iter().map(|m| m.progress.as_slice()).collect(),
                all.iter().map(|m| m.body.as_slice()).collect(),
            ],
            texts: all.iter().map(|m| m.text.as_deref()).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 17] {
        let [keys, tails, numbers, blocks, countries, states, marks] = &self.numbers;
        let [due, expires, verifications, batches, owners] = &self.missing;
        let [dims, progress, bodies] = &self.bytes;
        [
            keys,
            tails,
            &self.subs,
            numbers,
            blocks,
            countries,
            states,
            due,
            expires,
            verifications,
            batches,
            marks,
            owners,
            dims,
            progress,
            bodies,
            &self.texts,
        ]
    }
}

/// Finds out what became of a commit whose answer was lost.
async fn resolve(
    db: &Db,
    transaction: String,
    fits: Vec<bool>,
    until: Instant,
    error: StoreError,
) -> Result<Written> {
    while Instant::now() < until {
        if let Ok(mut conn) = db.until(until).await
            && let Ok(Some(done)) = status(&mut conn, &transaction).await
        {
            return if done { Ok(Written::Done(fits)) } else { Err(error) };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Written::Unknown(transaction))
}

/// Whether a transaction was committed; `None` while it is under way.
async fn status(conn: &mut Conn, transaction: &str) -> Result<Option<bool>> {
    let row = conn.row("SELECT pg_xact_status($1::text::xid8)", &[&transaction]).await?;
    let status: Option<String> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(match status.as_deref() {
        Some("committed") => Some(true),
        Some("aborted") => Some(false),
        _ => None,
    })
}

/// Messages of an acceptance whose caller was told that it failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Unwanted {
    /// Those that only the caller would have set on their way.
    pub(super) submitting: Vec<i64>,
    /// Those that any node sends when their turn comes.
    pub(super) waiting: Vec<i64>,
}

impl Unwanted {
    /// Adds those of an acceptance.
    pub(super) fn add(&mut self, sealed: &Sealed) {
        for message in &sealed.messages {
            let submitting = message.state == MessageState::Submitting;
            let keys = if submitting { &mut self.submitting } else { &mut self.waiting };
            keys.push(message.id.row());
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.submitting.is_empty() && self.waiting.is_empty()
    }
}

/// Marks messages that nobody is to send as failed; false while it is not known whether they are there. One that a node
/// has taken out of the queue meanwhile goes its way.
pub(super) async fn fail(db: &Db, transaction: Option<&str>, unwanted: &Unwanted) -> Result<bool> {
    let mut conn = db.soon().await?;
    if let Some(transaction) = transaction {
        match status(&mut conn, transaction).await? {
            Some(true) => {}
            Some(false) => return Ok(true),
            None => return Ok(false),
        }
    }
    let words =
        "the gateway could not confirm in time that it had taken this message; it was not sent".to_owned();
    let progress = Progress { error_code: Some(14), error_message: Some(words), ..Progress::default() };
    let sql = "UPDATE messages SET state = 5, owner = NULL, progress = $2 WHERE (key = ANY($1) AND state = 2 AND owner = $3) \
         OR (key = ANY($4) AND state IN (0, 1))";
    let progress = pack_progress(&progress);
    conn.run(sql, &[&unwanted.submitting, &progress, &db.node.lease(), &unwanted.waiting]).await?;
    Ok(true)
}
