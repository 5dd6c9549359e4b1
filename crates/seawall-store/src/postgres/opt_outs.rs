//! Numbers that want no more messages. Asked for with every send: another node may have heard a STOP.

use hashbrown::HashMap;
use seawall_core::consent::OptOutScope;
use seawall_core::msisdn::Msisdn;
use tokio_postgres::Row;

use super::conn::{Conn, Db};
use super::documents::{changing, write_audit};
use super::query::Conditions;
use super::reader::Question;
use crate::Result;
use crate::records::{AuditEntry, OptOut, Page};
use crate::sealed::{number_hash, setup};
use crate::vault::Vault;

const COLUMNS: &str = "key, tail, sub, body, number FROM opt_outs";
/// Where the keyed hash of the number stands in them.
const NUMBER: usize = 4;

fn read(vault: &Vault, row: &Row) -> Result<OptOut> {
    setup::open_opt_out(vault, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)
}

/// Entries of a number by its keyed hash, oldest first.
pub(super) async fn of_number(conn: &mut Conn, vault: &Vault, number: i64) -> Result<Vec<OptOut>> {
    let rows = conn.rows(&format!("SELECT {COLUMNS} WHERE number = $1 ORDER BY key"), &[&number]).await?;
    rows.iter().map(|row| read(vault, row)).collect()
}

/// How far the entries of a number reach, by its keyed hash.
pub(super) struct Scopes(pub(super) i64);

impl Question for Scopes {
    type Answer = Vec<OptOutScope>;

    async fn ask(all: &[Self], conn: &Conn, vault: &Vault) -> Result<Vec<Result<Self::Answer>>> {
        let numbers: Vec<i64> = all.iter().map(|question| question.0).collect();
        let sql = format!("SELECT {COLUMNS} WHERE number = ANY($1) ORDER BY key");
        let rows = conn.rows(&sql, &[&numbers]).await?;
        let mut found: HashMap<i64, Vec<&Row>> = HashMap::new();
        for row in &rows {
            found.entry(row.try_get(NUMBER)?).or_default().push(row);
        }
        let scope = |row: &&Row| read(vault, row).map(|entry| entry.scope);
        let of = |number| found.get(number).into_iter().flatten().map(scope).collect();
        Ok(numbers.iter().map(of).collect())
    }
}

/// Adds an entry, or returns the one that reaches as far, with the end of the new one.
pub(super) async fn add(db: &Db, entry: OptOut, audit: &AuditEntry) -> Result<OptOut> {
    let number = number_hash(&db.vault, entry.msisdn);
    let mut conn = changing(db).await?;
    let known = of_number(&mut conn, &db.vault, number).await?;
    let there = known.into_iter().find(|own| own.scope.reaches_as(&entry.scope));
    let kept = match there {
        Some(own) if own.scope.until.is_none() || own.scope.until == entry.scope.until => return Ok(own),
        Some(mut own) => {
            own.scope.until = entry.scope.until;
            rewrite(&mut conn, &db.vault, &own).await?;
            own
        }
        None => {
            let sql = "INSERT INTO opt_outs (key, tail, number, sub, body) VALUES ($1, $2, $3, $4, $5)";
            let (key, tail) = (entry.id.row(), entry.id.tail().cast_signed());
            let body = setup::seal_opt_out(&db.vault, &entry)?;
            conn.run(sql, &[&key, &tail, &number, &entry.scope.subaccount, &body]).await?;
            entry
        }
    };
    write_audit(&mut conn, &db.vault, audit).await?;
    conn.commit().await?;
    Ok(kept)
}

/// Writes what an entry says anew. It stays in force for the number whose keyed hash stands in its row.
pub(super) async fn rewrite(conn: &mut Conn, vault: &Vault, entry: &OptOut) -> Result<()> {
    let body = setup::seal_opt_out(vault, entry)?;
    conn.run("UPDATE opt_outs SET body = $2 WHERE key = $1", &[&entry.id.row(), &body]).await.map(drop)
}

/// Removes the entry of a number that reaches as far as a scope, or all of them.
pub(super) async fn remove(
    db: &Db,
    msisdn: Msisdn,
    scope: Option<&OptOutScope>,
    audit: &AuditEntry,
) -> Result<usize> {
    let number = number_hash(&db.vault, msisdn);
    let mut conn = changing(db).await?;
    let known = of_number(&mut conn, &db.vault, number).await?;
    let gone = known.iter().filter(|own| scope.is_none_or(|scope| scope.reaches_as(&own.scope)));
    let keys: Vec<i64> = gone.map(|own| own.id.row()).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    conn.run("DELETE FROM opt_outs WHERE key = ANY($1)", &[&keys]).await?;
    write_audit(&mut conn, &db.vault, audit).await?;
    conn.commit().await?;
    Ok(keys.len())
}

/// Entries, newest first.
pub(super) async fn list(db: &Db, page: Page) -> Result<Vec<OptOut>> {
    let mut conditions = Conditions::default();
    conditions.keys(page.before, None, None);
    let rows = conditions.newest(&mut db.patient().await?, COLUMNS, page.limit).await?;
    rows.iter().map(|row| read(&db.vault, row)).collect()
}
