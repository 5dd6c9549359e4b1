//! Allows that were given without a send, and may be redeemed once by one: the send is then not charged and
//! not decided by detection and limits again. Guardrails are asked anew: what must never be sent is not sent.
//!
//! Grants live in memory for ten minutes, and are read back from the ledger at a start: allows that were given
//! within that time and that no message names. What a crash loses is the last second; the caller asks again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::request::Request;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;

use super::{App, Refusal};

/// How long an allow can be redeemed.
pub const REDEEMABLE_FOR: Duration = Duration::from_secs(600);
/// Grants kept at once; the oldest give way.
const MOST: usize = 100_000;

/// An allow that was charged and not used yet.
#[derive(Debug)]
struct Grant {
    /// By [`seawall_core::request::Operation::as_u8`].
    operation: u8,
    /// Whose, as a keyed hash.
    sub: u64,
    /// To whom, as a keyed hash.
    to: u64,
    /// Of how many segments, at most.
    segments: u8,
}

/// Grants in the order of their decisions' ids, which is nearly that in which they are given.
#[derive(Default)]
pub struct Grants(Mutex<VecDeque<(Id, Option<Grant>)>>);

impl Grants {
    /// Keeps an allow.
    pub fn give(&self, id: Id, segments: u8, dimensions: &Dimensions, now: Timestamp) {
        let Dimensions { op: operation, sub, to, .. } = *dimensions;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((oldest, _)) = kept.front() {
            if kept.len() < MOST && oldest.at().plus(REDEEMABLE_FOR) > now {
                break;
            }
            kept.pop_front();
        }
        let after = kept.iter().rev().take_while(|(other, _)| *other > id).count();
        let at = kept.len() - after;
        kept.insert(at, (id, Some(Grant { operation, sub, to, segments })));
    }

    /// Takes the allow that fits this request; nobody else gets it. `whom`: the subaccount and the number, as keyed
    /// hashes.
    fn take(&self, id: Id, request: &Request, whom: (u64, u64), now: Timestamp) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(at) = kept.binary_search_by_key(&id, |(other, _)| *other) else { return false };
        let Some((_, place)) = kept.get_mut(at) else { return false };
        let fits = place.as_ref().is_some_and(|grant| {
            id.at().plus(REDEEMABLE_FOR) > now
                && grant.operation == request.operation.as_u8()
                && (grant.sub, grant.to) == whom
                && request.segments <= grant.segments
        });
        fits && place.take().is_some()
    }
}

/// Reads back what may still be redeemed.
pub async fn restore(app: &App) -> Result<(), StoreError> {
    let now = app.now();
    let allows = app.store.ledger.past_allows(now.minus(REDEEMABLE_FOR)).await?;
    allows.iter().for_each(|allow| app.grants.give(allow.id, allow.segments, &allow.dimensions, now));
    Ok(())
}

/// Takes the allow that a request says to redeem, or says why there is none. Nobody else gets it then.
pub fn claim(app: &App, request: &Request) -> Result<(), Refusal> {
    let Some(id) = request.terms.redeems else { return Ok(()) };
    let index = app.store.vault.index();
    let whom = (index.text(b's', &request.subaccount), index.msisdn(request.to));
    if app.grants.take(id, request, whom, app.now()) {
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
    use seawall_core::request::Operation;

    fn request() -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        Request::new(Operation::SmsSend, "acme", "key_1", &to, caller)
    }

    #[test]
    fn an_allow_is_redeemed_once_by_what_it_was_given_for() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let id = Id::new(Id::first_row(now), 9);
        let dimensions =
            Dimensions { op: Operation::SmsSend.as_u8(), sub: 5, to: 7, ..Dimensions::default() };
        let grants = Grants::default();
        grants.give(id, 1, &dimensions, now);
        assert!(!grants.take(id, &request(), (6, 7), now), "another subaccount");
        assert!(!grants.take(id, &request(), (5, 8), now), "another number");
        let mut long = request();
        long.segments = 2;
        assert!(!grants.take(id, &long, (5, 7), now), "a longer text");
        assert!(!grants.take(id, &request(), (5, 7), now.plus(REDEEMABLE_FOR)), "too late");
        assert!(grants.take(id, &request(), (5, 7), now));
        assert!(!grants.take(id, &request(), (5, 7), now), "twice");
    }
}
