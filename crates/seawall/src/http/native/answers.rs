//! Room 8 of the native API: the one place where refusals become problems (RFC 9457).

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use seawall_core::decision::Verdict;
use seawall_core::id::IdKind;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;

use crate::app::Refusal;
use crate::app::number_keys::Unread;
use crate::app::screen::Screened;
use crate::app::who::Stranger;
use crate::http::problem::Problem;
use crate::http::rate_limit::RateLimit;

/// When to try again after a store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// The window of API rates, and time enough for a request under way to end.
const SECOND: Duration = Duration::from_secs(1);

/// A request of the native API that is not done. Everything that can go wrong becomes one of these by `?`.
#[derive(Debug, PartialEq)]
pub struct Refused(pub Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused(problem)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused(unavailable(&error))
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Refused(refused(refusal))
    }
}

impl From<Stranger> for Refused {
    fn from(stranger: Stranger) -> Self {
        Refused(turned_away(stranger))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        // RFC 9110 wants the scheme named wherever a key is missing.
        if response.status() == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"seawall\""));
        }
        response
    }
}

/// A use case did not do what was asked.
pub fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Decided(screened) => decided(&screened),
        Refusal::Unavailable(error) => unavailable(&error),
        Refusal::Invalid { field, problem } => Problem::field(field, problem),
        Refusal::NumberKey { field } => number_key(field),
        Refusal::NotFound => not_found(),
        Refusal::UnderWay => {
            let detail = "A request with this Idempotency-Key is under way; ask again when it has ended.";
            Problem::new(StatusCode::CONFLICT, "idempotency-key-in-use", detail).retry_after(SECOND)
        }
        Refusal::KeyReused => {
            let detail = "This Idempotency-Key was used with another body; use a new key for a new request.";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
        }
    }
}

fn number_key(field: &str) -> Problem {
    let detail = format!("In `{field}`, {}.", Unread::UnknownKey);
    Problem::new(StatusCode::BAD_REQUEST, "number-key-unknown", detail).with("field", field)
}

/// A decision not to.
pub fn decided(screened: &Screened) -> Problem {
    let leading = screened.leading_reason();
    let code = leading.map_or("refused", ReasonCode::as_str);
    let reasons = screened.told_reasons();
    let said = reasons.iter().find(|r| r.in_force() && Some(r.code) == leading).map(|r| r.detail.as_str());
    let remedy = leading.map_or("", ReasonCode::remedy);
    let detail = format!("{}. {remedy}", said.unwrap_or("Refused").trim_end_matches('.'));
    let problem = Problem::new(status(screened, leading), code, detail.trim())
        .titled("The request was refused")
        .decided(screened.id.show(IdKind::Decision), reasons)
        .limited(RateLimit::of(screened));
    match screened.decision.retry_at {
        Some(at) => problem.retry_after(wait(at, screened.at)),
        None if leading == Some(ReasonCode::StoreUnavailable) => problem.retry_after(STORE_PAUSE),
        None => problem,
    }
}

fn status(screened: &Screened, leading: Option<ReasonCode>) -> StatusCode {
    match (screened.decision.verdict, leading) {
        (_, Some(ReasonCode::StoreUnavailable)) => StatusCode::SERVICE_UNAVAILABLE,
        (Verdict::Throttle, _) => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::FORBIDDEN,
    }
}

/// At least a second, so that nobody comes back at once.
pub fn wait(until: Timestamp, now: Timestamp) -> Duration {
    until.since(now).max(SECOND)
}

/// Whole seconds, rounded up.
pub fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

fn unavailable(error: &StoreError) -> Problem {
    // The caller can do nothing about what it says, and it may name files.
    tracing::error!(%error, "a store did not answer");
    let detail = "The store does not answer, so nothing was done; retry with the same Idempotency-Key.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(STORE_PAUSE)
}

/// No such thing, or not the caller's: the same answer.
pub fn not_found() -> Problem {
    let detail = "There is no such thing that this key may see; check the id and the subaccount.";
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

/// A caller is turned away.
pub fn turned_away(stranger: Stranger) -> Problem {
    let forbidden = |code: &'static str, detail: String| Problem::new(StatusCode::FORBIDDEN, code, detail);
    match stranger {
        Stranger::NoKey => {
            let detail = "Send a valid API key as Authorization: Bearer sw_live_…; \
                          it may be unknown, disabled or expired.";
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        }
        Stranger::Scope { needed } => {
            let scope = needed.as_str();
            forbidden(
                "scope-missing",
                format!("The key lacks the scope `{scope}`; add it under /admin/v1/api-keys."),
            )
        }
        Stranger::Address { ip } => {
            let detail = format!(
                "{ip} is not on the IP allow-list; add it under /admin/v1/ip-allowlist or to the key."
            );
            forbidden("ip-not-allowed", detail)
        }
        Stranger::Subaccount => not_found(),
        Stranger::Product { needed } => {
            let detail =
                format!("`{}` is not switched on for this subaccount; see its products.", needed.as_str());
            forbidden("product-off", detail)
        }
        Stranger::Rate { .. } => {
            let detail = ReasonCode::ApiRate.remedy();
            let code = ReasonCode::ApiRate.as_str();
            Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(SECOND)
        }
        Stranger::Full => {
            let detail = "More requests are under way than the gateway takes at a time, so nothing was done; \
                          retry with the same Idempotency-Key.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(SECOND)
        }
        Stranger::Unavailable(error) => unavailable(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_subaccount_looks_like_none() {
        assert_eq!(turned_away(Stranger::Subaccount), refused(Refusal::NotFound));
    }

    #[test]
    fn what_a_store_says_stays_inside() {
        let problem = refused(Refusal::Unavailable(StoreError::Unavailable("/var/lib/secret".into())));
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!problem.detail().contains("secret"));
    }
}
