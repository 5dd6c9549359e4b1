//! Room 8 of the 8x8 dialect: the one place where a refusal becomes a status, a code and a body.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::decision::Verdict;
use seawall_core::id::{Id, IdKind};
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use serde::Serialize;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as ApiResponse, ResponseBuilder};

use crate::app::number_keys::Unread;
use crate::app::screen::Screened;
use crate::app::who::Stranger;
use crate::app::{App, Refusal};
use crate::http::door::RequestId;
use crate::http::rate_limit::RateLimit;

/// Names the decision that refused, so that it can be explained.
pub(super) const DECISION_ID: HeaderName = HeaderName::from_static("seawall-decision-id");

/// 8x8's error body; `/openapi.json` calls it `EightError`.
#[derive(Debug, Serialize)]
pub(super) struct ErrorBody {
    /// What went wrong, see the table of codes.
    pub code: u16,
    /// The same in words.
    pub message: String,
    /// Names this answer in the log.
    #[serde(rename = "errorId")]
    pub error_id: String,
    /// When.
    pub timestamp: String,
}

/// An error on its way out.
#[derive(Debug)]
pub(super) struct Refused {
    pub status: StatusCode,
    pub code: u16,
    pub message: String,
    /// Seconds.
    pub retry_after: Option<u64>,
    pub decision: Option<Id>,
    /// Why it was decided so.
    pub reason: Option<ReasonCode>,
    pub limit: Option<Box<RateLimit>>,
}

/// What a handler gives.
pub(super) type Answer<T> = Result<T, Refused>;

impl Refused {
    pub fn new(status: StatusCode, code: u16, message: impl Into<String>) -> Self {
        let message = message.into();
        Refused { status, code, message, retry_after: None, decision: None, reason: None, limit: None }
    }

    /// 400 with a code.
    pub fn bad(code: u16, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404, 1300.
    pub fn message_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, 1300, "Message not found.")
    }

    /// 403, 1201.
    pub fn forbidden(why: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, 1201, format!("Access forbidden: {why}"))
    }

    /// 429 with the seconds until there is room.
    pub fn quota(retry_at: Option<Timestamp>, now: Timestamp) -> Self {
        let seconds = retry_at.map(|at| wait(at, now));
        let message = match seconds {
            Some(n) => format!("Quota exceeded. Please try again in {n} second(s)."),
            None => "Quota exceeded. Waiting does not help; only a success or the operator does.".to_owned(),
        };
        Refused { retry_after: seconds, ..Self::new(StatusCode::TOO_MANY_REQUESTS, 429, message) }
    }

    /// 503: more requests are under way than the gateway takes at a time.
    pub fn overloaded() -> Self {
        let message =
            "Internal server error: too many requests are under way. Nothing was changed; try again.";
        Refused { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, 2000, message) }
    }

    /// 503: a store did not answer, and nothing is done on a guess.
    pub fn unavailable() -> Self {
        let message = "Internal server error: a store does not answer. Nothing was changed; try again.";
        Refused { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, 2000, message) }
    }
}

