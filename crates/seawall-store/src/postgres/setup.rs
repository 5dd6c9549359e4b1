//! A start: does the server keep what it acknowledges, are the tables ours, do the keys belong to them.

use std::sync::Arc;

use super::conn::{Conn, Db, Lock};
use super::schema::MIGRATIONS;
use crate::vault::{KEY_FILE, Place, Vault};
use crate::{Result, StoreError};

const OLDEST_SERVER: i64 = 130_000;
const VAULT_CHECK: &[u8] = b"this database belongs to this key";

/// How statements are planned. Each of ours finds its rows by an index. A plan is made once and kept, though, often while
/// its table is still empty, as the first of a day's partitions is: then reading all of it looks cheaper, and stays the plan
/// while the table grows, until the server counts its rows anew. And a plan that has no other way is not worth compiling.
const PLANS: &str =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

/// Makes a new connection ready.
pub(super) async fn ready(client: &tokio_postgres::Client) -> Result<()> {
    lasting(client).await?;
    Ok(client.batch_execute(PLANS).await?)
}

/// Refuses a session that would lose what it has acknowledged. Asked of every connection, since a fail-over may
/// lead to another server.
pub(super) async fn lasting(client: &tokio_postgres::Client) -> Result<()> {
    let row = client
        .query_one(
            "SELECT current_setting('synchronous_commit'), current_setting('fsync'), \
             current_setting('full_page_writes'), pg_is_in_recovery(), \
             current_setting('default_transaction_read_only'), current_setting('server_version_num')::bigint",
            &[],
        )
        .await?;
    let refuse = |why: String| Err(StoreError::Unavailable(why));
    for (at, name) in [(0, "synchronous_commit"), (1, "fsync"), (2, "full_page_writes")] {
        let value: String = row.try_get(at)?;
        if value == "off" {
            return refuse(format!(
                "PostgreSQL runs with {name} = off, and would forget messages that were acknowledged; switch it on"
            ));
        }
    }
    if row.try_get::<_, bool>(3)? || row.try_get::<_, String>(4)? == "on" {
        return refuse(
            "PostgreSQL is read-only, a replica perhaps; store.url has to lead to the primary".to_owned(),
        );
    }
    let version: i64 = row.try_get(5)?;
    if version < OLDEST_SERVER {
        return refuse(format!("PostgreSQL {} is too old; 13 or newer is needed", version / 10_000));
    }
    Ok(())
}

/// Takes the steps of the schema that are missing, one node at a time. Says from which schema to which.
pub(super) async fn prepare(db: &Arc<Db>) -> Result<(i64, i64)> {
    let mut conn = db.patient().await?;
    conn.begin().await?;
    conn.lock(Lock::Schema).await?;
    conn.script("CREATE TABLE IF NOT EXISTS meta (name text PRIMARY KEY, value bigint, body bytea)").await?;
    let found = conn.row("SELECT value FROM meta WHERE name = 'schema'", &[]).await?;
    let schema: i64 = found.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if schema > known {
        return Err(StoreError::Newer { found: schema, known });
    }
    for step in MIGRATIONS.iter().skip(usize::try_from(schema).unwrap_or(0)) {
        conn.script(step).await?;
    }
    let sql =
        "INSERT INTO meta (name, value) VALUES ('schema', $1) ON CONFLICT (name) DO UPDATE SET value = $1";
    if schema < known {
        conn.run(sql, &[&known]).await?;
    }
    super::keys::open(&mut conn, &db.vault).await?;
    check_vault(&mut conn, &db.vault).await?;
    conn.commit().await?;
    Ok((schema, known))
}

/// A known value, sealed, and one look-up hash: both must come out right, or nothing else would.
async fn check_vault(conn: &mut Conn, vault: &Vault) -> Result<()> {
    let place = Place::new(*b"vc", 0);
    let hash = vault.index().hash(b'v', VAULT_CHECK).cast_signed();
    let Some(row) = conn.row("SELECT value, body FROM meta WHERE name = 'vault'", &[]).await? else {
        let sealed = vault.seal(place, VAULT_CHECK)?;
        let sql = "INSERT INTO meta (name, value, body) VALUES ('vault', $1, $2)";
        return conn.run(sql, &[&hash, &sealed]).await.map(drop);
    };
    let sealed: Vec<u8> = row.try_get(1)?;
    let ours = row.try_get::<_, i64>(0)? == hash
        && vault.open_sealed(place, &sealed).is_ok_and(|plain| plain == VAULT_CHECK);
    if ours {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "{KEY_FILE} does not belong to this database; copy the key file of the node that made it, or restore it"
    )))
}
