//! Verifications: presenting codes and reading.

use rusqlite::{OptionalExtension, Row, params};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_core::verification::{Checked, FailureBudget, VerificationState};

use super::accept::{note_open, write_verification};
use super::codec::{self, BEGUN_VERIFICATION, CHANGED_VERIFICATION};
use super::db::{Shared, View};
use super::known;
use super::messages::{self, Conditions};
use super::writer::Turn;
use crate::records::{Page, VerificationFilter, VerificationRecord};
use crate::{CheckStep, Result};

/// As it was changed last, or else as its message began it.
pub(super) fn by_row(view: View<'_>, row: i64) -> Result<Option<VerificationRecord>> {
    let changed = format!("SELECT {CHANGED_VERIFICATION} WHERE row = ?1");
    let begun = format!("SELECT {BEGUN_VERIFICATION} AND row = ?1");
    for sql in [changed, begun] {
        let mut select = view.conn.prepare_cached(&sql)?;
        let mut rows = select.query([row])?;
        if let Some(r) = rows.next()? {
            return codec::verification(view, r);
        }
    }
    Ok(None)
}

/// One verification; nothing if the unguessable half of the id or the subaccount is wrong.
pub(super) fn get(view: View<'_>, subaccount: Option<&str>, id: Id) -> Result<Option<VerificationRecord>> {
    let found = by_row(view, id.row())?;
    Ok(found.filter(|v| v.id == id && subaccount.is_none_or(|s| s == v.subaccount)))
}

/// The pending one in a row that memory knows.
pub(super) fn open_in(view: View<'_>, row: i64, now: Timestamp) -> Result<Option<VerificationRecord>> {
    Ok(by_row(view, row)?.filter(|v| v.lifecycle.at(now) == VerificationState::Pending))
}

/// Where memory knows a pending one of a number, if anywhere.
pub(super) fn open_row(shared: &Shared, subaccount: &str, to: Msisdn, now: Timestamp) -> Option<i64> {
    let number = codec::number_hash(&shared.vault, to);
    let hot = shared.hot();
    let sub = hot.subs.id(subaccount)?;
    hot.open.get((sub, number), now.as_millis())
}

/// Presents a code: everything from reading to writing is one step of the only writer.
pub(super) fn check(
    turn: &mut Turn<'_>,
    subaccount: &str,
    id: Id,
    step: CheckStep,
) -> Result<Option<(Checked, VerificationRecord)>> {
    let Some(mut record) = get(turn.view, Some(subaccount), id)? else {
        return Ok(None);
    };
    let number = codec::number_hash(turn.view.vault(), record.to);
    let budget_before = budget(turn.view, number)?;
    let (mut budget, before) = (budget_before.clone(), record.clone());
    let checked = step(&mut record, &mut budget);
    if record != before {
        let body = codec::seal_verification(turn.view.vault(), &mut record)?;
        let sub = turn.hot().subs.id(subaccount).ok_or_else(|| codec::damaged("a subaccount"))?;
        record.revision += 1;
        write_verification(turn, sub, number, &record, record.revision, &body)?;
        note_open(turn, sub, number, &record);
    }
    if checked == Checked::Right
        && let Some(at) = record.lifecycle.verified_at
    {
        known::note(turn, number, at)?;
    }
    if budget != budget_before {
        write_budget(turn, number, &budget)?;
    }
    Ok(Some((checked, record)))
}

