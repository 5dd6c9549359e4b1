//! Room 3 of the native API: the last place with strings.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use seawall_core::client_ip::ClientIp;
use seawall_core::country::Country;
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{
    Client, LIMIT_KEY_RULE, LONGEST_LIMIT_VALUE, MOST_LIMIT_KEYS, Terms, is_limit_key,
};
use seawall_core::sender_id::SenderId;
use seawall_core::text::code::{self, BoundApp, CodeLines, Payment};
use seawall_core::time::{Timestamp, span};

use super::requests::{BoundAppRequest, PaymentRequest};
use super::words::RiskCheckWord;

use crate::app::number_keys::{self, Unread};
use crate::app::{App, Refusal};

type Read<T> = Result<T, Refusal>;

/// How far ahead a message may be scheduled.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

/// A field does not fit.
pub fn invalid(field: &'static str, problem: impl Into<String>) -> Refusal {
    let problem: String = problem.into();
    let mut letters = problem.chars();
    let capital = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
    let sentence = capital.unwrap_or_default();
    let stop = if sentence.ends_with('.') { "" } else { "." };
    Refusal::Invalid { field, problem: format!("{sentence}{stop}") }
}

/// A number of a body, written out or encrypted.
pub fn number(app: &App, field: &'static str, text: &str, country: Option<&str>) -> Read<ParsedNumber> {
    number_keys::read(app, text, home(country)?).map_err(|why| match why {
        Unread::UnknownKey => Refusal::NumberKey { field },
        why => invalid(field, why.to_string()),
    })
}

/// A number where encrypted ones are not taken: in URLs, which are kept in logs, and where the answers have to name it.
pub fn written_out(field: &'static str, text: &str, country: Option<&str>) -> Read<ParsedNumber> {
    if number_keys::is_encrypted(text) {
        return Err(invalid(field, format!("`{field}` takes no encrypted number; write it out")));
    }
    Msisdn::parse(text, home(country)?).map_err(|error| invalid(field, error.to_string()))
}

fn home(country: Option<&str>) -> Read<Option<Country>> {
    let wrong = || invalid("country", "`country` is two letters by ISO 3166-1, such as SG");
    country.map(|text| Country::parse(text).ok_or_else(wrong)).transpose()
}

/// Who stands behind a request.
pub fn client(client: super::requests::Client) -> Read<Client> {
    Ok(Client {
        ip: client.ip.as_deref().map(client_ip).transpose()?,
        user: bounded("client.user_id", client.user_id, 256)?,
        fingerprint: bounded("client.fingerprint", client.fingerprint, 256)?,
        user_agent: bounded("client.user_agent", client.user_agent, 1024)?,
        device_token: bounded("client.device_token", client.device_token, 1024)?,
        ja4: bounded("client.ja4", client.ja4, 128)?,
        headers: headers(client.headers.unwrap_or_default())?,
    })
}

/// Headers of the end user's request.
fn headers(given: BTreeMap<String, String>) -> Read<BTreeMap<String, String>> {
    let token = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let wrong = |problem: &str| Err(invalid("client.headers", format!("`client.headers` {problem}")));
    if given.len() > 16 {
        return wrong("has more than 16 headers; pass on only those that rules look at");
    }
    if !given.keys().all(|name| token(name)) {
        return wrong("has a name that is not 1 to 64 lower-case letters, digits and hyphens");
    }
    if given.values().any(|value| value.chars().count() > 256 || value.chars().any(char::is_control)) {
        return wrong("has a value longer than 256 characters or with control characters");
    }
    Ok(given)
}

fn client_ip(text: &str) -> Read<ClientIp> {
    let read = ClientIp::parse(text).filter(|ip| ip.is_plausible_client());
    read.ok_or_else(|| {
        invalid("client.ip", "`client.ip` is the end user's address, one IPv4 or IPv6 without a port")
    })
}

/// Text of at most so many characters, not empty.
pub fn bounded(field: &'static str, text: Option<String>, most: usize) -> Read<Option<String>> {
    match &text {
        Some(text) if text.is_empty() => {
            Err(invalid(field, format!("`{field}` is empty; leave it out instead")))
        }
        Some(text) if text.chars().nth(most).is_some() => {
            Err(invalid(field, format!("`{field}` is longer than {most} characters; shorten it")))
        }
        Some(text) if text.chars().any(|c| c == '\0') => {
            Err(invalid(field, format!("`{field}` has a NUL character")))
        }
        _ => Ok(text),
    }
}

