//! Signals in words: two or three named keys with expected against seen. Never a full number.

use super::asked::Asked;
use super::assess::Suspect;
use super::concentration::Hot;
use super::evidence::{Family, KeyKind, Signal};
use super::guessing::Guessed;
use super::keys::Cohort;
use super::rows::Standing;
use super::sender::Unlike;
use super::state::single;
use super::velocity::Fast;
use crate::client_ip::ClientIp;

/// `0 of 9 confirmed where 6.8 are expected`.
pub(super) fn outcome(asked: &Asked, suspect: &Suspect) -> Signal {
    let key = name(asked, suspect.kind);
    let detail = format!(
        "{}{}: {:.0} of {:.0} confirmed where {} are expected",
        titled(suspect.kind, &key),
        if suspect.kind.is_wide() { whose(suspect.cohort) } else { "" },
        suspect.confirmed,
        suspect.trials.max(suspect.confirmed),
        amount(suspect.expected),
    );
    signal(Family::Outcome, suspect.kind, key, suspect.probability, suspect.trials, suspect.expected, detail)
}

/// Whose requests a wide key speaks of: each group is tested by itself.
fn whose(cohort: Cohort) -> &'static str {
    match cohort {
        Cohort::Hosted => " from data centres, VPNs and proxies",
        Cohort::Abroad => " from abroad",
        Cohort::Home => " to known numbers from where they live",
        Cohort::Known | Cohort::Trusted => " to known numbers from elsewhere",
        Cohort::Settled | Cohort::Established | Cohort::Fresh => "",
    }
}

/// `14 numbers from 13 networks in 6 h where 0.3 are expected`.
pub(super) fn concentration(asked: &Asked, hot: &Hot, probability: f64) -> Signal {
    let key = name(asked, hot.kind);
    let detail = format!(
        "{}: {} numbers from {} networks in {} where {} are expected",
        titled(hot.kind, &key),
        hot.spread.numbers,
        hot.spread.networks,
        hours(hot.spread.span),
        amount(hot.expected),
    );
    let seen = f64::from(hot.spread.numbers);
    signal(Family::Concentration, hot.kind, key, probability, seen, hot.expected, detail)
}

/// `31 numbers in an hour where 2.1 are expected`.
pub(super) fn velocity(asked: &Asked, fast: &Fast, probability: f64) -> Signal {
    let key = name(asked, fast.kind);
    let detail = format!(
        "{}: {:.0} numbers in an hour where {} are expected",
        titled(fast.kind, &key),
        fast.numbers,
        amount(fast.expected),
    );
    signal(Family::Velocity, fast.kind, key, probability, fast.numbers, fast.expected, detail)
}

/// `asked for 4 times from 3 networks within a day, 2 codes sent and none confirmed`.
pub(super) fn pestered(asked: &Asked, standing: Standing, probability: f64) -> Signal {
    let key = name(asked, KeyKind::Number);
    let detail = format!(
        "number {key}: asked for {} times within a day with {} changes of network, {} codes sent and none confirmed",
        standing.asks, standing.changes, standing.unconfirmed
    );
    signal(Family::Outcome, KeyKind::Number, key, probability, f64::from(standing.asks), 1.0, detail)
}

/// `14 of 16 codes wrong where 1.6 are expected`.
pub(super) fn guessing(asked: &Asked, guessed: &Guessed) -> Signal {
    let key = name(asked, guessed.kind);
    let expected = 0.1 * guessed.checks;
    let detail = format!(
        "{}: {:.0} of {:.0} codes wrong where {} are expected",
        titled(guessed.kind, &key),
        guessed.wrong,
        guessed.checks,
        amount(expected)
    );
    signal(Family::Guessing, guessed.kind, key, guessed.probability, guessed.wrong, expected, detail)
}

/// `writes to unknown numbers with links to new hosts from a new network`.
pub(super) fn sender(asked: &Asked, unlike: &Unlike) -> Signal {
    let key = asked.api_key.clone();
    let host = if unlike.new_host { " with links to hosts that it never used" } else { "" };
    let network = if unlike.new_network { " from a network that it never came from" } else { "" };
    let text = if unlike.off_template { " in words that it never uses" } else { "" };
    let usual = unlike.usual_unknown;
    let detail = format!(
        "API key {key}: writes to unknown numbers{host}{network}{text}; usually {usual:.0} of 100 of its numbers are unknown"
    );
    signal(Family::Sender, KeyKind::ApiKey, key, unlike.probability, 100.0, usual, detail)
}

