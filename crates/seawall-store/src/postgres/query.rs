//! Statements that are put together: conditions and their values.

use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::conn::Conn;
use crate::Result;

/// Conditions of a list, and their values.
#[derive(Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// Adds a condition; `?` stands for its value.
    pub(super) fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        self.values.push(Box::new(value));
        let place = format!("${}", self.values.len());
        self.raw(&condition.replace('?', &place));
    }

    /// Adds a condition without a value.
    pub(super) fn raw(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// Keys of a page between two times.
    pub(super) fn keys(&mut self, before: Option<i64>, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let Some(from) = from {
            self.and("key >= ?", Id::first_row(from));
        }
        if let Some(end) = to.map(Id::first_row).into_iter().chain(before).min() {
            self.and("key < ?", end);
        }
    }

    /// Rows, newest key first.
    pub(super) async fn newest(&self, conn: &mut Conn, columns: &str, limit: usize) -> Result<Vec<Row>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = format!("SELECT {columns}{} ORDER BY key DESC LIMIT ${}", self.sql, self.values.len() + 1);
        let mut values: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(self.values.len() + 1);
        values.extend(self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)));
        values.push(&limit);
        conn.rows(&sql, &values).await
    }
}
