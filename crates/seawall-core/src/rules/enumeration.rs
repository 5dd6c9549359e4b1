//! Whoever goes through numbers by looking them up has to wait.

use super::Report;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(_: &Policy, _: &Request, facts: &Facts, _: Timestamp, report: &mut Report<'_>) {
    if let Some(held) = &facts.enumeration {
        let detail = format!("{} by {}", held.pattern.describe(), held.caller);
        report(
            Reason::new(ReasonCode::LookupEnumeration, detail).about(held.caller.clone()),
            Some(held.until),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::decide::decide;
    use crate::decision::Verdict;
    use crate::facts::Enumeration;
    use crate::lookup::Pattern;
    use crate::msisdn::Msisdn;
    use crate::request::Operation;

    #[test]
    fn it_throttles_until_its_time_is_over() {
        let (to, ip) =
            (Msisdn::parse("+6591234567", None).unwrap(), ClientIp::parse("198.51.100.1").unwrap());
        let request = Request::new(Operation::Lookup, "acme_hq", "key_1", &to, ip);
        let until = Timestamp::from_millis(900_000);
        let held = Enumeration { pattern: Pattern::Walk, caller: "key_1".to_owned(), until };
        let facts = Facts { enumeration: Some(held), ..Facts::default() };
        let decision = decide(&Policy::default(), &request, &facts, Timestamp::default());
        assert_eq!((decision.verdict, decision.retry_at), (Verdict::Throttle, Some(until)));
        let free = decide(&Policy::default(), &request, &Facts::default(), Timestamp::default());
        assert_eq!(free.verdict, Verdict::Allow);
    }
}
