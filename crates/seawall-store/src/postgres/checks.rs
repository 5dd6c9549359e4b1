//! Presenting a code: the number is locked, so that all nodes together look at no more codes than may be.

use seawall_core::id::Id;
use seawall_core::verification::{Checked, FailureBudget};

use super::conn::{Conn, Db};
use super::{known, verifications};
use crate::records::VerificationRecord;
use crate::sealed::number_hash;
use crate::{CheckStep, Result};

/// Presents a code.
pub(super) async fn check(
    db: &Db,
    subaccount: &str,
    id: Id,
    step: CheckStep,
) -> Result<Option<(Checked, VerificationRecord)>> {
    db.node.check()?;
    let mut conn = db.soon().await?;
    let Some(seen) = verifications::get(&mut conn, &db.vault, Some(subaccount), id).await? else {
        return Ok(None);
    };
    let number = number_hash(&db.vault, seen.to);
    conn.begin().await?;
    conn.lock_number(number).await?;
    // Again, now that nobody else may change it.
    let Some(mut record) = verifications::get(&mut conn, &db.vault, Some(subaccount), id).await? else {
        return Ok(None);
    };
    let budget_before = budget(&mut conn, number).await?;
    let (mut budget, before) = (budget_before.clone(), record.clone());
    let checked = step(&mut record, &mut budget);
    if record != before {
        record.revision += 1;
        verifications::write(&mut conn, &db.vault, number, &mut record).await?;
    }
    if checked == Checked::Right
        && let Some(at) = record.lifecycle.verified_at
    {
        known::note(&mut conn, number, at).await?;
    }
    if budget != budget_before {
        write_budget(&mut conn, number, &budget).await?;
    }
    conn.commit().await?;
    Ok(Some((checked, record)))
}

async fn budget(conn: &mut Conn, number: i64) -> Result<FailureBudget> {
    let row = conn.row("SELECT body FROM failure_budgets WHERE number = $1", &[&number]).await?;
    let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

async fn write_budget(conn: &mut Conn, number: i64, budget: &FailureBudget) -> Result<()> {
    if *budget == FailureBudget::default() {
        return conn.run("DELETE FROM failure_budgets WHERE number = $1", &[&number]).await.map(drop);
    }
    let sql = "INSERT INTO failure_budgets (number, body) VALUES ($1, $2) \
         ON CONFLICT (number) DO UPDATE SET body = excluded.body";
    conn.run(sql, &[&number, &serde_json::to_string(budget)?]).await.map(drop)
}
