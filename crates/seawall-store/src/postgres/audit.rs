//! The audit log as a chain, see [`chain`]. Nodes write it one after the other: whoever writes holds the lock of the
//! directory.

use super::conn::{Conn, Db};
use crate::Result;
use crate::audit::AuditChain;
use crate::records::AuditEntry;
use crate::sealed::chain::{self, CUT, END, Walk};
use crate::vault::Vault;

/// Entries that are read at a time.
const SOME: i64 = 1_000;

async fn mark(conn: &mut Conn, name: &str) -> Result<Option<Vec<u8>>> {
    let row = conn.row("SELECT body FROM meta WHERE name = $1", &[&name]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

async fn set_mark(conn: &mut Conn, name: &str, mark: &[u8]) -> Result<()> {
    let sql =
        "INSERT INTO meta (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body";
    conn.run(sql, &[&name, &mark]).await.map(drop)
}

/// Writes an entry behind the newest.
pub(super) async fn write(conn: &mut Conn, vault: &Vault, key: i64, entry: &AuditEntry) -> Result<()> {
    let newest = conn.row("SELECT key, body FROM audit ORDER BY key DESC LIMIT 1", &[]).await?;
    let newest = newest.map(|row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?)));
    let end = mark(conn, END).await?;
    let written = chain::seal_audit(vault, key, entry, end.as_deref(), newest.transpose()?)?;
    conn.run("INSERT INTO audit (key, body) VALUES ($1, $2)", &[&key, &written.body]).await?;
    set_mark(conn, END, &written.end).await
}

/// Takes some of the oldest entries below a key, and notes where the rest begins; how many.
pub(super) async fn prune(conn: &mut Conn, vault: &Vault, until: i64, most: i64) -> Result<u64> {
    let sql = "SELECT key, body FROM (SELECT key, body FROM audit WHERE key < $1 ORDER BY key LIMIT $2) s \
         ORDER BY key DESC LIMIT 1";
    let Some(last) = conn.row(sql, &[&until, &most]).await? else { return Ok(0) };
    let (key, body): (i64, Vec<u8>) = (last.try_get(0)?, last.try_get(1)?);
    if let Some(mark) = chain::cut(vault, key, &body) {
        set_mark(conn, CUT, &mark).await?;
    }
    conn.run("DELETE FROM audit WHERE key <= $1", &[&key]).await
}

/// Goes through the whole log.
pub(super) async fn look(db: &Db, noted: Option<String>) -> Result<AuditChain> {
    let mut conn = db.patient().await?;
    conn.begin().await?;
    // What other nodes write meanwhile is not seen in part.
    conn.script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let (end, cut) = (mark(&mut conn, END).await?, mark(&mut conn, CUT).await?);
    let mut walk = Walk::new(&db.vault, noted, end.as_deref(), cut.as_deref());
    let (sql, mut after) = ("SELECT key, body FROM audit WHERE key > $1 ORDER BY key LIMIT $2", i64::MIN);
    loop {
        let rows = conn.rows(sql, &[&after, &SOME]).await?;
        for row in &rows {
            after = row.try_get(0)?;
            walk.entry(after, row.try_get(1)?);
        }
        if rows.is_empty() {
            break;
        }
    }
    conn.commit().await?;
    Ok(walk.finish())
}
