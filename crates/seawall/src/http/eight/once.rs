//! `Idempotency-Key` on requests that send: the same key and body get the same answer. The original has no such
//! key; a subaccount may have requests without one recognised by what they say, for a while.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::request::Client;
use seawall_store::records::Idempotent;
use serde_json::Value;

use super::error::{Answer, refusal};
use crate::app::App;
use crate::app::entities::Subaccount;
use crate::app::idempotency::{self, Found, Render, Wish};

/// What a request with or without a key is.
pub(super) enum Once<T> {
    /// To be done; with a key, its answer is kept.
    New(Option<Wish<T>>),
    /// Done before.
    Replay(Idempotent),
}

/// What a request is known by.
pub(super) struct Asked<'a> {
    pub(super) subaccount: &'a Subaccount,
    /// Stands for method and path, so that an alias is the same request.
    pub(super) operation: &'a str,
    pub(super) key: Option<&'a str>,
    /// The body as it came.
    pub(super) raw: &'a [u8],
    /// The body as it was read.
    pub(super) body: &'a Value,
    /// Who is behind it, as far as headers say so.
    pub(super) client: &'a Client,
}

impl Asked<'_> {
    /// Everything that makes two requests the same, however their JSON is written.
    fn said(&self) -> Vec<u8> {
        let Client { ip, user, fingerprint, .. } = self.client;
        let ip = ip.map(|ip| ip.to_string());
        serde_json::to_vec(&(self.body, ip, user, fingerprint)).unwrap_or_else(|_| self.raw.to_vec())
    }
}

/// Looks a request up and holds it until it is done: by its key, or where the subaccount wishes it, by what it
/// says.
pub(super) async fn begin<T>(app: &App, asked: Asked<'_>, render: Render<T>) -> Answer<Once<T>> {
    let scope = format!("8x8\u{1f}{}\u{1f}{}", asked.subaccount.id, asked.operation);
    let found = match (asked.key, asked.subaccount.dedup_window) {
        (Some(key), _) => idempotency::begin(app, &scope, key, asked.raw, render).await,
        (None, Some(window)) => idempotency::same(app, &scope, &asked.said(), window, render).await,
        (None, None) => return Ok(Once::New(None)),
    };
    match found {
        Ok(Found::New(wish)) => Ok(Once::New(Some(wish))),
        Ok(Found::Replay(kept)) => Ok(Once::Replay(kept)),
        Err(error) => Err(refusal(error)),
    }
}

/// The answer as it was given.
pub(super) fn replay(kept: Idempotent) -> Response {
    const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    (status, headers, Body::from(kept.body)).into_response()
}
