//! What a thief of the database reads: every value of every table as it stands there.

use rusqlite::types::ValueRef;

use super::SqliteStore;
use super::db::View;
use crate::Result;

/// A value as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Whose column it is, as `table.column`.
    pub column: String,
    /// The bytes of a text or a blob, the digits of a number.
    pub bytes: Vec<u8>,
}

impl SqliteStore {
    /// Every value of every table but those that are null, for tests of what must not stand there.
    pub async fn contents(&self) -> Result<Vec<Cell>> {
        self.db.list(contents).await
    }
}

fn contents(view: View<'_>) -> Result<Vec<Cell>> {
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables = view
        .conn
        .prepare(names)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let mut all = Vec::new();
    for table in tables {
        let mut every = view.conn.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns: Vec<String> = every.column_names().map(|column| format!("{table}.{column}")).collect();
        let mut rows = every.query([])?;
        while let Some(row) = rows.next()? {
            for (at, column) in columns.iter().enumerate() {
                all.extend(bytes(row.get_ref(at)?).map(|bytes| Cell { column: column.clone(), bytes }));
            }
        }
    }
    Ok(all)
}

fn bytes(value: ValueRef<'_>) -> Option<Vec<u8>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes()),
        ValueRef::Real(number) => Some(number.to_string().into_bytes()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
    }
}