fn budget(view: View<'_>, number: i64) -> Result<FailureBudget> {
    let mut select = view.conn.prepare_cached("SELECT body FROM failure_budgets WHERE number = ?1")?;
    let text: Option<String> = select.query_row([number], |r| r.get(0)).optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

fn write_budget(turn: &Turn<'_>, number: i64, budget: &FailureBudget) -> Result<()> {
    let conn = turn.view.conn;
    if *budget == FailureBudget::default() {
        conn.prepare_cached("DELETE FROM failure_budgets WHERE number = ?1")?.execute([number])?;
    } else {
        let sql = "INSERT OR REPLACE INTO failure_budgets (number, body) VALUES (?1, ?2)";
        conn.prepare_cached(sql)?.execute(params![number, serde_json::to_string(budget)?])?;
    }
    Ok(())
}

/// Verifications, newest first.
pub(super) fn list(
    view: View<'_>,
    filter: &VerificationFilter,
    page: Page,
) -> Result<Vec<VerificationRecord>> {
    let mut conditions = Conditions::default();
    conditions.rows("row", page.before, None, None);
    if !conditions.subaccount(view, "sub", filter.subaccount.as_deref()) {
        return Ok(Vec::new());
    }
    if let Some(to) = filter.to {
        let rows = of_number(view, to)?;
        conditions.raw(&format!("row IN ({})", rows.join(",")));
    }
    let (now, mut begun) = (view.shared.latest(), conditions.clone());
    let mut found = Vec::new();
    let mut take = |r: &Row<'_>| {
        found.extend(codec::verification(view, r)?);
        Ok(())
    };
    if let Some(state) = filter.state {
        in_state(&mut conditions, state, now);
    }
    conditions.select(view, CHANGED_VERIFICATION, "row", page.limit, &mut take)?;
    let as_begun = match filter.state {
        None => true,
        Some(VerificationState::Pending) => {
            begun.and("expires >", now);
            true
        }
        Some(VerificationState::Expired) => {
            begun.and("expires <=", now);
            true
        }
        Some(_) => false,
    };
    if as_begun {
        begun.further(view, BEGUN_VERIFICATION, "row", page.limit, &mut take)?;
    }
    found.sort_unstable_by_key(|v| std::cmp::Reverse(v.id));
    found.truncate(page.limit);
    Ok(found)
}

/// A pending one whose time is over counts as expired, though nobody has looked at it.
fn in_state(conditions: &mut Conditions, state: VerificationState, now: i64) {
    match state {
        VerificationState::Pending => {
            conditions.and("state =", i64::from(state.as_u8()));
            conditions.and("expires >", now);
        }
        VerificationState::Expired => {
            let pending = VerificationState::Pending.as_u8();
            conditions
                .raw(&format!("(state = {} OR (state = {pending} AND expires <= {now}))", state.as_u8()));
        }
        _ => conditions.and("state =", i64::from(state.as_u8())),
    }
}

/// Rows of a number's verifications, found through its messages: an index less for every send.
fn of_number(view: View<'_>, to: Msisdn) -> Result<Vec<String>> {
    let mut conditions = Conditions::default();
    conditions.raw("m.verification IS NOT NULL");
    let mut rows = Vec::new();
    messages::run(view, &conditions, Some(to), 10_000, "m.verification FROM messages m", &mut |r| {
        rows.push(r.get::<_, i64>(0)?);
        Ok(())
    })?;
    rows.sort_unstable();
    rows.dedup();
    Ok(rows.iter().map(i64::to_string).collect())
}

/// Erases given codes of verifications whose time is over; returns how many.
pub(super) fn erase_given(turn: &mut Turn<'_>, now: i64, limit: i64) -> Result<u64> {
    let conn = turn.view.conn;
    let mut select = conn.prepare_cached("SELECT row FROM verifications WHERE given_until <= ?1 LIMIT ?2")?;
    let rows: Vec<i64> = select.query_map([now, limit], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    for &row in &rows {
        let Some(mut record) = by_row(turn.view, row)? else {
            continue;
        };
        record.given_code = None;
        let body = codec::seal_verification(turn.view.vault(), &mut record)?;
        let sql = "UPDATE verifications SET given_until = NULL, body = ?2 WHERE row = ?1";
        conn.prepare_cached(sql)?.execute(params![row, body])?;
    }
    Ok(u64::try_from(rows.len()).unwrap_or(0))
}
