//! Allows that were given without a send, and may be redeemed once by one: the send is then not charged and
//! not decided by detection and limits again. Guardrails are asked anew: what must never be sent is not sent.
//!
//! Grants live in memory for ten minutes. After a restart there are none: the caller asks again, and nothing
//! can be redeemed twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;

use super::{App, Refusal};

/// How long an allow can be redeemed.
pub const REDEEMABLE_FOR: Duration = Duration::from_secs(600);
/// Grants kept at once; the oldest give way.
const MOST: usize = 100_000;

/// An allow that was charged and not used yet.
#[derive(Clone, Debug)]
pub struct Grant {
    /// For which operation.
    pub operation: Operation,
    /// Whose.
    pub subaccount: String,
    /// To whom, as a keyed hash.
    pub to: u64,
    /// Of how many segments, at most.
    pub segments: u8,
}

/// Grants by decision.
#[derive(Default)]
pub struct Grants(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_id: HashMap<Id, Grant>,
    order: VecDeque<Id>,
}

impl Grants {
    /// Keeps an allow.
    pub fn give(&self, id: Id, grant: Grant, now: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = kept.order.front().copied() {
            if kept.order.len() < MOST && oldest.at().plus(REDEEMABLE_FOR) > now {
                break;
            }
            kept.order.pop_front();
            kept.by_id.remove(&oldest);
        }
        if kept.by_id.insert(id, grant).is_none() {
            kept.order.push_back(id);
        }
    }

    /// Takes the allow that fits this request; nobody else gets it.
    pub fn take(&self, id: Id, request: &Request, to: u64, now: Timestamp) -> Option<Grant> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = kept.by_id.get(&id)?;
        let fits = id.at().plus(REDEEMABLE_FOR) > now
            && grant.operation == request.operation
            && grant.subaccount == request.subaccount
            && grant.to == to
            && request.segments <= grant.segments;
        if fits { kept.by_id.remove(&id) } else { None }
    }
}

/// Takes the allow that a request says to redeem, or says why there is none. Nobody else gets it then.
pub fn claim(app: &App, request: &Request) -> Result<(), Refusal> {
    let Some(id) = request.terms.redeems else { return Ok(()) };
    let to = app.store.vault.index().msisdn(request.to);
    if app.grants.take(id, request, to, app.now()).is_some() {
        return Ok(());
    }
    let problem = "`decision_id` names no allow for this number, operation and size that is unused and at most ten \
                   minutes old. Ask for a decision again, or send without it.";
    Err(Refusal::Invalid { field: "decision_id", problem: problem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::client_ip::ClientIp;
    use seawall_core::msisdn::Msisdn;

    fn request(subaccount: &str) -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        Request::new(Operation::SmsSend, subaccount, "key_1", &to, caller)
    }

    fn grant() -> Grant {
        Grant { operation: Operation::SmsSend, subaccount: "acme".to_owned(), to: 7, segments: 1 }
    }

    #[test]
    fn an_allow_is_redeemed_once_by_what_it_was_given_for() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let id = Id::new(Id::first_row(now), 9);
        let grants = Grants::default();
        grants.give(id, grant(), now);
        assert!(grants.take(id, &request("other"), 7, now).is_none(), "another subaccount");
        assert!(grants.take(id, &request("acme"), 8, now).is_none(), "another number");
        let mut long = request("acme");
        long.segments = 2;
        assert!(grants.take(id, &long, 7, now).is_none(), "a longer text");
        assert!(grants.take(id, &request("acme"), 7, now.plus(REDEEMABLE_FOR)).is_none(), "too late");
        assert!(grants.take(id, &request("acme"), 7, now).is_some());
        assert!(grants.take(id, &request("acme"), 7, now).is_none(), "twice");
    }
}
