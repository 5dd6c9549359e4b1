//! `Idempotency-Key`, and work that is done to its end.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use seawall_store::records::Idempotent;
use serde::Serialize;

use super::answers::Refused;
use crate::app::App;
use crate::app::idempotency::{Found, Render, Wish, begin};
use crate::http::problem::Problem;
use crate::http::rate_limit::RateLimit;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const KEY_AT_MOST: usize = 255;

/// What is to be done with a request.
pub enum Turn<T> {
    /// Do it; with a wish when the caller sent a key.
    Do(Option<Wish<T>>),
    /// It was done: this was its answer.
    Done(Response),
}

/// Looks the key of a request up. `scope`: whose, and which operation.
pub async fn turn<T>(
    app: &App,
    headers: &HeaderMap,
    scope: &str,
    body: &[u8],
    render: Render<T>,
) -> Result<Turn<T>, Refused> {
    let Some(key) = key(headers)? else { return Ok(Turn::Do(None)) };
    Ok(match begin(app, scope, key, body, render).await? {
        Found::New(wish) => Turn::Do(Some(wish)),
        Found::Replay(kept) => Turn::Done(replayed(kept)),
    })
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut given = headers.get_all(KEY).iter();
    let Some(key) = given.next() else { return Ok(None) };
    let printable = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_AT_MOST);
    match printable.filter(|key| key.bytes().all(|b| (b' '..=b'~').contains(&b))) {
        Some(key) if given.next().is_none() => Ok(Some(key)),
        _ => {
            let detail =
                "The Idempotency-Key is one text of 1 to 255 printable ASCII characters, such as a UUID.";
            Err(Problem::field("Idempotency-Key", detail).into())
        }
    }
}

fn replayed(kept: Idempotent) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = json(status, kept.body);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// An answer and its exact bytes: what is kept under a key and what is sent first are the same.
pub fn rendered(status: StatusCode, body: &impl Serialize) -> (u16, String) {
    (status.as_u16(), serde_json::to_string(body).unwrap_or_default())
}

/// Sends what was rendered.
pub fn answer((status, body): (u16, String)) -> Response {
    json(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body)
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// An answer that says how much room the tightest limit has left.
pub fn with_room(mut response: Response, limit: Option<RateLimit>) -> Response {
    RateLimit::note(limit, response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_printable() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_bytes(value).unwrap());
            }
            key(&headers).map(|key| key.map(str::to_owned)).map_err(|refused| refused.0.status())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"order 17"]), Ok(Some("order 17".to_owned())));
        for bad in [&[b"".as_slice()][..], &[&[b'x'; 256]], &[b"a\xc3\xa4"], &[b"a\tb"], &[b"a", b"b"]] {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST));
        }
    }
}
