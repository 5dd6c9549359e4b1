//! A line of a trace as the live gateway would see the request.

use super::ReplayError;
use crate::client_ip::ClientIp;
use crate::intel::{IpFacts, ip};
use crate::money::Currency;
use crate::msisdn::ParsedNumber;
use crate::request::{Client, MessageTraits, Operation, Request};
use crate::text::{look_alike, urls, words};
use crate::trace::{Line, Sms, Start, Text};

/// The subaccount of a line that names none.
const SUBACCOUNT: &str = "default";
/// The API key of every line.
const KEY: &str = "key_replay";
/// The currency of every price in a trace.
const CURRENCY: &str = "USD";

/// A request for a code.
pub(super) fn start(line: &Line<'_>, start: &Start<'_>, to: &ParsedNumber) -> Result<Request, ReplayError> {
    let request = request(line, Operation::VerifyStart, to)?;
    Ok(priced(request, start.price_micros))
}

/// A request for a message.
pub(super) fn sms(line: &Line<'_>, sms: &Sms<'_>, to: &ParsedNumber) -> Result<Request, ReplayError> {
    let mut request = request(line, Operation::SmsSend, to)?;
    request.message = traits(&sms.text);
    Ok(priced(request, sms.price_micros))
}

/// A code presented for a number.
pub(super) fn check(line: &Line<'_>, to: &ParsedNumber) -> Result<Request, ReplayError> {
    let mut request = request(line, Operation::VerifyCheck, to)?;
    request.segments = 0;
    Ok(request)
}

fn priced(mut request: Request, micros: Option<u64>) -> Request {
    request.price = micros.and_then(|micros| i64::try_from(micros).ok());
    request.currency = Currency::parse(CURRENCY);
    request
}

fn traits(text: &str) -> MessageTraits {
    let look_alike =
        if text.is_ascii() { None } else { look_alike::find(text).map(look_alike::LookAlike::describe) };
    MessageTraits {
        url_hosts: urls::hosts(text),
        words: words::hashes(text),
        unicode: !text.is_ascii(),
        look_alike,
        ..MessageTraits::default()
    }
}

fn request(line: &Line<'_>, operation: Operation, to: &ParsedNumber) -> Result<Request, ReplayError> {
    let subaccount = line.subaccount.as_deref().unwrap_or(SUBACCOUNT);
    let caller = line.caller.as_ref().and_then(|caller| caller.ip.as_deref());
    let caller = caller.map(|text| address("caller.ip", text)).transpose()?;
    let caller = caller.unwrap_or_else(|| ClientIp::from_ip(std::net::Ipv4Addr::LOCALHOST.into()));
    let mut request = Request::new(operation, subaccount, KEY, to, caller);
    request.client = client(line)?;
    Ok(request)
}

fn client(line: &Line<'_>) -> Result<Client, ReplayError> {
    let own = |text: &Option<Text<'_>>| text.as_deref().map(str::to_owned);
    let client = &line.client;
    Ok(Client {
        ip: client.ip.as_deref().map(|text| address("client.ip", text)).transpose()?,
        user_agent: own(&client.user_agent),
        fingerprint: own(&client.fingerprint),
        device_token: own(&client.device_token),
        ..Client::default()
    })
}

fn address(field: &'static str, text: &str) -> Result<ClientIp, ReplayError> {
    ClientIp::parse(text)
        .ok_or_else(|| ReplayError::Address { field, value: text.chars().take(60).collect() })
}

/// What the trace says of an address stands in for the tables: of what kind of place it is, all or nothing.
pub(super) fn ip_facts(line: &Line<'_>, address: ClientIp) -> IpFacts {
    let client = &line.client;
    let said = IpFacts { hosting: client.hosting.unwrap_or(false), ..IpFacts::default() };
    let facts = match (client.asn, client.country, client.hosting) {
        (Some(_), Some(_), Some(_)) => said,
        (_, _, None) => ip::facts(address),
        _ => {
            let IpFacts { country, asn, .. } = ip::facts(address);
            IpFacts { country, asn, ..said }
        }
    };
    IpFacts { asn: client.asn.or(facts.asn), country: client.country.or(facts.country), ..facts }
}
