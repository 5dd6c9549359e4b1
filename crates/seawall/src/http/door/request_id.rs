//! The id of a request: in the answer, in the log, in every error body.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use seawall_core::id::{Id, IdKind};
use seawall_core::time::Timestamp;

use crate::clock::Clock;

/// `X-Request-Id`, in both directions.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A caller's own id may be this long.
const MAX_BYTES: usize = 64;

/// One request's id: [`RequestId::current`] within its handler.
#[derive(Clone, Debug)]
pub struct RequestId {
    shown: HeaderValue,
    own: Id,
}

tokio::task_local! {
    pub(super) static CURRENT: RequestId;
}

impl RequestId {
    /// As it is shown: the caller's own id if it sent a good one, else `req_…`.
    pub fn as_str(&self) -> &str {
        self.shown.to_str().unwrap_or_default()
    }

    /// The same request as a UUID, for dialects whose errors carry one. Never the caller's own.
    pub fn uuid(&self) -> String {
        self.own.to_uuid()
    }

    /// When the request arrived.
    pub fn arrived_at(&self) -> Timestamp {
        self.own.at()
    }

    /// The id of the request that this task handles; `None` outside of one.
    pub fn current() -> Option<RequestId> {
        CURRENT.try_with(Clone::clone).ok()
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.shown.clone()
    }
}

/// Gives out ids. They have to be unique and hard to guess, not secret.
pub(super) struct RequestIds {
    clock: Clock,
    random: RandomState,
    count: AtomicI64,
}

impl RequestIds {
    pub fn new() -> Self {
        RequestIds {
            clock: Clock::start(Timestamp::default()),
            random: RandomState::new(),
            count: AtomicI64::new(0),
        }
    }

    /// The id of a request with these headers.
    pub fn next(&self, headers: &HeaderMap) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let own = Id::new(Id::first_row(self.clock.now()), self.random.hash_one(count));
        let shown = headers.get(&HEADER).filter(|value| is_good(value.as_bytes())).cloned();
        let ours =
            || HeaderValue::try_from(own.show(IdKind::Request)).unwrap_or(HeaderValue::from_static("req_"));
        RequestId { shown: shown.unwrap_or_else(ours), own }
    }
}

fn is_good(id: &[u8]) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
    (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_id_of_the_caller_is_kept_and_a_bad_one_is_not() {
        let ids = RequestIds::new();
        let ask = |id: &str| {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(id).unwrap())]);
            ids.next(&headers).as_str().to_owned()
        };
        assert_eq!(ask("trace-1_A"), "trace-1_A");
        for bad in ["", "a b", "a;b", &"x".repeat(65)] {
            assert!(ask(bad).starts_with("req_"), "{bad}");
        }
    }

    #[test]
    fn ids_differ_and_grow() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next(&HeaderMap::new()), ids.next(&HeaderMap::new()));
        assert_ne!(first.as_str(), second.as_str());
        assert!(first.arrived_at() <= second.arrived_at());
    }
}
