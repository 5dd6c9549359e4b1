//! `/admin/v1/decisions`: what was decided, and on what.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use seawall_core::client_ip::ClientIp;
use seawall_core::decision::Verdict;
use seawall_core::id::{Id, IdKind};
use seawall_core::limit::Counts;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use seawall_store::records::{DecisionFilter, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Admin;
use super::errors::missing;
use super::page::{List, row, rows, size};
use crate::app::collections::opt_outs::number;
use crate::app::{App, recorder};
use crate::http::extract::{Path, Query};
use crate::http::native::answers::Refused;
use crate::http::native::views::DecisionView;
use crate::http::problem::Problem;

const LIST: &str = "decisions";

/// Which decisions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DecisionQuery {
    /// `allow`, `challenge`, `alternative`, `throttle` or `block`.
    #[param(pattern = "^(allow|challenge|alternative|throttle|block)$")]
    pub verdict: Option<String>,
    /// Only those with this reason code.
    pub reason: Option<String>,
    /// Only those for this number, E.164 with `+`.
    pub msisdn: Option<String>,
    /// Only those with this client or caller address.
    pub ip: Option<String>,
    /// Not older than this time.
    #[param(format = DateTime)]
    pub from: Option<String>,
    /// Older than this time.
    #[param(format = DateTime)]
    pub to: Option<String>,
    /// Only those of this subaccount.
    pub subaccount_id: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// One of some words, or an error that lists them.
pub(super) fn word(field: &str, given: Option<String>, known: &[&str]) -> Result<Option<String>, Refused> {
    match given {
        Some(given) if !known.contains(&given.as_str()) => {
            let detail = format!("`{field}` has an unknown value; use one of {}.", known.join(", "));
            Err(Problem::field(field, detail).into())
        }
        given => Ok(given),
    }
}

/// A time in a query.
pub(super) fn time(field: &str, given: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    let read = |text: &str| {
        let detail =
            format!("`{field}` is not an RFC 3339 time such as 2026-01-05T10:00:00Z (encode a `+` as %2B).");
        Timestamp::parse(text).ok_or_else(|| Problem::field(field, detail).into())
    };
    given.map(read).transpose()
}

fn filter(query: DecisionQuery) -> Result<DecisionFilter, Refused> {
    use Verdict::{Allow, Alternative, Block, Challenge, Throttle};
    let all = [Allow, Challenge, Alternative, Throttle, Block];
    let verdicts = all.map(Verdict::as_str);
    let verdict = |word: String| all.into_iter().find(|verdict| verdict.as_str() == word);
    let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    let address = |text: String| {
        let detail = "`ip` is not an address such as 192.0.2.7 or 2001:db8::1.";
        ClientIp::parse(&text).ok_or_else(|| Problem::field("ip", detail))
    };
    Ok(DecisionFilter {
        subaccount: query.subaccount_id,
        verdict: word("verdict", query.verdict, &verdicts)?.and_then(verdict),
        reason: word("reason", query.reason, &reasons)?.and_then(|code| ReasonCode::parse(&code)),
        to: query.msisdn.map(|text| number("msisdn", &text)).transpose()?,
        ip: query.ip.map(address).transpose()?,
        from: time("from", query.from.as_deref())?,
        to_time: time("to", query.to.as_deref())?,
    })
}

/// Decisions, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/decisions",
    operation_id = "listDecisions",
    tag = "history",
    params(DecisionQuery),
    responses((status = 200, description = "A page.", body = List<DecisionView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<DecisionQuery>,
) -> Result<axum::Json<List<DecisionView>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let filter = filter(query)?;
    flush(&app).await;
    let found = app.store.ledger.decisions(filter, Page { before, limit: limit + 1 }).await?;
    Ok(axum::Json(rows(&app, LIST, found, limit, |r| r.id.row(), DecisionView::from)))
}

/// One decision: request, facts and reasons.
#[utoipa::path(
    get,
    path = "/admin/v1/decisions/{id}",
    operation_id = "getDecisionInFull",
    tag = "history",
    params(("id" = String, Path, description = "`dec_…`")),
    responses((status = 200, description = "As it was recorded.", body = DecisionView)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<DecisionView>, Refused> {
    let id = Id::parse(IdKind::Decision, &id).ok_or_else(|| missing("decision"))?;
    for pause in [0, 0, 100] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if let Some(record) = app.store.ledger.decision(id).await? {
            return Ok(axum::Json(record.into()));
        }
        // A refusal is on its way to the ledger for up to a second; whoever asks for it need not wait.
        flush(&app).await;
    }
    Err(missing("decision"))
}

async fn flush(app: &App) {
    let snapshot = app.snapshot.load_full();
    let counting = snapshot.policy.limits.iter().filter(|l| l.counts == Counts::Requests);
    recorder::flush(app, counting.map(|l| l.window).max().unwrap_or(Duration::from_secs(60))).await;
}
