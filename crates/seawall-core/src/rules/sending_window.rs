//! Messages that are not codes go out while the recipient is awake, if the subaccount says so.

use std::time::Duration;

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::intel::local_time::{self, UtcOffsets};
use crate::policy::{Policy, SendingWindow};
use crate::reason::{Reason, ReasonCode};
use crate::request::{Operation, Request};
use crate::time::Timestamp;

/// Clocks stand at quarters of an hour from UTC, so windows begin and end at such times.
const STEP: Duration = Duration::from_secs(15 * 60);
/// Two days of steps: somewhere in them every window has its turn, if it has one at all.
const STEPS: u32 = 192;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, now: Timestamp, report: &mut Report<'_>) {
    if !matches!(request.operation, Operation::SmsSend | Operation::SmsBatch) {
        return;
    }
    let own = of_subaccount(policy, request);
    let Some(window) = &own.sending_window else { return };
    if !window.categories.contains(&request.category) {
        return;
    }
    if request.purpose.as_ref().is_some_and(|p| window.except_purposes.contains(p)) {
        return;
    }
    let at = request.due.unwrap_or(now).max(now);
    if within(window, request, at) {
        return;
    }
    let local = offsets(request, at).and_then(|o| o.hour(at));
    let clock = local.map_or_else(|| "an hour that is not sure".to_owned(), |hour| format!("{hour} o'clock"));
    let detail = format!(
        "where {} is, it is {clock}; {} sends from {} to {}",
        request.to, request.subaccount, window.from, window.until
    );
    report(Reason::new(ReasonCode::OutsideSendingWindow, detail), next(window, request, at));
}

fn offsets(request: &Request, at: Timestamp) -> Option<UtcOffsets> {
    local_time::offsets(&request.number(), at)
}

/// Whether every clock that the number may live by is within the window. Where no clock is known, it is
/// UTC's.
fn within(window: &SendingWindow, request: &Request, at: Timestamp) -> bool {
    let utc = UtcOffsets { least_minutes: 0, most_minutes: 0 };
    let (from, until) = (window.from.minutes(), window.until.minutes());
    offsets(request, at).unwrap_or(utc).surely_between(at, from, until)
}

/// When the window opens next.
fn next(window: &SendingWindow, request: &Request, at: Timestamp) -> Option<Timestamp> {
    let step = i64::try_from(STEP.as_millis()).unwrap_or(i64::MAX);
    let first = Timestamp::from_millis(at.as_millis().div_euclid(step) * step);
    (1..=STEPS).map(|n| first.plus(STEP * n)).find(|at| within(window, request, *at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::decide::decide;
    use crate::decision::Verdict;
    use crate::msisdn::Msisdn;
    use crate::policy::SubaccountPolicy;

    fn policy() -> Policy {
        let window: SendingWindow =
            serde_json::from_str(r#"{"from":"08:00","until":"21:00","except_purposes":["delivery"]}"#)
                .unwrap();
        let mut policy = Policy::default();
        let own = SubaccountPolicy { sending_window: Some(window), ..SubaccountPolicy::default() };
        policy.subaccounts.insert("shop".to_owned(), own);
        policy
    }

    fn ask(operation: Operation) -> Request {
        let to = Msisdn::parse("+6591234567", None).unwrap();
        Request::new(operation, "shop", "key_1", &to, ClientIp::parse("198.51.100.1").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_recipients_clock_decides_and_says_when() {
        let decided = |request: &Request, now: &str| decide(&policy(), request, &Facts::default(), at(now));
        let message = ask(Operation::SmsSend);
        // Singapore is eight hours ahead of UTC.
        assert_eq!(decided(&message, "2026-01-05T00:00:00Z").verdict, Verdict::Allow, "08:00 there");
        let night = decided(&message, "2026-01-05T13:00:00Z");
        assert_eq!(night.verdict, Verdict::Throttle, "21:00 there");
        assert_eq!(night.retry_at, Some(at("2026-01-06T00:00:00Z")));
        assert_eq!(decided(&ask(Operation::VerifyStart), "2026-01-05T13:00:00Z").verdict, Verdict::Allow);
        let mut urgent = ask(Operation::SmsSend);
        urgent.purpose = Some("delivery".to_owned());
        assert_eq!(decided(&urgent, "2026-01-05T13:00:00Z").verdict, Verdict::Allow);
        let answer = Request { category: crate::consent::Category::Answer, ..ask(Operation::SmsSend) };
        assert_eq!(decided(&answer, "2026-01-05T13:00:00Z").verdict, Verdict::Allow);
        let mut later = ask(Operation::SmsSend);
        later.due = Some(at("2026-01-06T01:00:00Z"));
        assert_eq!(decided(&later, "2026-01-05T13:00:00Z").verdict, Verdict::Allow, "due in the morning");
    }
}