/// What address and number are.
pub(super) fn prior(asked: &Asked, probability: f64) -> Signal {
    let ip = &asked.ip_facts;
    let foreign = ip.country.is_some_and(|c| c != asked.country);
    let parts = [
        (ip.hosting, "is in a data centre"),
        (ip.vpn, "is a VPN exit"),
        (ip.tor, "is a Tor exit"),
        (ip.proxy, "is a known proxy"),
        (foreign, "is in another country than the number"),
    ];
    let mut said: Vec<&str> = parts.iter().filter(|(so, _)| *so).map(|(_, words)| *words).collect();
    if asked.disposable {
        said.push("asks for a number of a public receive-SMS site");
    }
    let key = name(asked, KeyKind::Ip);
    let detail = format!("address {key} {}", said.join(" and "));
    signal(Family::Prior, KeyKind::Ip, key, probability, 1.0, 0.0, detail)
}

fn signal(
    family: Family,
    kind: KeyKind,
    key: String,
    p: f64,
    seen: f64,
    expected: f64,
    detail: String,
) -> Signal {
    Signal {
        family,
        kind,
        key,
        probability: single(p),
        seen: single(seen),
        expected: single(expected),
        detail,
    }
}

/// One decimal where it matters.
fn amount(x: f64) -> String {
    if x < 0.05 {
        format!("{x:.2}")
    } else if x < 20.0 {
        format!("{x:.1}")
    } else {
        format!("{x:.0}")
    }
}

fn hours(seconds: u32) -> String {
    if seconds < 5400 {
        format!("{} min", seconds.div_ceil(60))
    } else {
        format!("{} h", (seconds + 1800) / 3600)
    }
}

/// `10k block 99893412x`.
fn titled(kind: KeyKind, key: &str) -> String {
    let kind = match kind {
        KeyKind::Block1k => "1k block",
        KeyKind::Block10k => "10k block",
        KeyKind::Block100k => "100k block",
        KeyKind::Operator => "operator",
        KeyKind::Country => "country",
        KeyKind::Ip => "address",
        KeyKind::Network => "network",
        KeyKind::Asn => "network operator",
        KeyKind::Fingerprint | KeyKind::CountryFingerprint => "client",
        KeyKind::UserAgent | KeyKind::CountryUserAgent => "user agent",
        KeyKind::CountryAsn => "network operator",
        KeyKind::Subaccount => "subaccount",
        KeyKind::ApiKey => "API key",
        KeyKind::Number => "number",
    };
    format!("{kind} {key}")
}

/// The operator as it is shown.
pub(super) fn operator(asked: &Asked) -> String {
    asked.operator.clone().unwrap_or_else(|| format!("unknown of {}", asked.country))
}

/// The key of a kind, fit to be shown.
pub(super) fn name(asked: &Asked, kind: KeyKind) -> String {
    let country = asked.country;
    match kind {
        KeyKind::Block1k => block(asked, 3),
        KeyKind::Block10k => block(asked, 4),
        KeyKind::Block100k => block(asked, 5),
        KeyKind::Operator => operator(asked),
        KeyKind::Country => country.to_string(),
        KeyKind::Ip => asked.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
        KeyKind::Network => asked.ip.map_or_else(|| "unknown".to_owned(), ClientIp::network),
        KeyKind::Asn => asn(asked),
        KeyKind::CountryAsn => format!("{} for numbers of {country}", asn(asked)),
        KeyKind::Fingerprint => print(asked),
        KeyKind::CountryFingerprint => format!("{} for numbers of {country}", print(asked)),
        KeyKind::UserAgent => short(asked.user_agent.as_deref()),
        KeyKind::CountryUserAgent => {
            format!("{} for numbers of {country}", short(asked.user_agent.as_deref()))
        }
        KeyKind::Subaccount => asked.subaccount.clone(),
        KeyKind::ApiKey => asked.api_key.clone(),
        KeyKind::Number => asked.msisdn.masked(),
    }
}

fn block(asked: &Asked, open: usize) -> String {
    format!("{}{}", asked.msisdn.block(open), "x".repeat(open))
}

fn asn(asked: &Asked) -> String {
    asked.ip_facts.asn.map_or_else(|| "unknown".to_owned(), |asn| format!("AS{asn}"))
}

fn print(asked: &Asked) -> String {
    short(asked.fingerprint.as_deref().or(asked.user_agent.as_deref()))
}

/// Long names are cut: they come from outside.
fn short(text: Option<&str>) -> String {
    let text = text.unwrap_or("unknown");
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