/// A duration within bounds.
pub fn duration(
    field: &'static str,
    text: Option<&str>,
    bounds: RangeInclusive<Duration>,
    otherwise: Duration,
) -> Read<Duration> {
    let Some(text) = text else { return Ok(otherwise) };
    let (from, to) = (span::format(*bounds.start()), span::format(*bounds.end()));
    let fix = || invalid(field, format!("`{field}` is a duration from {from} to {to}, such as \"300s\""));
    span::parse(text).filter(|span| bounds.contains(span)).ok_or_else(fix)
}

/// An instant.
pub fn instant(field: &'static str, text: Option<&str>) -> Read<Option<Timestamp>> {
    let fix = || {
        invalid(field, format!("`{field}` is an RFC 3339 time with its offset, such as 2030-01-05T10:00:00Z"))
    };
    text.map(|text| Timestamp::parse(text).ok_or_else(fix)).transpose()
}

/// When a message is sent and until when it is worth sending.
pub fn schedule(
    scheduled_at: Option<&str>,
    expires_at: Option<&str>,
    now: Timestamp,
) -> Read<(Option<Timestamp>, Option<Timestamp>)> {
    let due = instant("scheduled_at", scheduled_at)?;
    let end = instant("expires_at", expires_at)?;
    if due.is_some_and(|due| due > now.plus(AHEAD)) {
        return Err(invalid("scheduled_at", "`scheduled_at` is more than 30 days ahead; schedule it later"));
    }
    let begin = due.unwrap_or(now).max(now);
    if end.is_some_and(|end| end <= begin) {
        return Err(invalid(
            "expires_at",
            "`expires_at` lies before the message is sent; move it ahead or leave it out",
        ));
    }
    Ok((due, end))
}

/// The most that a message may cost, in micro-units.
pub fn max_price(price: Option<i64>) -> Read<Option<i64>> {
    match price {
        Some(price) if price < 0 => Err(invalid("max_price", "`max_price` is micro-units from 0 up")),
        _ => Ok(price),
    }
}

/// A sender ID.
pub fn source(text: Option<String>) -> Read<Option<String>> {
    if let Some(text) = &text {
        SenderId::parse(text).map_err(|error| invalid("source", error.to_string()))?;
    }
    Ok(text)
}

/// Where events go. Whether the address may be reached is looked at when something is sent there.
pub fn callback_url(app: &App, text: Option<String>) -> Read<Option<String>> {
    let text = bounded("callback_url", text, 2048)?;
    let secure = |url: &reqwest::Url| match url.scheme() {
        "https" => true,
        "http" => app.config.webhooks.allow_http,
        _ => false,
    };
    let good = |text: &str| reqwest::Url::parse(text).is_ok_and(|url| secure(&url) && url.has_host());
    match &text {
        Some(url) if !good(url) => Err(invalid("callback_url", "`callback_url` is an absolute https:// URL")),
        _ => Ok(text),
    }
}

/// Under which terms something is sent.
pub fn terms(
    most: Option<i64>,
    keys: Option<BTreeMap<String, String>>,
    risk_check: Option<RiskCheckWord>,
    decision_id: Option<String>,
) -> Read<Terms> {
    let limit_keys = limit_keys(keys.unwrap_or_default())?;
    let risk_check = risk_check != Some(RiskCheckWord::Off);
    let unknown = || invalid("decision_id", "`decision_id` is the id of a decision, `dec_…`");
    let redeems = decision_id.map(|id| Id::parse(IdKind::Decision, &id).ok_or_else(unknown)).transpose()?;
    Ok(Terms { limit_keys, max_price: max_price(most)?, risk_check, redeems })
}

fn limit_keys(keys: BTreeMap<String, String>) -> Read<BTreeMap<String, String>> {
    if keys.len() > MOST_LIMIT_KEYS {
        return Err(invalid("limit_keys", format!("`limit_keys` has at most {MOST_LIMIT_KEYS} keys")));
    }
    for (name, value) in &keys {
        if !is_limit_key(name) {
            return Err(invalid(
                "limit_keys",
                format!("a key of `limit_keys` has no such name: {LIMIT_KEY_RULE}"),
            ));
        }
        let length = value.chars().count();
        if !(1..=LONGEST_LIMIT_VALUE).contains(&length) || value.chars().any(char::is_control) {
            let problem =
                format!("`limit_keys.{name}` has 1 to {LONGEST_LIMIT_VALUE} characters in one line");
            return Err(invalid("limit_keys", problem));
        }
    }
    Ok(keys)
}

