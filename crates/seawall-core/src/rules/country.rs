//! Countries that a subaccount does not send to.

use super::{Report, of_subaccount};
use crate::facts::Facts;
use crate::policy::{CountryState, Policy};
use crate::reason::{Reason, ReasonCode};
use crate::request::Request;
use crate::time::Timestamp;

pub(super) fn check(policy: &Policy, request: &Request, _: &Facts, _: Timestamp, report: &mut Report<'_>) {
    // What was sent may be checked wherever it went.
    let off = || of_subaccount(policy, request).country_policy.state(request.country) == CountryState::Off;
    if request.operation.sends() && off() {
        let detail = format!("messages to {} are switched off for {}", request.country, request.subaccount);
        report(Reason::new(ReasonCode::CountryOff, detail).about(request.country.as_str()), None);
    }
}

#[cfg(test)]
mod tests {
    use crate::country::Country;
    use crate::policy::{CountryPolicy, CountryState};

    #[test]
    fn the_most_specific_state_wins() {
        let text = r#"{"default": "open", "continents": {"africa": "off", "asia": "protected"}, "countries": {"EG": "open"}}"#;
        let policy: CountryPolicy = serde_json::from_str(text).unwrap();
        let state = |code: &str| policy.state(Country::parse(code).unwrap());
        assert_eq!((state("EG"), state("KE")), (CountryState::Open, CountryState::Off));
        assert_eq!((state("SG"), state("DE")), (CountryState::Protected, CountryState::Open));
        assert_eq!(policy.state(Country::GLOBAL), CountryState::Open);
        let plain = CountryPolicy::default();
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"default":"protected","countries":{}}"#);
        assert!(serde_json::from_str::<CountryPolicy>(r#"{"continents": {"atlantis": "off"}}"#).is_err());
    }
}
