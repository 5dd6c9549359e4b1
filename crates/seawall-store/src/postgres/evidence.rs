//! The stream that detection folds: one sealed row for what came together in a moment, of any node. Batches are
//! appended one at a time, so that whoever reads on from a number misses none; and once, however often their
//! appending is tried, because the answer to a commit may be lost.

use super::conn::{Db, Lock};
use crate::vault::Place;
use crate::{Result, StoreError};

const PLACE: [u8; 2] = *b"ev";
/// Batches read at once.
const CHUNK: i64 = 256;

/// Appends a batch and gives its number.
pub(super) async fn append(db: &Db, batch: &[u8]) -> Result<u64> {
    let token = db.vault.index().hash(b'e', batch).cast_signed();
    let mut conn = db.soon().await?;
    conn.begin().await?;
    conn.lock(Lock::Evidence).await?;
    let sql = "SELECT (SELECT seq FROM evidence WHERE token = $1), nextval(pg_get_serial_sequence('evidence', 'seq'))";
    let row = conn.row(sql, &[&token]).await?.ok_or(StoreError::Conflict)?;
    if let Some(there) = row.try_get::<_, Option<i64>>(0)? {
        return Ok(there.cast_unsigned());
    }
    let seq: i64 = row.try_get(1)?;
    let sealed = db.vault.seal(Place::new(PLACE, seq), batch)?;
    let sql = "INSERT INTO evidence (seq, token, body) VALUES ($1, $2, $3)";
    conn.run(sql, &[&seq, &token, &sealed]).await?;
    conn.commit().await?;
    Ok(seq.cast_unsigned())
}

/// The next batches after a number.
pub(super) async fn after(db: &Db, seq: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let sql = "SELECT seq, body FROM evidence WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = db.patient().await?.rows(sql, &[&seq.cast_signed(), &CHUNK]).await?;
    let open = |row: &tokio_postgres::Row| {
        let seq: i64 = row.try_get(0)?;
        Ok((seq.cast_unsigned(), db.vault.open_sealed(Place::new(PLACE, seq), row.try_get(1)?)?))
    };
    rows.iter().map(open).collect()
}

/// Forgets batches up to and including a number.
pub(super) async fn forget(db: &Db, up_to: u64) -> Result<()> {
    let mut conn = db.patient().await?;
    conn.begin().await?;
    let sql = "INSERT INTO meta (name, value) VALUES ('evidence_forgotten', $1) \
         ON CONFLICT (name) DO UPDATE SET value = greatest(meta.value, $1)";
    conn.run(sql, &[&up_to.cast_signed()]).await?;
    conn.run("DELETE FROM evidence WHERE seq <= $1", &[&up_to.cast_signed()]).await?;
    conn.commit().await
}

/// Up to which number batches are forgotten.
pub(super) async fn forgotten(db: &Db) -> Result<u64> {
    let row = db.soon().await?.row("SELECT value FROM meta WHERE name = 'evidence_forgotten'", &[]).await?;
    Ok(row.map(|row| row.try_get::<_, i64>(0)).transpose()?.unwrap_or(0).cast_unsigned())
}
