//! `/admin/v1/stats/{by}`: volume, share and conversion by country, operator, range, route and client, each
//! beside what is usual there.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Admin;
use super::page::{List, cursor, place, size};
use crate::app::App;
use crate::app::signals::Dimension;
use crate::app::signals::view::{SignalView, Wanted};
use crate::http::extract::{Path, Query};
use crate::http::native::answers::Refused;
use crate::http::problem::Problem;

/// Hours that are kept one by one.
const MOST_HOURS: u32 = 24;

/// Over which time, and of what.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SignalQuery {
    /// The current hour and those before it, 1 to 24; 24 when absent.
    #[param(minimum = 1, maximum = 24)]
    pub hours: Option<u32>,
    /// Only operators and ranges of this country (ISO 3166-1 alpha-2), or the country itself.
    pub country: Option<String>,
    /// Only keys that begin so; of ranges, for instance `+99893` (encode the `+` as %2B).
    pub prefix: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What is seen beside what is expected, busiest first.
#[utoipa::path(
    get,
    path = "/admin/v1/stats/{by}",
    operation_id = "getSignals",
    tag = "history",
    params(
        ("by" = String, Path, description = "`countries`, `operators`, `ranges`, `routes`, `networks`, `asns`, `subaccounts` or `all`."),
        SignalQuery
    ),
    responses((status = 200, description = "A page.", body = List<SignalView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(by): Path<String>,
    Query(query): Query<SignalQuery>,
) -> Result<axum::Json<List<SignalView>>, Refused> {
    let wanted = Wanted {
        dimension: dimension(&by)?,
        hours: hours(query.hours)?,
        country: query.country.map(|country| country.to_ascii_uppercase()),
        prefix: query.prefix,
    };
    let limit = size(query.limit)?;
    let name = format!("stats {by}");
    let from = place(&app, &name, query.cursor.as_deref())?.and_then(|place| place.parse().ok()).unwrap_or(0);
    let now = app.now();
    let mut all = app.detection.watch(|watch| watch.signals.view_at(&wanted, now.as_secs()));
    let more = all.len() > from + limit;
    let data = all.drain(..).skip(from).take(limit).collect();
    let next_cursor = more.then(|| cursor(&app, &name, &(from + limit).to_string()));
    Ok(axum::Json(List { data, next_cursor }))
}

fn dimension(by: &str) -> Result<Dimension, Refused> {
    let found = Dimension::ALL.into_iter().find(|dimension| dimension.plural() == by);
    found.ok_or_else(|| {
        let names = Dimension::ALL.map(Dimension::plural).join(", ");
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("There are statistics by: {names}; and `overview`."),
        )
        .into()
    })
}

fn hours(given: Option<u32>) -> Result<u32, Refused> {
    match given.unwrap_or(MOST_HOURS) {
        hours if (1..=MOST_HOURS).contains(&hours) => Ok(hours),
        hours => Err(Problem::field("hours", format!("`hours` is {hours}; use 1 to {MOST_HOURS}.")).into()),
    }
}
