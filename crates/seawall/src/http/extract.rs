//! Strict extractors of the native and the admin API: what does not fit is refused with the field, the
//! place and the reason. Types refuse unknown fields themselves (`#[serde(deny_unknown_fields)]`); what
//! could be read in two ways is refused before ([`strict`]).

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::door;
use super::problem::Problem;
use super::strict::{self, NotAccepted, Repeats};
use crate::app::unfit::{without_digits, without_values};

/// A JSON body.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// The query of a URL.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// Parts of the path.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        announced(request.headers())?;
        let bytes = body(request, state).await?;
        parse(&bytes).map(Json)
    }
}

/// The whole body within its bound, or why not. Also for other dialects, which map the problem to their own.
pub async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = "The body is larger than is accepted here; send less, or send it in parts.";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail);
    }
    if door::is_timeout(rejection) {
        let detail = "The body did not arrive in time; send it together with the headers.";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail);
    }
    Problem::new(
        StatusCode::BAD_REQUEST,
        "body-incomplete",
        "The body ended early or was not in order; send it again.",
    )
}

/// Refuses a body that is not announced as JSON in UTF-8.
pub fn announced(headers: &HeaderMap) -> Result<(), Problem> {
    if !strict::is_json(headers) {
        let detail = "The body has to be JSON; send the header Content-Type: application/json.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail));
    }
    Ok(strict::is_utf8(headers)?)
}

/// Reads JSON, or says where it does not fit.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = strict::json(bytes).map_err(|wrong| not_accepted(&wrong))?;
    // Following the path costs time, so only what is refused is read twice.
    serde_json::from_str(text).map_err(|error| explain::<T>(bytes, &error))
}

fn not_accepted(wrong: &NotAccepted) -> Problem {
    let problem = malformed(format!("The body {wrong}."));
    match wrong.field() {
        Some(field) => problem.with("field", field),
        None => problem,
    }
}

fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if error.is_syntax() || error.is_eof() {
        let empty = if bytes.is_empty() { "The body is empty" } else { "The body is not JSON" };
        return malformed(format!("{empty}: {error}."));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => without_digits(&error.path().to_string()),
        Ok(_) => ".".to_owned(),
    };
    let error = without_values(&error.to_string());
    match path.as_str() {
        "." => Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-request",
            format!("The body does not fit: {error}."),
        ),
        path => Problem::field(path, format!("The field `{path}` does not fit: {error}.")),
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-json", detail)
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        strict::query(parts.uri.query().unwrap_or_default(), Repeats::Refused)?;
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Query(query.0)).map_err(|error| {
            let detail =
                format!("The query of the URL does not fit: {}.", without_values(&error.body_text()));
            Problem::new(StatusCode::BAD_REQUEST, "invalid-query", detail)
        })
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Path(path.0)).map_err(|error| {
            let detail = format!("The path does not fit: {}.", without_values(&error.body_text()));
            Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only how it is refused matters")]
    struct Send {
        to: String,
        client: Option<Client>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only how it is refused matters")]
    struct Client {
        port: u16,
    }

    fn refused(body: &str) -> String {
        let problem = parse::<Send>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        format!("{}: {}", problem.code(), problem.detail())
    }

    #[test]
    fn what_does_not_fit_is_named() {
        insta::assert_snapshot!([
            refused(""),
            refused("{\"to\": }"),
            refused("{}"),
            refused("{\"to\":\"+1\",\"form\":\"x\"}"),
            refused("{\"to\":\"+1\",\"client\":{\"port\":\"80\"}}"),
            refused("{\"to\":\"+1\"} x"),
            refused("{\"to\":NaN}"),
            refused("{\"to\":\"+1\",\"client\":{\"port\":1,\"port\":2}}"),
            refused("{\"to\":\"\\u0000\"}"),
            refused("\u{feff}{}"),
        ].join("\n"), @r#"
        malformed-json: The body is empty: EOF while parsing a value at line 1 column 0.
        malformed-json: The body is not JSON: expected value at line 1 column 8.
        invalid-request: The body does not fit: missing field `to` at line 1 column 2.
        invalid-request: The field `form` does not fit: unknown field `form`, expected `to` or `client` at line 1 column 17.
        invalid-request: The field `client.port` does not fit: invalid type: string, expected u16 at line 1 column 32.
        malformed-json: The body is not JSON: trailing characters at line 1 column 13.
        malformed-json: The body is not JSON: expected value at line 1 column 7.
        malformed-json: The body has the key `client.port` twice, again before byte 36; send it once.
        malformed-json: The body has a NUL character at byte 7; leave it out.
        malformed-json: The body begins with a byte order mark; leave it out.
        "#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse::<serde_json::Value>(&bytes);
        }
    }
}
