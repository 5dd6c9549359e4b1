//! Reading messages: one by its id or reference, lists by filter.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::codec::{self, MESSAGE_COLUMNS};
use super::db::View;
use super::{numbers, verifications};
use crate::Result;
use crate::records::{MessageFilter, MessageRecord, Page};
use crate::sealed::way::{is_theirs, own_id, reference_hash};

/// The message in a row.
pub(super) fn by_row(view: View<'_>, row: i64) -> Result<Option<MessageRecord>> {
    let mut select = view.conn.prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} WHERE m.row = ?1"))?;
    let mut rows = select.query([row])?;
    rows.next()?.map(|r| codec::message(view, r)).transpose()
}

/// One message; nothing if the unguessable half of the id or the subaccount is wrong.
pub(super) fn get(view: View<'_>, subaccount: Option<&str>, id: Id) -> Result<Option<MessageRecord>> {
    let found = by_row(view, id.row())?;
    Ok(found.filter(|m| m.id == id && subaccount.is_none_or(|s| s == m.subaccount)))
}

/// The message that a provider knows by this reference.
pub(super) fn by_reference(view: View<'_>, provider: &str, reference: &str) -> Result<Option<Id>> {
    if let Some(id) = own_id(reference)
        && let Some(message) = get(view, None, id)?
    {
        return Ok(is_theirs(&message.progress, provider, reference).then_some(id));
    }
    let hash = reference_hash(view.vault(), provider, reference);
    let buckets = view.hot().buckets.newest_first();
    let mut select = view.conn.prepare_cached(
        "SELECT m.row, m.tail FROM provider_refs r JOIN messages m ON m.row = r.row WHERE r.bucket = ?1 AND r.hash = ?2",
    )?;
    for bucket in buckets {
        let id = |r: &Row<'_>| Ok(Id::new(r.get(0)?, r.get::<_, i64>(1)?.cast_unsigned()));
        if let Some(id) = select.query_row([bucket, hash], id).optional()? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Conditions of a list, and their values.
#[derive(Clone, Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition that ends with the place of its value, such as `m.state =`.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.raw(&format!("{condition} ?"));
        self.values.push(value.into());
    }

    /// Adds a condition without a value.
    pub(super) fn raw(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// Rows of a page between two times.
    pub(super) fn rows(
        &mut self,
        column: &str,
        before: Option<i64>,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) {
        if let Some(from) = from {
            self.and(&format!("{column} >="), Id::first_row(from));
        }
        let end = to.map(Id::first_row).into_iter().chain(before).min();
        if let Some(end) = end {
            self.and(&format!("{column} <"), end);
        }
    }

    /// Of one subaccount; false when no such subaccount ever had anything.
    pub(super) fn subaccount(&mut self, view: View<'_>, column: &str, name: Option<&str>) -> bool {
        let Some(name) = name else { return true };
        let id = view.hot().subs.id(name);
        if let Some(id) = id {
            self.and(&format!("{column} ="), id);
        }
        id.is_some()
    }

    /// Runs `SELECT columns … ORDER BY … LIMIT` and hands each row to `each`.
    pub(super) fn select(
        &self,
        view: View<'_>,
        columns: &str,
        order: &str,
        limit: usize,
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let sql = format!("SELECT {columns}{} ORDER BY {order} DESC LIMIT ?", self.sql);
        self.query(view, &sql, limit, each)
    }

    /// The same where `columns` ends with a condition.
    pub(super) fn further(
        &self,
        view: View<'_>,
        columns: &str,
        order: &str,
        limit: usize,
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let more = self.sql.replacen(" WHERE ", " AND ", 1);
        self.query(view, &format!("SELECT {columns}{more} ORDER BY {order} DESC LIMIT ?"), limit, each)
    }

    fn query(
        &self,
        view: View<'_>,
        sql: &str,
        limit: usize,
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut select = view.conn.prepare_cached(sql)?;
        let limit = Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut rows = select.query(params_from_iter(self.values.iter().chain([&limit])))?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

/// Messages, newest first.
pub(super) fn list(view: View<'_>, filter: &MessageFilter, page: Page) -> Result<Vec<MessageRecord>> {
    let mut conditions = Conditions::default();
    let mut to = filter.to;
    if let Some(id) = filter.verification {
        let Some(verification) = verifications::get(view, None, id)? else {
            return Ok(Vec::new());
        };
        if to.is_some_and(|to| to != verification.to) {
            return Ok(Vec::new());
        }
        to = Some(verification.to);
        conditions.and("m.verification =", id.row());
        // A verification is as old as its first message, or a moment younger.
        conditions.and("m.row >=", Id::first_row(id.at().minus(Duration::from_secs(60))));
    }
    conditions.rows("m.row", page.before, filter.from, filter.to_time);
    if !conditions.subaccount(view, "m.sub", filter.subaccount.as_deref()) {
        return Ok(Vec::new());
    }
    if let Some(state) = filter.state {
        conditions.and("m.state =", i64::from(state.as_u8()));
    }
    if let Some(batch) = filter.batch {
        conditions.and("m.batch =", batch.row());
    }
    if !filter.countries.is_empty() {
        let codes: Vec<String> =
            filter.countries.iter().map(|&country| codec::country_code(country).to_string()).collect();
        conditions.raw(&format!("m.country IN ({})", codes.join(",")));
    }
    let mut found = Vec::new();
    run(view, &conditions, to, page.limit, MESSAGE_COLUMNS, &mut |r| {
        let message = codec::message(view, r)?;
        // The keyed hash of an erased one still stands in its row.
        if to.is_none_or(|to| to == message.to) {
            found.push(message);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Rows that are looked for by one statement.
const CHUNK: usize = 256;

/// Runs a list over all messages, or over those to one number.
pub(super) fn run(
    view: View<'_>,
    conditions: &Conditions,
    to: Option<Msisdn>,
    limit: usize,
    columns: &str,
    each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let Some(to) = to else {
        return conditions.select(view, columns, "m.row", limit, each);
    };
    let number = codec::number_hash(view.vault(), to);
    let (rows, mut left) = (numbers::rows(view, number)?, limit);
    for chunk in rows.chunks(CHUNK) {
        let rows: Vec<String> = chunk.iter().map(i64::to_string).collect();
        let mut conditions = conditions.clone();
        conditions.raw(&format!("m.row IN ({})", rows.join(",")));
        // The index keeps only a part of the hash.
        conditions.and("m.number =", number);
        conditions.select(view, columns, "m.row", left, &mut |r| {
            left = left.saturating_sub(1);
            each(r)
        })?;
        if left == 0 {
            break;
        }
    }
    Ok(())
}
