//! `/admin/v1/audit`: who changed what.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use seawall_core::id::{Id, SEQUENCE_BITS};
use seawall_core::time::Timestamp;
use seawall_store::records::{AuditEntry, Page};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Admin;
use super::page::{List, PageQuery, cursor, row, size};
use crate::app::App;
use crate::http::extract::Query;
use crate::http::native::answers::Refused;

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
