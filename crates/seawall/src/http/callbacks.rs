//! `/callbacks/{name}/{token}`: receipts and inbound messages that providers send by HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use seawall_connect::{Callback, Connector, Echo, Echoed};
use subtle::ConstantTimeEq;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::extract::{self, Path};
use super::problem::Problem;
use crate::app::App;

const BODY_AT_MOST: usize = 64 * 1024;
/// When a provider may try again while the queue is full.
const PAUSE: Duration = Duration::from_secs(5);

/// The routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(posted, gotten).layer(DefaultBodyLimit::max(BODY_AT_MOST)))
}

/// A provider reports in a body.
#[utoipa::path(
    post,
    path = "/callbacks/{name}/{token}",
    operation_id = "postCallback",
    tag = "operation",
    params(
        ("name" = String, Path, description = "Name of the provider."),
        ("token" = String, Path, description = "Its callback token."),
    ),
    responses((status = 204, description = "Understood."))
)]
async fn posted(
    State(app): State<Arc<App>>,
    Path((name, token)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let connector = provider(&app, &name, &token)?;
    let (uri, content_type) = (request.uri().clone(), content_type(request.headers()));
    let body = extract::body(request, &()).await?;
    take(&app, name, connector.as_ref(), &callback(&uri, body.to_vec(), content_type))
}

/// A provider reports in a query.
#[utoipa::path(
    get,
    path = "/callbacks/{name}/{token}",
    operation_id = "getCallback",
    tag = "operation",
    params(
        ("name" = String, Path, description = "Name of the provider."),
        ("token" = String, Path, description = "Its callback token."),
    ),
    responses((status = 204, description = "Understood."))
)]
async fn gotten(
    State(app): State<Arc<App>>,
    Path((name, token)): Path<(String, String)>,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    let connector = provider(&app, &name, &token)?;
    take(&app, name, connector.as_ref(), &callback(&uri, Vec::new(), String::new()))
}

/// The provider whose token this is. A wrong name and a wrong token are not told apart.
fn provider(app: &App, name: &str, token: &str) -> Result<Arc<dyn Connector>, Problem> {
    let snapshot = app.snapshot.load();
    let found = snapshot.providers.get(name);
    let known = found.map(|running| running.provider.callback_token.as_bytes()).unwrap_or_default();
    let right = !known.is_empty() && bool::from(known.ct_eq(token.as_bytes()));
    match found {
        Some(running) if right => Ok(running.connector.clone()),
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is no provider with this callback address.",
        )),
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn callback(uri: &Uri, body: Vec<u8>, content_type: String) -> Callback {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    Callback { query: query.map(|query| query.0).unwrap_or_default(), body, content_type }
}

fn take(
    app: &App,
    name: String,
    connector: &dyn Connector,
    callback: &Callback,
) -> Result<StatusCode, Problem> {
    let echoes = connector.callback(callback).map_err(|problem| {
        // What was wrong is for the operator; it names fields, never their values.
        tracing::warn!(provider = %name, %problem, "a callback was not understood");
        Problem::new(StatusCode::BAD_REQUEST, "callback-not-understood", problem)
    })?;
    put(app, name, echoes)
}

/// All of them or none, so that a provider's retry repeats nothing.
fn put(app: &App, name: String, echoes: Vec<Echo>) -> Result<StatusCode, Problem> {
    if echoes.is_empty() {
        return Ok(StatusCode::NO_CONTENT);
    }
    let room = app.echoes.try_reserve_many(echoes.len()).map_err(|_| {
        let detail = "Too many receipts wait to be read; send it again.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "echoes-full", detail).retry_after(PAUSE)
    })?;
    for (place, echo) in room.zip(echoes) {
        place.send(Echoed { provider: name.clone(), echo });
    }
    Ok(StatusCode::NO_CONTENT)
}
