//! Which rows of SQLite become which rows of PostgreSQL.

use rusqlite::types::Value;

use crate::sealed::messages::progress;
use crate::{Result, StoreError};

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// `bigint`
    Number,
    /// `text`
    Text,
    /// `bytea`
    Bytes,
    /// `boolean`
    Truth,
}

use Column::{Bytes, Number, Text, Truth};

/// A table of PostgreSQL.
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// Its columns that are written.
    pub(super) columns: &'static [(&'static str, Column)],
    /// What they hold, as a query of SQLite.
    pub(super) rows: &'static str,
    /// What SQL cannot say.
    pub(super) mend: fn(&mut [Value]) -> Result<()>,
}

fn as_is(_: &mut [Value]) -> Result<()> {
    Ok(())
}

/// When a message's state changed stands in its packed progress.
fn changed(row: &mut [Value]) -> Result<()> {
    let damaged = || StoreError::Corrupt("a message in the database is damaged".to_owned());
    let at = match row.get(CHANGED + 1) {
        Some(Value::Blob(bytes)) => progress(bytes)?.changed_at,
        _ => return Err(damaged()),
    };
    let place = row.get_mut(CHANGED).ok_or_else(damaged)?;
    *place = at.map_or(Value::Null, |at| Value::Integer(at.as_millis()));
    Ok(())
}

/// Where `changed` stands among the columns of a message; `progress` comes next.
const CHANGED: usize = 12;

