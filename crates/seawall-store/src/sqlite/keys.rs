//! Data keys, and sealing again what older ones sealed: a few hundred values at a time, in the writer's turn.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::db::View;
use super::writer::Turn;
use crate::keys::{DataKeys, Resealing};
use crate::tables::{Column, SQLITE};
use crate::vault::{KeyState, Vault, WrappedKey};
use crate::{Result, StoreError};

/// Values of one step.
const STEP: i64 = 200;

/// The keys as they are stored.
pub(super) fn load(conn: &Connection) -> Result<Vec<WrappedKey>> {
    let mut select = conn.prepare("SELECT id, state, made, wrapped FROM data_keys ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let state = KeyState::from_i64(row.get(1)?).ok_or_else(|| crate::sealed::damaged("a data key"))?;
        found.push(WrappedKey { id: row.get(0)?, state, made_at: row.get(2)?, wrapped: row.get(3)? });
    }
    Ok(found)
}

fn store(conn: &Connection, rows: &[WrappedKey]) -> Result<()> {
    conn.execute("DELETE FROM data_keys", [])?;
    let mut insert =
        conn.prepare("INSERT INTO data_keys (id, state, made, wrapped) VALUES (?1, ?2, ?3, ?4)")?;
    for row in rows {
        insert.execute(params![row.id, row.state.as_i64(), row.made_at, row.wrapped])?;
    }
    Ok(())
}

/// Opens the vault with the keys of this database, which is only read.
pub(super) fn unlock(conn: &Connection, vault: &Vault) -> Result<()> {
    if vault.is_open() { Ok(()) } else { vault.unlock(&load(conn)?) }
}

/// Opens the vault with the keys of this database, or makes the keys of a new one.
pub(super) fn open(conn: &Connection, vault: &Vault) -> Result<()> {
    if vault.is_open() {
        return Ok(());
    }
    let rows = load(conn)?;
    if !rows.is_empty() {
        return vault.unlock(&rows);
    }
    let used: i64 = conn.query_row("SELECT count(*) FROM meta WHERE key = 'vault'", [], |r| r.get(0))?;
    if used > 0 {
        let why = "the database names no data keys, and something is sealed in it; restore it from a backup";
        return Err(StoreError::Corrupt(why.to_owned()));
    }
    store(conn, &vault.found()?)
}

/// Values of a column that older keys sealed, from a key on: key, place, value.
fn older(view: View<'_>, column: &Column, after: Option<i64>) -> Result<Vec<(i64, String, Vec<u8>)>> {
    let Column { table, column: name, key, only, .. } = column;
    let place = column.place_sql();
    let sql = format!(
        "SELECT {key}, CAST({place} AS TEXT), {name} FROM {table} \
         WHERE {key} >= ?1 AND substr({name}, 1, 1) <> ?2{only} ORDER BY 1 LIMIT {STEP}"
    );
    let mut select = view.conn.prepare_cached(&sql)?;
    let current = vec![view.vault().sealing_key()];
    let rows = select
        .query_map(params![after.unwrap_or(i64::MIN), current], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn step(turn: &Turn<'_>, mut at: Resealing) -> Result<Resealing> {
    let Some(column) = SQLITE.get(at.table) else { return Ok(Resealing { finished: true, ..at }) };
    let found = older(turn.view, column, at.after)?;
    let Column { table, column: name, key, only, .. } = column;
    let sql = format!("UPDATE {table} SET {name} = ?3 WHERE {key} = ?1 AND {name} = ?2{only}");
    let mut update = turn.view.conn.prepare_cached(&sql)?;
    for (row, place, sealed) in &found {
        let again = column.again(turn.view.vault(), place, sealed)?;
        at.done += u64::try_from(update.execute(params![row, sealed, again])?).unwrap_or(0);
        at.after = Some(*row);
    }
    if found.is_empty() {
        at = Resealing { table: at.table + 1, after: None, ..at };
    }
    Ok(at)
}

fn count(view: View<'_>) -> Result<u64> {
    let mut all = 0;
    for Column { table, column, only, .. } in &SQLITE {
        let sql = format!("SELECT count(*) FROM {table} WHERE substr({column}, 1, 1) <> ?1{only}");
        let current = vec![view.vault().sealing_key()];
        let some: i64 = view.conn.prepare_cached(&sql)?.query_row([current], |r| r.get(0))?;
        all += some.unsigned_abs();
    }
    Ok(all)
}

#[async_trait]
impl DataKeys for SqliteStore {
    async fn data_keys(&self) -> Result<Vec<WrappedKey>> {
        self.db.list(|view| load(view.conn)).await
    }

    async fn replace_data_keys(&self, before: Vec<WrappedKey>, after: Vec<WrappedKey>) -> Result<()> {
        let replace = move |turn: &mut Turn<'_>| match load(turn.view.conn)? == before {
            true => store(turn.view.conn, &after),
            false => Err(StoreError::Conflict),
        };
        self.db.write(1, replace).await
    }

    async fn reseal(&self, from: Resealing) -> Result<Resealing> {
        self.db.write(usize::try_from(STEP).unwrap_or(1), move |turn| step(turn, from)).await
    }

    async fn sealed_before(&self) -> Result<u64> {
        self.db.list(count).await
    }
}

#[cfg(any(test, feature = "conformance"))]
impl SqliteStore {
    /// Everything that is sealed in the database, opened.
    pub async fn opened(&self) -> Result<Vec<crate::conformance::Opened>> {
        self.db
            .list(|view| {
                let mut found = Vec::new();
                for column in &SQLITE {
                    let Column { table, column: name, only, .. } = column;
                    let place = column.place_sql();
                    let sql = format!(
                        "SELECT CAST({place} AS TEXT), {name} FROM {table} WHERE length({name}) > 0{only}"
                    );
                    let mut select = view.conn.prepare(&sql)?;
                    let mut rows = select.query([])?;
                    while let Some(row) = rows.next()? {
                        let (place, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                        found.push(column.opened(view.vault(), &place, &sealed)?);
                    }
                }
                Ok(found)
            })
            .await
    }
}
