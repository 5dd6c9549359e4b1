//! `/docs/{page}`: the pages that answers point to, as they stand in the repository.

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::extract::Path;
use crate::http::problem::Problem;

/// Every page by its name.
const PAGES: [(&str, &str); 18] = [
    ("8x8", include_str!("../../../../docs/8x8.md")),
    ("attributes", include_str!("../../../../docs/attributes.md")),
    ("configuration", include_str!("../../../../docs/configuration.md")),
    ("detection", include_str!("../../../../docs/detection.md")),
    ("encrypted", include_str!("../../../../docs/encrypted.md")),
    ("erasure", include_str!("../../../../docs/erasure.md")),
    ("explain", include_str!("../../../../docs/explain.md")),
    ("keys", include_str!("../../../../docs/keys.md")),
    ("learning", include_str!("../../../../docs/learning.md")),
    ("limits", include_str!("../../../../docs/limits.md")),
    ("lists", include_str!("../../../../docs/lists.md")),
    ("lookup", include_str!("../../../../docs/lookup.md")),
    ("masking", include_str!("../../../../docs/masking.md")),
    ("problems", include_str!("../../../../docs/problems.md")),
    ("providers", include_str!("../../../../docs/providers.md")),
    ("reasons", include_str!("../../../../docs/reasons.md")),
    ("rules", include_str!("../../../../docs/rules.md")),
    ("texts", include_str!("../../../../docs/texts.md")),
];

/// The routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(page))
}

/// One page, as Markdown.
#[utoipa::path(
    get,
    path = "/docs/{page}",
    operation_id = "readDocs",
    tag = "operation",
    params(("page" = String, Path, description = "`problems`, `reasons`, `rules`, `attributes`, `configuration`, `detection`, `encrypted`, `erasure`, `explain`, `keys`, `learning`, `limits`, `lists`, `lookup`, `providers`, `texts` or `8x8`.")),
    responses((status = 200, description = "The page.", body = String, content_type = "text/markdown"))
)]
async fn page(Path(page): Path<String>) -> Result<Response, Problem> {
    let found = PAGES.iter().find(|(name, _)| *name == page.trim_end_matches(".md"));
    let (_, text) = found.ok_or_else(|| {
        let names = PAGES.map(|(name, _)| name).join(", ");
        Problem::new(
            axum::http::StatusCode::NOT_FOUND,
            "not-found",
            format!("There are these pages: {names}."),
        )
    })?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], *text).into_response())
}
