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
use seawall_store::records::{DecisionFilter, DecisionRecord, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::errors::missing;
use super::page::{List, row, rows, size};
use crate::app::collections::opt_outs::number;
use crate::app::{App, recorder};
use crate::http::extract::{Path, Query};
use crate::http::native::answers::Refused;
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

/// A decision with everything that is kept about it.
#[derive(Serialize, ToSchema)]
pub struct AdminDecision {
    /// `dec_…`
    pub id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `verify.start`, …
    pub operation: String,
    /// Whose.
    pub subaccount_id: String,
    /// Which API key.
    pub key_id: String,
    /// The recipient, masked.
    pub to: String,
    /// The address derived from peer and forwarding headers.
    pub caller_ip: String,
    /// The end user's, as the app reports it.
    pub client_ip: Option<String>,
    /// `allow`, `challenge`, `alternative`, `throttle` or `block`.
    pub verdict: String,
    /// Whether the verdict had its effect.
    pub enforced: bool,
    /// 0 to 100.
    pub risk: u8,
    /// All reasons, also those in shadow.
    #[schema(value_type = Vec<Object>)]
    pub reasons: Vec<Value>,
    /// What was known.
    #[schema(value_type = Object)]
    pub facts: Value,
    /// The policy that decided.
    pub policy_version: u64,
    /// Whether it was only asked, not done.
    pub dry_run: bool,
    /// When a throttled request would fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retry_at: Option<Timestamp>,
    /// What the caller of a decide-only request told afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub outcome: Option<Value>,
    /// `msg_…`, when it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `ver_…`, when it belongs to a verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_id: Option<String>,
    /// For a sample of a flood of refusals: how many it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl From<DecisionRecord> for AdminDecision {
    fn from(record: DecisionRecord) -> Self {
        let body = record.body;
        AdminDecision {
            id: record.id.show(IdKind::Decision),
            at: record.id.at(),
            operation: body.operation,
            subaccount_id: body.subaccount_id,
            key_id: body.key_id,
            to: body.to,
            caller_ip: body.caller_ip,
            client_ip: body.client_ip,
            verdict: body.verdict,
            enforced: body.enforced,
            risk: body.risk,
            reasons: body.reasons,
            facts: body.facts.value(),
            policy_version: body.policy_version,
            dry_run: body.dry_run,
            retry_at: body.retry_at,
            outcome: body.outcome,
            message_id: body.message_id,
            verification_id: body.verification_id,
            count: body.count,
        }
    }
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
    let verdicts = [Allow, Challenge, Alternative, Throttle, Block].map(Verdict::as_str);
    let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    let address = |text: String| {
        let detail = "`ip` is not an address such as 192.0.2.7 or 2001:db8::1.";
        ClientIp::parse(&text).map(|ip| ip.to_string()).ok_or_else(|| Problem::field("ip", detail))
    };
    Ok(DecisionFilter {
        subaccount: query.subaccount_id,
        verdict: word("verdict", query.verdict, &verdicts)?,
        reason: word("reason", query.reason, &reasons)?,
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
    responses((status = 200, description = "A page.", body = List<AdminDecision>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<DecisionQuery>,
) -> Result<axum::Json<List<AdminDecision>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let filter = filter(query)?;
    flush(&app).await;
    let found = app.store.ledger.decisions(filter, Page { before, limit: limit + 1 }).await?;
    Ok(axum::Json(rows(&app, LIST, found, limit, |r| r.id.row(), AdminDecision::from)))
}

/// One decision: request, facts and reasons.
#[utoipa::path(
    get,
    path = "/admin/v1/decisions/{id}",
    operation_id = "getDecisionInFull",
    tag = "history",
    params(("id" = String, Path, description = "`dec_…`")),
    responses((status = 200, description = "As it was recorded.", body = AdminDecision)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<AdminDecision>, Refused> {
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
