//! Errors of the native and the admin API: RFC 9457, `application/problem+json`.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::reason::Reason;
use serde::Serialize;
use serde_json::{Map, Value};

use super::door::RequestId;
use super::rate_limit::RateLimit;

/// `Seawall-Decision-Id`, on every refusal of every dialect.
pub const DECISION_ID: HeaderName = HeaderName::from_static("seawall-decision-id");
/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, for a caller. Small, because it is the error of every extractor.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Option<Cow<'static, str>>,
    detail: String,
    decision_id: Option<String>,
    reasons: Vec<Reason>,
    retry_after: Option<u64>,
    limit: Option<RateLimit>,
    extra: Map<String, Value>,
}

/// As it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Reason]>::is_empty")]
    reasons: &'a [Reason],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl Problem {
    /// A problem with a kebab-case code and one or two sentences: what was wrong, and what to do.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Problem(Box::new(Parts {
            status,
            code: code.into(),
            title: None,
            detail: detail.into(),
            decision_id: None,
            reasons: Vec::new(),
            retry_after: None,
            limit: None,
            extra: Map::new(),
        }))
    }

    /// 400 about one field, in the API's spelling.
    pub fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", detail).with("field", field)
    }

    /// A title other than the status' own words. The same for every problem of one code.
    pub fn titled(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// The decision that refused, and why.
    pub fn decided(mut self, decision_id: impl Into<String>, reasons: Vec<Reason>) -> Self {
        self.0.decision_id = Some(decision_id.into());
        self.0.reasons = reasons;
        self
    }

    /// When to come back: rounded up to whole seconds, so that waiting it out is enough.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let partial = u64::from(wait.subsec_nanos() > 0);
        self.0.retry_after = Some(wait.as_secs().saturating_add(partial));
        self
    }

    /// How much room the tightest limit has left.
    pub fn limited(mut self, limit: Option<RateLimit>) -> Self {
        self.0.limit = limit;
        self
    }

    /// One more field. The fields of RFC 9457 and of this type cannot be replaced.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        const TAKEN: [&str; 9] =
            ["type", "title", "status", "detail", "instance", "code", "request_id", "decision_id", "reasons"];
        if !TAKEN.contains(&name) && name != "retry_after" {
            self.0.extra.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What was wrong and what to do.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Whether a decision refused.
    pub fn is_decided(&self) -> bool {
        self.0.decision_id.is_some()
    }

    /// Where it is explained, as a path.
    pub fn more(&self) -> String {
        format!("/docs/{}#{}", self.page(), self.0.code)
    }

    /// Where its code is explained: a decision's code is the code of its leading reason.
    fn page(&self) -> &'static str {
        if self.0.decision_id.is_some() { "reasons" } else { "problems" }
    }

    fn body(&self) -> String {
        let id = RequestId::current();
        let written = Written {
            kind: self.more(),
            title: self.0.title.as_deref().or_else(|| self.0.status.canonical_reason()).unwrap_or("Error"),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance: id.as_ref().map(|id| format!("urn:seawall:request:{}", id.as_str())),
            code: &self.0.code,
            request_id: id.as_ref().map(RequestId::as_str),
            decision_id: self.0.decision_id.as_deref(),
            reasons: &self.0.reasons,
            retry_after: self.0.retry_after,
            extra: &self.0.extra,
        };
        serde_json::to_string(&written).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        RateLimit::note(self.0.limit, headers);
        if let Some(id) = self.0.decision_id.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert(DECISION_ID, id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::reason::ReasonCode;

    #[test]
    fn a_refusal_says_why_and_until_when() {
        let reasons =
            vec![Reason::new(ReasonCode::LimitExceeded, "10 of 10 in 30m").about("built-in msisdn")];
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit-exceeded", "Wait 12 s.")
            .decided("dec_1", reasons)
            .retry_after(Duration::from_millis(11_001))
            .with("channels", vec!["voice"])
            .with("status", 200);
        let body: Value = serde_json::from_str(&problem.body()).unwrap();
        assert_eq!(
            (&body["status"], &body["retry_after"], &body["channels"][0]),
            (&429.into(), &12.into(), &"voice".into())
        );
        assert_eq!(
            (&body["decision_id"], &body["reasons"][0]["code"]),
            (&"dec_1".into(), &"limit-exceeded".into())
        );
        let response = problem.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "12");
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(response.headers()[DECISION_ID], "dec_1");
    }
}
