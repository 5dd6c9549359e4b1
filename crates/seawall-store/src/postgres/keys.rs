//! Data keys, and sealing again what older ones sealed. Nodes may do so at the same time: a value is replaced only as
//! long as it is the one that was read.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresStore;
use super::conn::{Conn, Lock};
use crate::keys::{DataKeys, Resealing};
use crate::tables::{Column, POSTGRES};
use crate::vault::{KeyState, Vault, WrappedKey};
use crate::{Result, StoreError};

/// Values of one step.
const STEP: usize = 100;

fn read(row: &Row) -> Result<WrappedKey> {
    let damaged = || crate::sealed::damaged("a data key");
    Ok(WrappedKey {
        id: u8::try_from(row.try_get::<_, i64>(0)?).map_err(|_| damaged())?,
        state: KeyState::from_i64(row.try_get(1)?).ok_or_else(damaged)?,
        made_at: row.try_get(2)?,
        wrapped: row.try_get(3)?,
    })
}

async fn load(conn: &mut Conn) -> Result<Vec<WrappedKey>> {
    let sql = "SELECT id, state, made, wrapped FROM data_keys ORDER BY id";
    conn.rows(sql, &[]).await?.iter().map(read).collect()
}

async fn store(conn: &mut Conn, rows: &[WrappedKey]) -> Result<()> {
    conn.run("DELETE FROM data_keys", &[]).await?;
    for row in rows {
        let sql = "INSERT INTO data_keys (id, state, made, wrapped) VALUES ($1, $2, $3, $4)";
        conn.run(sql, &[&i64::from(row.id), &row.state.as_i64(), &row.made_at, &row.wrapped]).await?;
    }
    Ok(())
}

/// Opens the vault with the keys of this database, or makes the keys of a new one. Within the lock of the schema.
pub(super) async fn open(conn: &mut Conn, vault: &Vault) -> Result<()> {
    if vault.is_open() {
        return Ok(());
    }
    let rows = load(conn).await?;
    if !rows.is_empty() {
        return vault.unlock(&rows);
    }
    if conn.row("SELECT 1 FROM meta WHERE name = 'vault'", &[]).await?.is_some() {
        let why = "the database names no data keys, and something is sealed in it; restore it from a backup";
        return Err(StoreError::Corrupt(why.to_owned()));
    }
    store(conn, &vault.found()?).await
}

fn current(vault: &Vault) -> i32 {
    i32::from(vault.sealing_key())
}

async fn step(conn: &mut Conn, vault: &Vault, mut at: Resealing) -> Result<Resealing> {
    let Some(column) = POSTGRES.get(at.table) else { return Ok(Resealing { finished: true, ..at }) };
    let Column { table, column: name, key, only, .. } = column;
    let place = column.place_sql();
    let sql = format!(
        "SELECT {key}, ({place})::text, {name} FROM {table} \
         WHERE {key} >= $1 AND length({name}) > 0 AND get_byte({name}, 0) <> $2{only} ORDER BY 1 LIMIT {STEP}"
    );
    let found = conn.rows(&sql, &[&at.after.unwrap_or(i64::MIN), &current(vault)]).await?;
    let update = format!("UPDATE {table} SET {name} = $3 WHERE {key} = $1 AND {name} = $2{only}");
    for row in &found {
        let (number, sealed): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(2)?);
        let again = column.again(vault, row.try_get(1)?, &sealed)?;
        at.done += conn.run(&update, &[&number, &sealed, &again]).await?;
        at.after = Some(number);
    }
    if found.is_empty() {
        at = Resealing { table: at.table + 1, after: None, ..at };
    }
    Ok(at)
}

#[async_trait]
impl DataKeys for PostgresStore {
    async fn data_keys(&self) -> Result<Vec<WrappedKey>> {
        load(&mut self.db.soon().await?).await
    }

    async fn replace_data_keys(&self, before: Vec<WrappedKey>, after: Vec<WrappedKey>) -> Result<()> {
        let mut conn = self.db.soon().await?;
        conn.begin().await?;
        conn.lock(Lock::Schema).await?;
        if load(&mut conn).await? != before {
            return Err(StoreError::Conflict);
        }
        store(&mut conn, &after).await?;
        conn.commit().await
    }

    async fn reseal(&self, from: Resealing) -> Result<Resealing> {
        step(&mut self.db.patient().await?, &self.db.vault, from).await
    }

    async fn sealed_before(&self) -> Result<u64> {
        let conn = self.db.patient().await?;
        let mut all = 0;
        for Column { table, column, only, .. } in &POSTGRES {
            let sql = format!(
                "SELECT count(*) FROM {table} WHERE length({column}) > 0 AND get_byte({column}, 0) <> $1{only}"
            );
            let row = conn.row(&sql, &[&current(&self.db.vault)]).await?;
            all += row.map_or(Ok(0), |row| row.try_get::<_, i64>(0))?.unsigned_abs();
        }
        Ok(all)
    }
}

#[cfg(any(test, feature = "conformance"))]
impl PostgresStore {
    /// Everything that is sealed in the database, opened.
    pub async fn opened(&self) -> Result<Vec<crate::conformance::Opened>> {
        let conn = self.db.patient().await?;
        let mut found = Vec::new();
        for column in &POSTGRES {
            let Column { table, column: name, only, .. } = column;
            let place = column.place_sql();
            let sql = format!("SELECT ({place})::text, {name} FROM {table} WHERE length({name}) > 0{only}");
            for row in conn.rows(&sql, &[]).await? {
                let (place, sealed): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
                found.push(column.opened(&self.db.vault, &place, &sealed)?);
            }
        }
        Ok(found)
    }
}
