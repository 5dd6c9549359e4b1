//! What is set up: documents, and who changed what. Changes are made one at a time, by all nodes together.

use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::audit;
use super::conn::{Conn, Db, Lock};
use super::node::CHANNEL;
use super::query::Conditions;
use crate::records::{AuditEntry, Document, Page};
use crate::sealed::{chain, setup};
use crate::vault::Vault;
use crate::{Result, StoreError};

/// All documents of a collection, oldest first.
pub(super) async fn list(db: &Db, collection: &str) -> Result<Vec<Document>> {
    let sql =
        "SELECT id, name, body, revision, created, updated FROM documents WHERE collection = $1 ORDER BY seq";
    let rows = db.soon().await?.rows(sql, &[&collection]).await?;
    rows.iter().map(|row| read(&db.vault, collection, row)).collect()
}

fn read(vault: &Vault, collection: &str, row: &Row) -> Result<Document> {
    let id: String = row.try_get(0)?;
    Ok(Document {
        collection: collection.to_owned(),
        name: row.try_get(1)?,
        body: setup::open_document(vault, collection, &id, row.try_get(2)?)?,
        revision: row.try_get::<_, i64>(3)?.cast_unsigned(),
        created_at: Timestamp::from_millis(row.try_get(4)?),
        updated_at: Timestamp::from_millis(row.try_get(5)?),
        id,
    })
}

/// A connection inside a transaction in which nobody else changes what is set up.
pub(super) async fn changing(db: &Db) -> Result<Conn> {
    db.node.check()?;
    let mut conn = db.soon().await?;
    conn.begin().await?;
    conn.lock(Lock::Directory).await?;
    Ok(conn)
}

async fn taken(conn: &mut Conn, document: &Document, own: bool) -> Result<()> {
    let sql =
        "SELECT id FROM documents WHERE collection = $1 AND (id = $2 OR name = $3) AND (NOT $4 OR id <> $2)";
    let found = conn.row(sql, &[&document.collection, &document.id, &document.name, &own]).await?;
    match found.map(|row| row.try_get::<_, String>(0)).transpose()? {
        None => Ok(()),
        Some(id) if id == document.id => Err(StoreError::Duplicate(id)),
        Some(_) => Err(StoreError::Duplicate(document.name.clone().unwrap_or_default())),
    }
}

/// Writes a new document.
pub(super) async fn create(db: &Db, document: &Document, audit: &AuditEntry) -> Result<u64> {
    let mut conn = changing(db).await?;
    taken(&mut conn, document, false).await?;
    let body = setup::seal_document(&db.vault, document)?;
    let sql = "INSERT INTO documents (collection, id, name, revision, created, updated, body) \
         VALUES ($1, $2, $3, 1, $4, $5, $6)";
    let (created, updated) = (document.created_at.as_millis(), document.updated_at.as_millis());
    conn.run(sql, &[&document.collection, &document.id, &document.name, &created, &updated, &body]).await?;
    finish(conn, db, audit).await
}

/// Replaces a document that nobody changed in the meantime.
pub(super) async fn replace(db: &Db, document: &Document, audit: &AuditEntry) -> Result<u64> {
    let mut conn = changing(db).await?;
    let sql = "SELECT revision FROM documents WHERE collection = $1 AND id = $2";
    let stored = conn.row(sql, &[&document.collection, &document.id]).await?;
    let stored: Option<i64> = stored.map(|row| row.try_get(0)).transpose()?;
    if stored != Some(document.revision.cast_signed()) {
        return Err(StoreError::Conflict);
    }
    taken(&mut conn, document, true).await?;
    let body = setup::seal_document(&db.vault, document)?;
    let sql = "UPDATE documents SET name = $3, revision = revision + 1, updated = $4, body = $5 \
         WHERE collection = $1 AND id = $2";
    let updated = document.updated_at.as_millis();
    conn.run(sql, &[&document.collection, &document.id, &document.name, &updated, &body]).await?;
    finish(conn, db, audit).await
}

