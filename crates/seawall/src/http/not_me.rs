//! `/n/{token}`: the page behind "not me" in a code's text. Looking at it does nothing, because programs look at links
//! before people do; the button does. It says nothing of the number, and the same to every wrong link.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::door::CallerIp;
use super::extract::Path;
use super::native::whole;
use crate::app::App;
use crate::app::consent::link::{self, Led};

const ASK: &str = "<h1>You did not ask for a code?</h1><p>Press the button if somebody else must have asked for the \
code that you received. It stops working, and you get no more codes for a while. Never pass it on.</p>\
<form method=post><button>I did not ask for it</button></form>";
const DONE: &str =
    "<h1>Thank you</h1><p>The code no longer works, and you get no more codes for a while.</p>";
const NOWHERE: &str = "<h1>This link does not work</h1><p>It is good for a day. Answer the message instead, with the \
words \"not me\".</p>";
const BUSY: &str = "<h1>Please try again in a minute</h1>";
const STYLE: &str = "body{font:1.1em/1.5 system-ui,sans-serif;max-width:32em;margin:12vh auto;padding:0 1em}\
button{font:inherit;padding:.6em 1.2em}";

/// The routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(show, say))
}

/// The page behind the link in a code's text; it changes nothing.
#[utoipa::path(
    get,
    path = "/n/{token}",
    operation_id = "showNotMe",
    tag = "consents",
    params(("token" = String, Path, description = "As it stands in the link.")),
    responses(
        (status = 200, description = "A page with a button.", body = String, content_type = "text/html"),
        (status = 404, description = "No such link, or its day is over.", body = String, content_type = "text/html"),
        (status = 429, description = "Too often from this address.", body = String, content_type = "text/html")
    )
)]
async fn show(
    State(app): State<Arc<App>>,
    Extension(CallerIp(ip)): Extension<CallerIp>,
    Path(token): Path<String>,
) -> Response {
    let work = async {
        Ok(match link::charge(&app, ip).await? {
            Some(at) => busy(at, app.now()),
            None => match link::follow(&app, &token).await? {
                Led::Open(_) => page(StatusCode::OK, ASK),
                Led::Said => page(StatusCode::OK, DONE),
                Led::Nowhere => page(StatusCode::NOT_FOUND, NOWHERE),
            },
        })
    };
    work.await.unwrap_or_else(failed)
}

/// The button: the recipient did not ask for the code.
#[utoipa::path(
    post,
    path = "/n/{token}",
    operation_id = "sayNotMe",
    tag = "consents",
    params(("token" = String, Path, description = "As it stands in the link.")),
    responses(
        (status = 200, description = "It is in force.", body = String, content_type = "text/html"),
        (status = 404, description = "No such link, or its day is over.", body = String, content_type = "text/html"),
        (status = 429, description = "Too often from this address.", body = String, content_type = "text/html")
    )
)]
async fn say(
    State(app): State<Arc<App>>,
    Extension(CallerIp(ip)): Extension<CallerIp>,
    Path(token): Path<String>,
) -> Response {
    let work = async move {
        Ok(match link::charge(&app, ip).await? {
            Some(at) => busy(at, app.now()),
            None if link::say(&app, &token, ip).await? => page(StatusCode::OK, DONE),
            None => page(StatusCode::NOT_FOUND, NOWHERE),
        })
    };
    whole(work).await.unwrap_or_else(failed)
}

fn busy(at: Timestamp, now: Timestamp) -> Response {
    let seconds = at.since(now).as_secs().max(1).to_string();
    ([(header::RETRY_AFTER, seconds)], page(StatusCode::TOO_MANY_REQUESTS, BUSY)).into_response()
}

fn failed(error: StoreError) -> Response {
    tracing::error!(%error, "a \"not me\" could not be taken");
    page(StatusCode::SERVICE_UNAVAILABLE, BUSY)
}

fn page(status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=robots content=noindex><title>Not me</title><style>{STYLE}</style>{body}</html>"
    );
    // What a page may do: show itself, and send its own form.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    (status, headers, html).into_response()
}