const fn plain(name: &'static str, columns: &'static [(&'static str, Column)], rows: &'static str) -> Table {
    Table { name, columns, rows, mend: as_is }
}

/// All tables but `meta` and `nodes`.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "messages",
        columns: &[
            ("key", Number),
            ("tail", Number),
            ("sub", Text),
            ("number", Number),
            ("block", Number),
            ("country", Number),
            ("state", Number),
            ("due", Number),
            ("expires", Number),
            ("verification", Number),
            ("batch", Number),
            ("marks", Number),
            ("changed", Number),
            ("progress", Bytes),
            ("dims", Bytes),
            ("body", Bytes),
            ("content", Bytes),
        ],
        rows: "SELECT m.row, tail, s.name, number, block, country, state, due, expires, verification, \
               batch, marks, NULL, progress, dims, body, text FROM messages m LEFT JOIN subaccounts s ON s.id = m.sub",
        mend: changed,
    },
    plain(
        "provider_refs",
        &[("hash", Number), ("key", Number)],
        "SELECT hash, row FROM provider_refs r \
         WHERE EXISTS (SELECT 1 FROM messages m WHERE m.row = r.row)",
    ),
    plain(
        "verifications",
        &[
            ("key", Number),
            ("sub", Text),
            ("number", Number),
            ("state", Number),
            ("expires", Number),
            ("verified", Number),
            ("given_until", Number),
            ("revision", Number),
            ("body", Bytes),
        ],
        "SELECT row, s.name, number, state, expires, verified, given_until, revision, body \
         FROM verifications v LEFT JOIN subaccounts s ON s.id = v.sub",
    ),
    plain(
        "open_verifications",
        &[("sub", Text), ("number", Number), ("key", Number), ("begun", Number), ("expires", Number)],
        // The newest pending one of each number, in its own row or in that of its message; begun when its id was given.
        "SELECT s.name, o.number, max(o.row), max(o.row) >> 20, o.expires FROM \
           (SELECT row, sub, number, expires FROM verifications WHERE state = 0 UNION ALL \
            SELECT row, sub, number, expires FROM messages m WHERE verification = row AND expires IS NOT NULL \
              AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.row = m.row)) o \
         LEFT JOIN subaccounts s ON s.id = o.sub GROUP BY o.sub, o.number",
    ),
    plain(
        "failure_budgets",
        &[("number", Number), ("body", Text)],
        "SELECT number, body FROM failure_budgets",
    ),
    plain(
        "known_numbers",
        &[("number", Number), ("first", Number), ("last", Number)],
        "SELECT number, first, last FROM known_numbers",
    ),
    plain(
        "decision_batches",
        &[("first", Number), ("last", Number), ("body", Bytes)],
        "SELECT first, last, body FROM decision_batches",
    ),
    plain("checkpoints", &[("key", Number), ("body", Bytes)], "SELECT row, body FROM checkpoints"),
    plain("allows", &[("key", Number), ("body", Bytes)], "SELECT row, body FROM allows"),
    plain(
        "idempotency",
        &[("hash", Number), ("at", Number), ("body", Bytes)],
        // The end of its six hours: kept rather too long than too short.
        "SELECT hash, (max(bucket) + 1) * 21600000 - 1, body FROM idempotency GROUP BY hash",
    ),
    plain(
        "hooks",
        &[
            ("key", Number),
            ("tail", Number),
            ("due", Number),
            ("ready", Number),
            ("tries", Number),
            ("body", Bytes),
        ],
        "SELECT row, tail, due, due, tries, body FROM hooks",
    ),
    plain("evidence", &[("seq", Number), ("body", Bytes)], "SELECT seq, body FROM evidence"),
    plain(
        "documents",
        &[
            ("seq", Number),
            ("collection", Text),
            ("id", Text),
            ("name", Text),
            ("revision", Number),
            ("created", Number),
            ("updated", Number),
            ("body", Bytes),
        ],
        "SELECT seq, collection, id, name, revision, created, updated, body FROM documents",
    ),
    plain(
        "opt_outs",
        &[("key", Number), ("tail", Number), ("number", Number), ("sub", Text), ("body", Bytes)],
        "SELECT row, tail, number, sub, body FROM opt_outs",
    ),
    plain("audit", &[("key", Number), ("body", Bytes)], "SELECT row, body FROM audit"),
    plain("key_uses", &[("id", Text), ("at", Number), ("ip", Bytes)], "SELECT key, at, ip FROM key_uses"),
    plain("list_batches", &[("batch", Number), ("list", Text)], "SELECT batch, list FROM list_batches"),
    plain(
        "list_entries",
        &[("key", Number), ("tail", Number), ("batch", Number), ("body", Bytes)],
        "SELECT row, tail, batch, body FROM list_entries",
    ),
    plain(
        "hits",
        &[("id", Text), ("hits", Number), ("enforced", Number), ("last", Number)],
        "SELECT id, hits, enforced, last FROM hits",
    ),
    plain(
        "lookups",
        &[("number", Number), ("sub", Text), ("at", Number), ("body", Bytes)],
        "SELECT number, sub, at, body FROM lookups",
    ),
    plain(
        "erasures",
        &[("key", Number), ("tail", Number), ("done", Truth), ("body", Bytes)],
        "SELECT row, tail, done, body FROM erasures",
    ),
    plain(
        "notes",
        &[
            ("key", Number),
            ("tail", Number),
            ("kind", Text),
            ("number", Number),
            ("scope", Text),
            ("at", Number),
            ("body", Bytes),
        ],
        "SELECT row, tail, kind, number, scope, at, body FROM notes",
    ),
    plain(
        "mask_sessions",
        &[
            ("key", Number),
            ("tail", Number),
            ("sub", Text),
            ("a", Number),
            ("b", Number),
            ("ends", Number),
            ("over", Truth),
            ("revision", Number),
            ("body", Bytes),
        ],
        "SELECT row, tail, sub, a, b, ends, over, revision, body FROM mask_sessions",
    ),
    plain(
        "mask_pairs",
        &[("mask", Number), ("caller", Number), ("session", Number), ("free", Number)],
        "SELECT mask, caller, session, free FROM mask_pairs",
    ),
    plain(
        "mask_calls",
        &[
            ("key", Number),
            ("tail", Number),
            ("sub", Text),
            ("session", Number),
            ("mask", Number),
            ("caller", Number),
            ("callee", Number),
            ("reference", Number),
            ("result", Number),
            ("revision", Number),
            ("body", Bytes),
        ],
        "SELECT row, tail, sub, session, mask, caller, callee, reference, result, revision, body FROM mask_calls",
    ),
    plain(
        "data_keys",
        &[("id", Number), ("state", Number), ("made", Number), ("wrapped", Bytes)],
        "SELECT id, state, made, wrapped FROM data_keys",
    ),
];

/// Numbers that PostgreSQL gives go on above those that were imported.
pub(super) const AFTERWARDS: &str = "
SELECT setval(pg_get_serial_sequence('documents', 'seq'), max(seq)) FROM documents HAVING max(seq) > 0;
SELECT setval(pg_get_serial_sequence('list_batches', 'batch'), max(batch)) FROM list_batches HAVING max(batch) > 0;
";