/// Whole seconds until then, at least one: a client that obeys must not come too early.
pub(super) fn wait(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(at.since(now).as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let id = RequestId::current();
        let body = ErrorBody {
            code: self.code,
            message: self.message,
            error_id: id
                .as_ref()
                .map_or_else(|| "00000000-0000-0000-0000-000000000000".to_owned(), RequestId::uuid),
            timestamp: id.map(|id| id.arrived_at().to_string()).unwrap_or_default(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        RateLimit::note(self.limit.map(|limit| *limit), headers);
        if let Some(id) = self.decision {
            note_decision(headers, id);
        }
        headers.insert(header::LINK, help(self.reason));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The page that explains an error: the body has no room for it.
fn help(reason: Option<ReasonCode>) -> HeaderValue {
    let page = match reason {
        Some(reason) => format!("</docs/reasons#{}>; rel=\"help\"", reason.as_str()),
        None => "</docs/8x8>; rel=\"help\"".to_owned(),
    };
    HeaderValue::try_from(page).unwrap_or_else(|_| HeaderValue::from_static("</docs/reasons>; rel=\"help\""))
}

/// Puts a decision's id on an answer.
pub(super) fn note_decision(headers: &mut axum::http::HeaderMap, id: Id) {
    if let Ok(value) = HeaderValue::from_str(&id.show(IdKind::Decision)) {
        headers.insert(DECISION_ID, value);
    }
}

/// Callers that are turned away. A foreign subaccount and an unknown one read the same.
pub(super) fn stranger(app: &App, why: Stranger) -> Refused {
    match why {
        Stranger::NoKey => {
            Refused::new(StatusCode::UNAUTHORIZED, 1200, "Request was not authenticated properly")
        }
        Stranger::Scope { needed } => {
            Refused::forbidden(&format!("the key has no scope `{}`", needed.as_str()))
        }
        Stranger::Address { ip } => Refused::forbidden(&format!("{ip} is not on the IP allow-list")),
        Stranger::Subaccount => foreign_subaccount(),
        Stranger::Product { needed } => {
            Refused::forbidden(&format!("`{}` is not switched on for the subaccount", needed.as_str()))
        }
        Stranger::Rate { retry_at } => Refused::quota(Some(retry_at), app.now()),
        Stranger::Full => Refused::overloaded(),
        Stranger::Unavailable(error) => store(&error),
    }
}

/// 400, 1001: as 8x8 spells it.
pub(super) fn foreign_subaccount() -> Refused {
    Refused::bad(1001, "Provided subAccountId doesn't belong to your account")
}

/// A store's failure is logged here, once, and not told to the caller.
pub(super) fn store(error: &seawall_store::StoreError) -> Refused {
    tracing::error!(%error, "a request was refused because a store failed");
    Refused::unavailable()
}

/// A use case that did not do it.
pub(super) fn refusal(why: Refusal) -> Refused {
    match why {
        Refusal::Decided(screened) => decided(&screened),
        Refusal::Unavailable(error) => store(&error),
        Refusal::Invalid { field, problem } => invalid(field, &problem),
        Refusal::NumberKey { .. } => Refused::bad(1002, format!("Invalid MSISDN: {}", Unread::UnknownKey)),
        Refusal::NotFound => Refused::message_not_found(),
        Refusal::UnderWay => Refused {
            retry_after: Some(1),
            ..Refused::new(
                StatusCode::CONFLICT,
                1000,
                "A request with this Idempotency-Key is under way; wait for its answer.",
            )
        },
        Refusal::KeyReused => Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            1000,
            "This Idempotency-Key was used with another body; use a new one.",
        ),
    }
}

/// What only the set-up could tell: the native field, in this dialect's code and spelling.
fn invalid(field: &str, problem: &str) -> Refused {
    match field {
        "code_length" => Refused::bad(1010, format!("Invalid codeLength: {problem}")),
        "template" => Refused::bad(1007, format!("Invalid template: {problem}")),
        other => Refused::bad(1000, format!("Invalid {other}: {problem}")),
    }
}

/// A decision that refuses: contract §3. Also used for a single SMS that is throttled.
pub(super) fn decided(screened: &Screened) -> Refused {
    let refused = match leading(screened) {
        Some(ReasonCode::StoreUnavailable) => Refused::unavailable(),
        Some(ReasonCode::ClientIpRequired) => {
            Refused::bad(1012, "Invalid IP address: this subaccount requires clientIp")
        }
        Some(ReasonCode::ResendTooEarly | ReasonCode::BackOff) => too_early(screened),
        _ if screened.decision.verdict == Verdict::Throttle => {
            Refused::quota(screened.decision.retry_at, screened.at)
        }
        reason => Refused::forbidden(reason.map_or("refused", ReasonCode::as_str)),
    };
    let reason = leading(screened);
    Refused { decision: Some(screened.id), reason, limit: RateLimit::of(screened).map(Box::new), ..refused }
}

fn too_early(screened: &Screened) -> Refused {
    let seconds = screened.decision.retry_at.map_or(1, |at| wait(at, screened.at));
    let message = format!("Resending interval violation. Please try again in {seconds} second(s).");
    Refused { retry_after: Some(seconds), ..Refused::new(StatusCode::FORBIDDEN, 1400, message) }
}

/// The reason that the answer speaks of. A missing store comes first, then what blocks; "too early" is
/// said only if nothing else throttles, because waiting for it would not be enough.
pub(super) fn leading(screened: &Screened) -> Option<ReasonCode> {
    let reasons = || screened.decision.reasons.iter().filter(|r| r.in_force()).map(|r| r.code);
    let rank = |code: &ReasonCode| match code {
        ReasonCode::ClientIpRequired => 3,
        code if code.verdict() == Verdict::Block => 4,
        ReasonCode::StoreUnavailable => 2,
        ReasonCode::ResendTooEarly | ReasonCode::BackOff => 0,
        _ => 1,
    };
    reasons().max_by_key(rank)
}

/// The errors that every operation can answer, for `/openapi.json`.
pub(super) struct Refusals;

/// Those of operations that send.
pub(super) struct SendRefusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<ApiResponse>> {
        errors(&[
            (400, "The request does not fit; `code` says where"),
            (401, "No valid API key"),
            (403, "Not allowed: scope, IP allow-list, product, policy, or too early to resend (1400)"),
            (404, "No such thing of this subaccount"),
            (408, "The body came too slowly"),
            (413, "The body is too large"),
            (415, "The body is not JSON"),
            (429, "Too many; `Retry-After` says when there is room"),
            (500, "Internal error"),
            (503, "A store does not answer; nothing was changed"),
        ])
    }
}

impl IntoResponses for SendRefusals {
    fn responses() -> BTreeMap<String, RefOr<ApiResponse>> {
        let mut all = Refusals::responses();
        all.extend(errors(&[
            (409, "A request with this Idempotency-Key is under way"),
            (422, "The Idempotency-Key was used with another body"),
        ]));
        all
    }
}

fn errors(all: &[(u16, &str)]) -> BTreeMap<String, RefOr<ApiResponse>> {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("EightError"))).build();
    let one = |description: &str| {
        ResponseBuilder::new().description(description).content("application/json", content()).build()
    };
    all.iter().map(|(status, description)| (status.to_string(), one(description).into())).collect()
}
