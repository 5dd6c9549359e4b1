//! What the head of a request has to be: checked at the door, before any handler and any cost.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Version, header};

use super::{AMBIGUOUS, Fault, path::path};
use crate::http::door::Ambiguous;

/// Headers that decide who asks for what. Given twice, two programs could believe two things.
const ONCE: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("seawall-user"),
];

/// Checks the head of a request.
pub fn head(request: &Request) -> Result<(), Fault> {
    if let Some(Ambiguous(why)) = request.extensions().get::<Ambiguous>() {
        return Err(Fault::bad(AMBIGUOUS, format!("{why} The connection is closed.")));
    }
    repeated(request.headers())?;
    host(request)?;
    encoding(request.headers())?;
    path(request.uri().path())
}

fn repeated(headers: &HeaderMap) -> Result<(), Fault> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    match ONCE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(invalid(name, "is given twice; send it once")),
        None => Ok(()),
    }
}

/// RFC 9112 §3.2: one `Host`, and the same as in a target that names one.
fn host(request: &Request) -> Result<(), Fault> {
    let given = request.headers().get(header::HOST);
    if given.is_none() && request.version() == Version::HTTP_11 {
        return Err(invalid(&header::HOST, "is missing; HTTP/1.1 demands it"));
    }
    let named = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    match (given, named) {
        (Some(given), Some(named)) if !given.as_bytes().eq_ignore_ascii_case(named) => {
            Err(invalid(&header::HOST, "contradicts the request's target"))
        }
        _ => Ok(()),
    }
}

/// Compressed bodies are not taken: a few bytes could become many.
fn encoding(headers: &HeaderMap) -> Result<(), Fault> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let detail = "Compressed bodies are not taken; send it without Content-Encoding.";
            Err(Fault::unsupported(detail).about("content-encoding"))
        }
        _ => Ok(()),
    }
}

fn invalid(name: &HeaderName, wrong: &str) -> Fault {
    Fault::bad("invalid-header", format!("The header `{name}` {wrong}.")).about(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn said(headers: &[(&str, &str)], uri: &str) -> String {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let fault = head(&request.body(Body::empty()).unwrap()).map_err(|fault| {
            format!(
                "{} {} {}: {}",
                fault.status.as_u16(),
                fault.code,
                fault.field.unwrap_or_default(),
                fault.detail
            )
        });
        fault.err().unwrap_or_else(|| "fine".to_owned())
    }

    #[test]
    fn what_decides_is_given_once() {
        let host = ("host", "x");
        let accept = ("accept", "a/b");
        let cases = [
            said(&[host, accept, accept, ("content-encoding", "identity")], "/v1/messages"),
            said(&[("host", "X:80")], "http://x:80/v1"),
            said(&[], "/v1"),
            said(&[host, host], "/v1"),
            said(&[host, ("authorization", "a"), ("authorization", "a")], "/v1"),
            said(&[host, ("idempotency-key", "a"), ("Idempotency-Key", "b")], "/v1"),
            said(&[host, ("content-type", "a/b"), ("content-type", "a/b")], "/v1"),
            said(&[host], "http://y/v1"),
            said(&[host, ("content-encoding", "gzip")], "/v1"),
            said(&[host], "/v1//x"),
        ];
        insta::assert_snapshot!(cases.join("\n"), @r#"
        fine
        fine
        400 invalid-header host: The header `host` is missing; HTTP/1.1 demands it.
        400 invalid-header host: The header `host` is given twice; send it once.
        400 invalid-header authorization: The header `authorization` is given twice; send it once.
        400 invalid-header idempotency-key: The header `idempotency-key` is given twice; send it once.
        400 invalid-header content-type: The header `content-type` is given twice; send it once.
        400 invalid-header host: The header `host` contradicts the request's target.
        415 unsupported-media-type content-encoding: Compressed bodies are not taken; send it without Content-Encoding.
        400 invalid-path : The path has two slashes in a row at byte 3; spell it plainly.
        "#);
    }
}
