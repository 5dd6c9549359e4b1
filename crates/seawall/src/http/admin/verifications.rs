//! `/admin/v1/verifications`.

use std::sync::Arc;

use axum::extract::State;
use seawall_core::id::{Id, IdKind};
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use seawall_store::records::{Page, VerificationFilter, VerificationRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::decisions::word;
use super::errors::missing;
use super::page::{List, row, rows, size};
use crate::app::App;
use crate::app::collections::opt_outs::number;
use crate::http::extract::{Path, Query};
use crate::http::native::answers::Refused;

const LIST: &str = "verifications";

/// Which verifications.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VerificationQuery {
    /// Only those of this subaccount.
    pub subaccount_id: Option<String>,
    /// Only those of this number, E.164 with `+`.
    pub msisdn: Option<String>,
    /// Only those in this state.
    #[param(pattern = "^(pending|verified|failed|expired|canceled)$")]
    pub status: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A verification with everything that is kept about it, apart from its code.
#[derive(Serialize, ToSchema)]
pub struct AdminVerification {
    /// `ver_…`
    pub id: String,
    /// `pending`, `verified`, `failed`, `expired` or `canceled`.
    #[schema(value_type = String, example = "pending")]
    pub status: &'static str,
    /// Whose.
    pub subaccount_id: String,
    /// The number, masked.
    pub to: String,
    /// `sms` or `call`: how the last message went.
    #[schema(value_type = String, example = "sms")]
    pub channel: &'static str,
    /// What it is for.
    pub purpose: Option<String>,
    /// Messages sent for it.
    pub sends: u16,
    /// Wrong codes presented to it.
    pub failed_checks: u8,
    /// Wrong codes until it fails.
    pub attempts_left: u8,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the last message was sent.
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Timestamp,
    /// From then on no code is accepted.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was verified.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verified_at: Option<Timestamp>,
    /// The newest message.
    pub message_id: String,
    /// The decision that allowed it.
    pub decision_id: String,
}

fn view(record: VerificationRecord, now: Timestamp) -> AdminVerification {
    let life = record.lifecycle;
    AdminVerification {
        id: record.id.show(IdKind::Verification),
        status: life.at(now).as_str(),
        subaccount_id: record.subaccount,
        to: record.to.masked(),
        channel: life.channel.as_str(),
        purpose: record.purpose,
        sends: life.sends,
        failed_checks: life.failed_checks,
        attempts_left: life.max_checks.saturating_sub(life.failed_checks),
        created_at: life.created_at,
        sent_at: life.sent_at,
        expires_at: life.expires_at,
        verified_at: life.verified_at,
        message_id: record.message.show(IdKind::Message),
        decision_id: record.message.show(IdKind::Decision),
    }
}

fn filter(query: VerificationQuery) -> Result<VerificationFilter, Refused> {
    let states = VerificationState::ALL.map(VerificationState::as_str);
    let state = word("status", query.status, &states)?;
    Ok(VerificationFilter {
        subaccount: query.subaccount_id,
        to: query.msisdn.map(|text| number("msisdn", &text)).transpose()?,
        state: state.and_then(|word| VerificationState::ALL.into_iter().find(|s| s.as_str() == word)),
    })
}

/// Verifications, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/verifications",
    operation_id = "listVerifications",
    tag = "history",
    params(VerificationQuery),
    responses((status = 200, description = "A page.", body = List<AdminVerification>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<VerificationQuery>,
) -> Result<axum::Json<List<AdminVerification>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let found = app.store.ledger.verifications(filter(query)?, Page { before, limit: limit + 1 }).await?;
    let now = app.now();
    Ok(axum::Json(rows(&app, LIST, found, limit, |v| v.id.row(), |v| view(v, now))))
}

/// One verification.
#[utoipa::path(
    get,
    path = "/admin/v1/verifications/{id}",
    operation_id = "getVerificationInFull",
    tag = "history",
    params(("id" = String, Path, description = "`ver_…`, or a session id of the 8x8-compatible API.")),
    responses((status = 200, description = "As it stands.", body = AdminVerification)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<AdminVerification>, Refused> {
    let id = Id::parse(IdKind::Verification, &id).or_else(|| Id::parse_hex(&id));
    let id = id.ok_or_else(|| missing("verification"))?;
    let record = app.store.ledger.verification(None, id).await?.ok_or_else(|| missing("verification"))?;
    Ok(axum::Json(view(record, app.now())))
}
