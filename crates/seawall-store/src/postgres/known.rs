//! Numbers that were verified once, by keyed hash.

use hashbrown::HashMap;
use seawall_core::time::Timestamp;

use super::conn::Conn;
use super::reader::Question;
use crate::records::KnownNumber;
use crate::vault::Vault;
use crate::{Result, StoreError};

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

/// What is known of a number, by its keyed hash.
pub(super) struct Known(pub(super) i64);

impl Question for Known {
    type Answer = Option<KnownNumber>;

    async fn ask(all: &[Self], conn: &Conn, _: &Vault) -> Result<Vec<Result<Self::Answer>>> {
        let numbers: Vec<i64> = all.iter().map(|question| question.0).collect();
        let sql = "SELECT number, first, last FROM known_numbers WHERE number = ANY($1)";
        let mut found = HashMap::new();
        for row in conn.rows(sql, &[&numbers]).await? {
            let at = |column: usize| Ok::<_, StoreError>(Timestamp::from_millis(row.try_get(column)?));
            let known = KnownNumber { first_at: at(1)?, last_at: at(2)? };
            found.insert(row.try_get::<_, i64>(0)?, known);
        }
        Ok(numbers.iter().map(|number| Ok(found.get(number).copied())).collect())
    }
}
