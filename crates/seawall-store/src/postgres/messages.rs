//! Reading messages: one by its id or reference, lists by filter.

use std::time::Duration;

use seawall_core::id::Id;
use tokio_postgres::Row;

use super::conn::{Conn, Db};
use super::query::Conditions;
use super::verifications;
use crate::Result;
use crate::records::{MessageFilter, MessageRecord, Page};
use crate::sealed::messages::{MessageRow, country_code};
use crate::sealed::way::{is_theirs, own_id, reference_hash};
use crate::sealed::{number_hash, time};
use crate::vault::Vault;

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str =
    "key, tail, sub, number, country, state, due, expires, dims, progress, body, content, changed";

/// Reads a message from [`COLUMNS`].
pub(super) fn read(vault: &Vault, row: &Row) -> Result<MessageRecord> {
    let message = MessageRow {
        row: row.try_get(0)?,
        tail: row.try_get(1)?,
        subaccount: row.try_get(2)?,
        number: row.try_get(3)?,
        country: row.try_get(4)?,
        state: row.try_get(5)?,
        due: row.try_get(6)?,
        expires: row.try_get(7)?,
        dims: row.try_get(8)?,
        progress: row.try_get(9)?,
        body: row.try_get(10)?,
        text: row.try_get(11)?,
    };
    let mut record = message.open(vault)?;
    record.progress.changed_at = time(row.try_get(12)?).or(record.progress.changed_at);
    Ok(record)
}

/// The message in a row.
pub(super) async fn by_key(conn: &mut Conn, vault: &Vault, key: i64) -> Result<Option<MessageRecord>> {
    let row = conn.row(&format!("SELECT {COLUMNS} FROM messages WHERE key = $1"), &[&key]).await?;
    row.map(|row| read(vault, &row)).transpose()
}

/// One message; nothing if the unguessable half of the id or the subaccount is wrong.
pub(super) async fn get(
    conn: &mut Conn,
    vault: &Vault,
    subaccount: Option<&str>,
    id: Id,
) -> Result<Option<MessageRecord>> {
    let found = by_key(conn, vault, id.row()).await?;
    Ok(found.filter(|m| m.id == id && subaccount.is_none_or(|s| s == m.subaccount)))
}

/// The message that a provider knows by this reference.
pub(super) async fn by_reference(db: &Db, provider: &str, reference: &str) -> Result<Option<Id>> {
    let mut conn = db.soon().await?;
    if let Some(id) = own_id(reference)
        && let Some(message) = get(&mut conn, &db.vault, None, id).await?
    {
        return Ok(is_theirs(&message.progress, provider, reference).then_some(id));
    }
    let hash = reference_hash(&db.vault, provider, reference);
    let sql = "SELECT m.key, m.tail FROM provider_refs r JOIN messages m ON m.key = r.key WHERE r.hash = $1 \
         ORDER BY r.key DESC LIMIT 1";
    let row = conn.row(sql, &[&hash]).await?;
    row.map(|row| Ok(Id::new(row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()))).transpose()
}

/// Messages, newest first.
pub(super) async fn list(db: &Db, filter: &MessageFilter, page: Page) -> Result<Vec<MessageRecord>> {
    let mut conn = db.patient().await?;
    let (mut conditions, mut to) = (Conditions::default(), filter.to);
    if let Some(id) = filter.verification {
        let Some(verification) = verifications::get(&mut conn, &db.vault, None, id).await? else {
            return Ok(Vec::new());
        };
        if to.is_some_and(|to| to != verification.to) {
            return Ok(Vec::new());
        }
        to = Some(verification.to);
        conditions.and("verification = ?", id.row());
        // A verification is as old as its first message, or a moment younger.
        conditions.and("key >= ?", Id::first_row(id.at().minus(Duration::from_secs(60))));
    }
    conditions.keys(page.before, filter.from, filter.to_time);
    if let Some(subaccount) = &filter.subaccount {
        conditions.and("sub = ?", subaccount.clone());
    }
    if let Some(state) = filter.state {
        conditions.and("state = ?", i64::from(state.as_u8()));
    }
    if let Some(batch) = filter.batch {
        conditions.and("batch = ?", batch.row());
    }
    if !filter.countries.is_empty() {
        let codes: Vec<i64> = filter.countries.iter().map(|&country| country_code(country)).collect();
        conditions.and("country = ANY(?)", codes);
    }
    if let Some(to) = to {
        conditions.and("number = ?", number_hash(&db.vault, to));
    }
    let rows = conditions.newest(&mut conn, &format!("{COLUMNS} FROM messages"), page.limit).await?;
    let mut found = rows.iter().map(|row| read(&db.vault, row)).collect::<Result<Vec<_>>>()?;
    // The keyed hash of an erased one still stands in its row.
    found.retain(|message| to.is_none_or(|to| to == message.to));
    Ok(found)
}
