//! The stream that detection folds: one sealed row for what came together in a second, of any node. Batches are
//! appended one at a time, so that whoever reads on from a number misses none.

use super::conn::{Db, Lock};
use crate::vault::Place;
use crate::{Result, StoreError};

const PLACE: [u8; 2] = *b"ev";
/// Batches read at once.
const CHUNK: i64 = 256;

/// Appends a batch and gives its number.
pub(super) async fn append(db: &Db, batch: &[u8]) -> Result<u64> {
    let mut conn = db.soon().await?;
    conn.begin().await?;
    conn.lock(Lock::Evidence).await?;
    let sql = "SELECT nextval(pg_get_serial_sequence('evidence', 'seq'))";
    let seq: i64 = conn.row(sql, &[]).await?.ok_or(StoreError::Conflict)?.try_get(0)?;
    let sealed = db.vault.seal(Place::new(PLACE, seq), batch)?;
    conn.run("INSERT INTO evidence (seq, body) VALUES ($1, $2)", &[&seq, &sealed]).await?;
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
    db.patient().await?.run("DELETE FROM evidence WHERE seq <= $1", &[&up_to.cast_signed()]).await.map(drop)
}