/// Deletes a document; nothing is written when there is none.
pub(super) async fn delete(db: &Db, collection: &str, id: &str, audit: &AuditEntry) -> Result<bool> {
    let conn = changing(db).await?;
    let gone =
        conn.run("DELETE FROM documents WHERE collection = $1 AND id = $2", &[&collection, &id]).await? > 0;
    if gone {
        finish(conn, db, audit).await?;
    }
    Ok(gone)
}

async fn finish(mut conn: Conn, db: &Db, audit: &AuditEntry) -> Result<u64> {
    write_audit(&mut conn, &db.vault, audit).await?;
    let version = count_up(&mut conn, "version").await?;
    conn.commit().await?;
    Ok(version)
}

/// Counts a change, and tells all nodes of it with the commit.
pub(super) async fn count_up(conn: &mut Conn, name: &str) -> Result<u64> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, 1) \
         ON CONFLICT (name) DO UPDATE SET value = meta.value + 1 RETURNING value";
    let row = conn.row(sql, &[&name]).await?.ok_or(StoreError::Conflict)?;
    conn.rows("SELECT pg_notify($1, '')", &[&CHANNEL]).await?;
    Ok(row.try_get::<_, i64>(0)?.cast_unsigned())
}

/// Grows with every change.
pub(super) async fn version(db: &Db) -> Result<u64> {
    let row = db.soon().await?.row("SELECT value FROM meta WHERE name = 'version'", &[]).await?;
    Ok(row.map(|row| row.try_get::<_, i64>(0)).transpose()?.unwrap_or(0).cast_unsigned())
}

/// Adds to the audit log. Its keys grow with time and never repeat. The caller holds the lock of the directory.
pub(super) async fn write_audit(conn: &mut Conn, vault: &Vault, entry: &AuditEntry) -> Result<()> {
    let sql = "SELECT greatest($1, coalesce(max(key), 0) + 1) FROM audit";
    let row = conn.row(sql, &[&Id::first_row(entry.at)]).await?.ok_or(StoreError::Conflict)?;
    let key: i64 = row.try_get(0)?;
    audit::write(conn, vault, key, entry).await
}

/// Writes an entry of the audit log that belongs to no change.
pub(super) async fn note_audit(db: &Db, entry: &AuditEntry) -> Result<()> {
    let mut conn = changing(db).await?;
    write_audit(&mut conn, &db.vault, entry).await?;
    conn.commit().await
}

/// The audit log, newest first.
pub(super) async fn audit_log(db: &Db, page: Page) -> Result<Vec<AuditEntry>> {
    let mut conditions = Conditions::default();
    conditions.keys(page.before, None, None);
    let rows = conditions.newest(&mut db.patient().await?, "key, body FROM audit", page.limit).await?;
    rows.iter().map(|row| chain::open_audit(&db.vault, row.try_get(0)?, row.try_get(1)?)).collect()
}

/// Notes uses of keys; an older note does not replace a newer one.
pub(super) async fn touch_keys(db: &Db, used: &[(String, Timestamp, String)]) -> Result<()> {
    let sql = "INSERT INTO key_uses (id, at, ip) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, ip = excluded.ip WHERE excluded.at >= key_uses.at";
    let mut sorted: Vec<_> = used.iter().collect();
    // In one order on all nodes, so that none waits for the other in a circle.
    sorted.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut conn = db.soon().await?;
    conn.begin().await?;
    for (key, at, ip) in sorted {
        conn.run(sql, &[key, &at.as_millis(), &setup::seal_key_use(&db.vault, ip)?]).await?;
    }
    conn.commit().await
}

/// All uses of keys.
pub(super) async fn key_uses(db: &Db) -> Result<Vec<(String, Timestamp, String)>> {
    let rows = db.patient().await?.rows("SELECT id, at, ip FROM key_uses ORDER BY id", &[]).await?;
    let read = |row: &Row| {
        let at = Timestamp::from_millis(row.try_get(1)?);
        Ok((row.try_get(0)?, at, setup::open_key_use(&db.vault, row.try_get(2)?)?))
    };
    rows.iter().map(read).collect()
}
