//! What is done once, whichever of the nodes does it.

use seawall_core::time::Timestamp;

use super::conn::{Conn, Db, Lock};
use crate::Result;

/// Keeps other nodes from making an installation until the connection is dropped.
pub(super) async fn installing(db: &Db) -> Result<Conn> {
    let mut conn = db.patient().await?;
    conn.begin().await?;
    conn.lock(Lock::Installation).await?;
    Ok(conn)
}

/// Whether the caller is the first to claim something until an instant.
pub(super) async fn claim(db: &Db, what: u64, now: Timestamp, until: Timestamp) -> Result<bool> {
    let sql = "INSERT INTO claims (what, until) VALUES ($1, $3) \
         ON CONFLICT (what) DO UPDATE SET until = $3 WHERE claims.until <= $2";
    let values: [i64; 3] = [what.cast_signed(), now.as_millis(), until.as_millis()];
    let [what, now, until] = &values;
    Ok(db.soon().await?.run(sql, &[what, now, until]).await? > 0)
}
