//! What is set up: documents, and who changed what.

use rusqlite::{OptionalExtension, Row, params};
use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::audit;
use super::db::View;
use super::messages::Conditions;
use super::writer::Turn;
use crate::records::{AuditEntry, Document, Page};
use crate::sealed::{chain, setup};
use crate::{Result, StoreError};

/// All documents of a collection, oldest first.
pub(super) fn list(view: View<'_>, collection: &str) -> Result<Vec<Document>> {
    let mut select = view.conn.prepare_cached(
        "SELECT id, name, body, revision, created, updated FROM documents WHERE collection = ?1 ORDER BY seq",
    )?;
    let mut rows = select.query([collection])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let id: String = r.get(0)?;
        found.push(Document {
            collection: collection.to_owned(),
            name: r.get(1)?,
            body: setup::open_document(view.vault(), collection, &id, &r.get::<_, Vec<u8>>(2)?)?,
            revision: r.get::<_, i64>(3)?.cast_unsigned(),
            created_at: Timestamp::from_millis(r.get(4)?),
            updated_at: Timestamp::from_millis(r.get(5)?),
            id,
        });
    }
    Ok(found)
}

fn taken(turn: &Turn<'_>, document: &Document, own: bool) -> Result<()> {
    let sql =
        "SELECT id FROM documents WHERE collection = ?1 AND (id = ?2 OR name = ?3) AND (?4 = 0 OR id <> ?2)";
    let mut select = turn.view.conn.prepare_cached(sql)?;
    let values = params![document.collection, document.id, document.name, own];
    let other: Option<String> = select.query_row(values, |r| r.get(0)).optional()?;
    match other {
        None => Ok(()),
        Some(id) if id == document.id => Err(StoreError::Duplicate(id)),
        Some(_) => Err(StoreError::Duplicate(document.name.clone().unwrap_or_default())),
    }
}

/// Writes a new document.
pub(super) fn create(turn: &mut Turn<'_>, document: &Document, audit: &AuditEntry) -> Result<u64> {
    taken(turn, document, false)?;
    let body = setup::seal_document(turn.view.vault(), document)?;
    let sql = "INSERT INTO documents (collection, id, name, revision, created, updated, body) \
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6)";
    turn.view.conn.prepare_cached(sql)?.execute(params![
        document.collection,
        document.id,
        document.name,
        document.created_at.as_millis(),
        document.updated_at.as_millis(),
        body,
    ])?;
    write_audit(turn, audit)?;
    next_version(turn)
}

/// Replaces a document that nobody changed in the meantime.
pub(super) fn replace(turn: &mut Turn<'_>, document: &Document, audit: &AuditEntry) -> Result<u64> {
    let sql = "SELECT revision FROM documents WHERE collection = ?1 AND id = ?2";
    let stored: Option<i64> = turn
        .view
        .conn
        .prepare_cached(sql)?
        .query_row([&document.collection, &document.id], |r| r.get(0))
        .optional()?;
    if stored != Some(document.revision.cast_signed()) {
        return Err(StoreError::Conflict);
    }
    taken(turn, document, true)?;
    let body = setup::seal_document(turn.view.vault(), document)?;
    let sql = "UPDATE documents SET name = ?3, revision = revision + 1, updated = ?4, body = ?5 \
         WHERE collection = ?1 AND id = ?2";
    let updated = document.updated_at.as_millis();
    turn.view.conn.prepare_cached(sql)?.execute(params![
        document.collection,
        document.id,
        document.name,
        updated,
        body
    ])?;
    write_audit(turn, audit)?;
    next_version(turn)
}

/// Deletes a document; nothing is written when there is none.
pub(super) fn delete(turn: &mut Turn<'_>, collection: &str, id: &str, audit: &AuditEntry) -> Result<bool> {
    let sql = "DELETE FROM documents WHERE collection = ?1 AND id = ?2";
    let gone = turn.view.conn.prepare_cached(sql)?.execute([collection, id])? > 0;
    if gone {
        write_audit(turn, audit)?;
        next_version(turn)?;
    }
    Ok(gone)
}

/// Grows with every change.
pub(super) fn version(view: View<'_>) -> Result<u64> {
    let mut select = view.conn.prepare_cached("SELECT value FROM meta WHERE key = 'version'")?;
    Ok(select.query_row([], |r| r.get::<_, i64>(0)).optional()?.unwrap_or(0).cast_unsigned())
}

fn next_version(turn: &Turn<'_>) -> Result<u64> {
    let next = version(turn.view)? + 1;
    let sql = "INSERT OR REPLACE INTO meta VALUES ('version', ?1)";
    turn.view.conn.prepare_cached(sql)?.execute([next.cast_signed()])?;
    Ok(next)
}

/// Adds to the audit log. Its keys grow with time and never repeat.
pub(super) fn write_audit(turn: &mut Turn<'_>, entry: &AuditEntry) -> Result<()> {
    let row = Id::first_row(entry.at).max(turn.hot().last_audit + 1);
    audit::write(turn, row, entry)?;
    turn.hot().last_audit = row;
    Ok(())
}

/// The audit log, newest first.
pub(super) fn audit_log(view: View<'_>, page: Page) -> Result<Vec<AuditEntry>> {
    let mut conditions = Conditions::default();
    conditions.rows("row", page.before, None, None);
    let mut found = Vec::new();
    conditions.select(view, "row, body FROM audit", "row", page.limit, &mut |r| {
        let sealed: Vec<u8> = r.get(1)?;
        found.push(chain::open_audit(view.vault(), r.get(0)?, &sealed)?);
        Ok(())
    })?;
    Ok(found)
}

/// Notes uses of keys; an older note does not replace a newer one.
pub(super) fn touch_keys(turn: &Turn<'_>, used: &[(String, Timestamp, String)]) -> Result<()> {
    let sql = "INSERT INTO key_uses (key, at, ip) VALUES (?1, ?2, ?3) \
         ON CONFLICT (key) DO UPDATE SET at = excluded.at, ip = excluded.ip WHERE excluded.at >= at";
    for (key, at, ip) in used {
        let sealed = setup::seal_key_use(turn.view.vault(), ip)?;
        turn.view.conn.prepare_cached(sql)?.execute(params![key, at.as_millis(), sealed])?;
    }
    Ok(())
}

/// All uses of keys.
pub(super) fn key_uses(view: View<'_>) -> Result<Vec<(String, Timestamp, String)>> {
    let mut select = view.conn.prepare_cached("SELECT key, at, ip FROM key_uses ORDER BY key")?;
    let read = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
    let rows: Vec<(String, i64, Vec<u8>)> = select.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .map(|(key, at, sealed)| {
            Ok((key, Timestamp::from_millis(at), setup::open_key_use(view.vault(), &sealed)?))
        })
        .collect()
}
