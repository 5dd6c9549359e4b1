//! Requests that tests ask with.

use super::asked::{Asked, Event};
use super::engine::Engine;
use super::evidence::Evidence;
use crate::client_ip::ClientIp;
use crate::country::Country;
use crate::intel::IpFacts;
use crate::message::Channel;
use crate::msisdn::Msisdn;
use crate::request::Operation;
use crate::time::Timestamp;

/// When they begin, in milliseconds.
pub(super) const START: i64 = 1_767_225_600_000;

/// A code for a number of one block of UZ, asked for by somebody in Germany.
pub(super) fn code(number: u64, ip: Option<&str>, seconds: i64) -> Asked {
    Asked {
        at: Timestamp::from_millis(START + 1000 * seconds),
        operation: Operation::VerifyStart,
        msisdn: Msisdn::from_u64(998_934_120_000 + number).unwrap(),
        country: Country::parse("UZ").unwrap(),
        operator: Some("43404".to_owned()),
        disposable: false,
        subaccount: "acme_hq".to_owned(),
        api_key: "key_1".to_owned(),
        user: None,
        ip: ip.and_then(ClientIp::parse),
        ip_facts: IpFacts { country: Country::parse("DE"), asn: Some(3320), ..IpFacts::default() },
        caller: None,
        user_agent: Some("curl/8.5".to_owned()),
        fingerprint: None,
        known: false,
        trusted: false,
        price: 141_100,
        channel: Channel::Sms,
        text: None,
    }
}

/// Asks, and sends whatever is thought of it.
pub(super) fn ask(engine: &mut Engine, id: u64, asked: Asked) -> Evidence {
    let evidence = engine.assess(&asked);
    let (probability, explained) = (evidence.probability, evidence.explained);
    engine.observe(&Event::Sent { id, asked: Box::new(asked), probability, explained });
    evidence
}
