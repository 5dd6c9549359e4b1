//! Numbers that were verified once, by keyed hash.

use seawall_core::time::Timestamp;

use super::conn::{Conn, Db};
use crate::Result;
use crate::records::KnownNumber;

/// Notes a confirmed code.
pub(super) async fn note(conn: &mut Conn, number: i64, at: Timestamp) -> Result<()> {
    let sql = "INSERT INTO known_numbers AS k (number, first, last) VALUES ($1, $2, $2) \
         ON CONFLICT (number) DO UPDATE SET last = greatest(k.last, excluded.last)";
    conn.run(sql, &[&number, &at.as_millis()]).await.map(drop)
}

/// Forgets one; false when it was not known.
pub(super) async fn forget(conn: &mut Conn, number: i64) -> Result<bool> {
    Ok(conn.run("DELETE FROM known_numbers WHERE number = $1", &[&number]).await? > 0)
}

/// What is known of a number.
pub(super) async fn get(db: &Db, number: i64) -> Result<Option<KnownNumber>> {
    let sql = "SELECT first, last FROM known_numbers WHERE number = $1";
    let row = db.soon().await?.row(sql, &[&number]).await?;
    let read = |row: tokio_postgres::Row| {
        let at = |column: usize| Ok::<_, crate::StoreError>(Timestamp::from_millis(row.try_get(column)?));
        Ok(KnownNumber { first_at: at(0)?, last_at: at(1)? })
    };
    row.map(read).transpose()
}