/// What is added to the text of a code.
pub fn lines(
    app: Option<BoundAppRequest>,
    bind: Option<PaymentRequest>,
    warn: bool,
    locale: Option<&str>,
) -> Read<CodeLines> {
    let bound = match app.map(|app| (app.domain, app.android_hash)) {
        None | Some((None, None)) => None,
        Some((Some(domain), None)) if code::is_domain(&domain) => Some(BoundApp::Site(domain)),
        Some((None, Some(hash))) if code::is_app_hash(&hash) => Some(BoundApp::Android(hash)),
        Some((Some(_), None)) => {
            return Err(invalid("app.domain", "`app.domain` is a domain in lower case, such as acme.com"));
        }
        Some((None, Some(_))) => {
            return Err(invalid("app.android_hash", "`app.android_hash` is eleven characters of base64"));
        }
        Some((Some(_), Some(_))) => {
            return Err(invalid("app", "`app` names both a domain and a hash, and only one can come last"));
        }
    };
    let warn = warn.then(|| locale.unwrap_or("en").to_owned());
    Ok(CodeLines { app: bound, payment: bind.map(payment).transpose()?, warn })
}

/// A payment, in one spelling.
pub fn payment(request: PaymentRequest) -> Read<Payment> {
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let (whole, part) = request.amount.split_once('.').unwrap_or((&request.amount, "0"));
    if !digits(whole, 12) || !digits(part, 3) {
        return Err(invalid(
            "bind.amount",
            "`bind.amount` is digits with at most three decimals, such as 12.50",
        ));
    }
    if request.currency.len() != 3 || !request.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(invalid("bind.currency", "`bind.currency` is three capitals by ISO 4217, such as EUR"));
    }
    let payee = bounded("bind.payee", Some(request.payee), 64)?.unwrap_or_default();
    if payee.chars().any(char::is_control) {
        return Err(invalid("bind.payee", "`bind.payee` is one line of text"));
    }
    Ok(Payment { amount: format!("{} {}", request.currency, request.amount), payee })
}

/// An id in a path. One that cannot be is as unknown as one that is not there.
pub fn id(kind: IdKind, text: &str) -> Read<Id> {
    Id::parse(kind, text).ok_or(Refusal::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field<T>(read: Read<T>) -> &'static str {
        match read {
            Err(Refusal::Invalid { field, problem }) => {
                assert!(problem.ends_with('.'), "{problem}");
                field
            }
            Err(_) => "another refusal",
            Ok(_) => "fine",
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let ip = |text: &str| {
            field(client(super::super::requests::Client { ip: Some(text.to_owned()), ..Default::default() }))
        };
        assert_eq!(ip("203.0.113.7"), "fine");
        assert_eq!(ip("203.0.113.7:80"), "client.ip");
        assert_eq!(ip("0.0.0.0"), "client.ip");
        assert_eq!(ip("224.0.0.1"), "client.ip");
        assert_eq!(field(written_out("to", "+6591234567", None)), "fine");
        assert_eq!(field(written_out("to", "91234567", Some("Singapore"))), "country");
        assert_eq!(field(written_out("to", "hello", None)), "to");
        assert_eq!(field(source(Some("a name too long".to_owned()))), "source");
        let seconds = Duration::from_secs(10)..=Duration::from_secs(60);
        assert_eq!(field(duration("ttl", Some("9s"), seconds.clone(), Duration::ZERO)), "ttl");
        assert_eq!(field(duration("ttl", Some("60s"), seconds, Duration::ZERO)), "fine");
        assert_eq!(field(bounded("brand", Some(String::new()), 4)), "brand");
        assert_eq!(field(bounded("brand", Some("äöüß".to_owned()), 4)), "fine");
    }

    #[test]
    fn a_message_is_not_sent_after_its_end() {
        let now = Timestamp::parse("2026-01-05T10:00:00Z").unwrap();
        let ask = |due: Option<&str>, end: Option<&str>| field(schedule(due, end, now));
        assert_eq!(ask(Some("2026-01-05T11:00:00Z"), Some("2026-01-05T12:00:00Z")), "fine");
        assert_eq!(ask(Some("2026-01-05T11:00:00Z"), Some("2026-01-05T11:00:00Z")), "expires_at");
        assert_eq!(ask(None, Some("2026-01-05T10:00:00Z")), "expires_at");
        assert_eq!(ask(Some("2026-03-05T10:00:00Z"), None), "scheduled_at");
        assert_eq!(ask(Some("tomorrow"), None), "scheduled_at");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            let _ = written_out("to", &text, Some(&text));
            let _ = source(Some(text.clone()));
            let _ = schedule(Some(&text), Some(&text), Timestamp::default());
        }
    }
}
