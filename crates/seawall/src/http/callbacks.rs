//! `/callbacks/{name}/{token}`: receipts and inbound messages that providers send by HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use seawall_connect::{CallAsked, Callback, Connector, Echo, Echoed};
use seawall_core::callflow::Step;
use seawall_core::message::Channel;
use seawall_store::StoreError;
use subtle::ConstantTimeEq;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::eight::callflow_steps;
use super::extract::{self, Path};
use super::native;
use super::problem::Problem;
use crate::app::masking::ask_app;
use crate::app::{App, Refusal};
use crate::jobs::egress::Rules;

const BODY_AT_MOST: usize = 64 * 1024;
/// When a provider may try again what was not taken in.
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
    responses(
        (status = 200, description = "A question about a call: what happens next.", body = Object),
        (status = 204, description = "Understood."),
    )
)]
async fn posted(
    State(app): State<Arc<App>>,
    Path((name, token)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let connector = provider(&app, &name, &token)?;
    let (uri, content_type) = (request.uri().clone(), content_type(request.headers()));
    let body = extract::body(request, &()).await?;
    let callback = callback(&uri, body.to_vec(), content_type);
    if let Some(asked) = connector.asked(&callback) {
        let steps = next_steps(&app, &name, &asked).await?;
        return Ok(Json(connector.told(&asked, &steps)).into_response());
    }
    Ok(take(&app, &name, connector.as_ref(), &callback).await?.into_response())
}

/// What happens next in a call: what the app that had it made says. Without a word from it, or with one that makes no
/// sense, the call ends.
async fn next_steps(app: &App, provider: &str, asked: &CallAsked) -> Result<Vec<Step>, Problem> {
    let unavailable = |error: StoreError| native::answers::refused(Refusal::Unavailable(error));
    let ledger = &app.store.ledger;
    let id = ledger.by_reference(provider, &asked.reference).await.map_err(unavailable)?;
    let call = match id {
        Some(id) => ledger.message(None, id).await.map_err(unavailable)?,
        None => None,
    };
    let Some(call) = call.filter(|call| call.channel == Channel::Call) else { return Ok(vec![Step::HangUp]) };
    let answer = ask_app::next(app, &call, asked.keys.as_ref()).await;
    let flow = answer.as_ref().and_then(|answer| answer.get("callflow")?.as_array());
    let Some(flow) = flow.filter(|flow| !flow.is_empty()) else { return Ok(vec![Step::HangUp]) };
    let only_end =
        flow.len() == 1 && flow.first().is_some_and(|step| callflow_steps::action(step) == "hangup");
    let read = callflow_steps::read(flow, 0, Rules::of(&app.config));
    Ok(read.unwrap_or_else(|unfit| {
        if !only_end {
            tracing::warn!(code = unfit.code, why = %unfit.message, "an app's call flow does not fit");
        }
        vec![Step::HangUp]
    }))
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
    take(&app, &name, connector.as_ref(), &callback(&uri, Vec::new(), String::new())).await
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

async fn take(
    app: &App,
    name: &str,
    connector: &dyn Connector,
    callback: &Callback,
) -> Result<StatusCode, Problem> {
    let echoes = connector.callback(callback).map_err(|problem| {
        // What was wrong is for the operator; it names fields, never their values.
        tracing::warn!(provider = %name, %problem, "a callback was not understood");
        Problem::new(StatusCode::BAD_REQUEST, "callback-not-understood", problem)
    })?;
    put(app, name, echoes).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has echoes taken in, and waits until what they change is kept: an answer before that would take them from the only
/// one who has them.
pub async fn put(app: &App, provider: &str, echoes: Vec<Echo>) -> Result<(), Problem> {
    let again = |slug, detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, slug, detail).retry_after(PAUSE);
    // All of them or none, so that a retry repeats nothing.
    let room = app.echoes.try_reserve_many(echoes.len());
    let room = room.map_err(|_| again("echoes-full", "Too many reports wait to be read; send it again."))?;
    let mut all = Vec::with_capacity(echoes.len());
    for (place, echo) in room.zip(echoes) {
        let (echoed, kept) = Echoed::new(provider, echo);
        place.send(echoed);
        all.push(kept);
    }
    if join_all(all).await.into_iter().all(|kept| kept) {
        return Ok(());
    }
    Err(again("echoes-not-kept", "What was reported could not be stored; send it again."))
}
