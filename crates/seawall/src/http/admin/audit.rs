//! `/admin/v1/audit`: who changed what.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use seawall_core::id::{Id, SEQUENCE_BITS};
use seawall_core::time::Timestamp;
use seawall_store::audit::AuditChain;
use seawall_store::records::{AuditEntry, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::page::{List, PageQuery, cursor, row, size};
use crate::app::App;
use crate::http::extract::Query;
use crate::http::native::answers::Refused;
use crate::http::problem::Problem;

const LIST: &str = "audit";
/// Entries of one millisecond that a page may have to skip.
const SAME_INSTANT: usize = 1000;

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who: `admin-token`, `key_…`, `inbound`, `system`, `cli`.
    pub actor: String,
    /// What was done, such as `limits.create`.
    pub action: String,
    /// To what: an id or a name.
    pub target: String,
    /// What changed, secrets masked.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// From which address.
    pub ip: Option<String>,
}

impl From<AuditEntry> for AuditView {
    fn from(e: AuditEntry) -> Self {
        // Always an object, so that the description can say so.
        let detail = if e.detail.is_object() { e.detail } else { Value::Object(serde_json::Map::new()) };
        AuditView { at: e.at, actor: e.actor, action: e.action, target: e.target, detail, ip: e.ip }
    }
}

/// The audit log, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/audit",
    operation_id = "listAudit",
    tag = "history",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = List<AuditView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<List<AuditView>>, Refused> {
    let limit = size(query.limit)?;
    let after = row(&app, LIST, query.cursor.as_deref())?.map(Place::from_row);
    let (before, skip) = after.map_or((None, 0), |place| (Some(place.end()), place.shown));
    let page = Page { before, limit: limit + skip + 1 };
    let mut entries: Vec<AuditEntry> = app.store.directory.audit_log(page).await?;
    entries.drain(..skip.min(entries.len()));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_cursor = match entries.last() {
        Some(last) if more => {
            let within = entries.iter().filter(|e| e.at == last.at).count();
            let before = if after.is_some_and(|place| place.at == last.at) { skip } else { 0 };
            Some(cursor(&app, LIST, &Place { at: last.at, shown: within + before }.row().to_string()))
        }
        _ => None,
    };
    Ok(axum::Json(List { data: entries.into_iter().map(AuditView::from).collect(), next_cursor }))
}

/// A head that was noted before.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HeadQuery {
    /// A `head` of an earlier answer: is the log up to it still there?
    #[param(min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$")]
    head: Option<String>,
}

/// Whether the audit log is the one that was written.
#[derive(Serialize, ToSchema)]
pub struct ChainView {
    /// `whole`, or `broken`.
    pub status: &'static str,
    /// The first thing that is wrong, and where.
    pub broken: Option<String>,
    /// Entries that were read.
    pub entries: u64,
    /// Those of them that name no entry before them: a version wrote them that made no chain.
    pub unlinked: u64,
    /// When the oldest was written.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// The keyed hash of the newest entry, 64 hexadecimal digits. Noted elsewhere it shows later that the log up to here
    /// is still there.
    pub head: Option<String>,
    /// Whether the head that was given is in the chain, or where retention ended it.
    pub head_found: Option<bool>,
}

impl From<AuditChain> for ChainView {
    fn from(chain: AuditChain) -> Self {
        let whole = chain.broken.is_none() && chain.noted != Some(false);
        ChainView {
            status: if whole { "whole" } else { "broken" },
            broken: chain.broken,
            entries: chain.entries,
            unlinked: chain.unlinked,
            since: chain.since,
            head: chain.head,
            head_found: chain.noted,
        }
    }
}

/// Reads the whole audit log: each entry names the one before it, so what was changed, removed or added by somebody
/// without the keys of the installation shows.
#[utoipa::path(
    get,
    path = "/admin/v1/audit/verify",
    operation_id = "verifyAudit",
    tag = "history",
    params(HeadQuery),
    responses((status = 200, description = "What was found.", body = ChainView)),
    security(("admin_token" = []))
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<HeadQuery>,
) -> Result<axum::Json<ChainView>, Refused> {
    let digits = |head: &String| head.len() == 64 && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    if query.head.as_ref().is_some_and(|head| !digits(head)) {
        let detail = "`head` is 64 hexadecimal digits, as an earlier answer gave it.";
        return Err(Problem::field("head", detail.to_owned()).into());
    }
    Ok(axum::Json(app.store.directory.audit_chain(query.head).await?.into()))
}

/// Entries have no id of their own: a page goes on in the millisecond of the last entry, behind those of
/// that millisecond that were shown.
#[derive(Clone, Copy)]
struct Place {
    at: Timestamp,
    shown: usize,
}

impl Place {
    fn from_row(row: i64) -> Self {
        let at = Timestamp::from_millis(row >> SEQUENCE_BITS);
        let shown = usize::try_from(row & ((1 << SEQUENCE_BITS) - 1)).unwrap_or(0);
        Place { at, shown: shown.min(SAME_INSTANT) }
    }

    fn row(self) -> i64 {
        Id::first_row(self.at) | i64::try_from(self.shown.min(SAME_INSTANT)).unwrap_or(0)
    }

    fn end(self) -> i64 {
        Id::first_row(self.at.plus(Duration::from_millis(1)))
    }
}
