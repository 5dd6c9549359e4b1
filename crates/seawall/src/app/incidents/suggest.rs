//! What could be done about an incident: requests to the admin API, ready to be sent.

use std::time::Duration;

use seawall_core::detect::KeyKind;
use seawall_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::incident::{Group, Incident, Vector};
use super::top::Top;
use super::view::sentence;

/// For how long suggestions suspend or allow.
const LASTS: Duration = Duration::from_secs(24 * 3600);
/// Suggestions of a kind.
const MOST: usize = 5;
/// A key that makes so much of an incident is worth a suggestion of its own, in percent.
const WORTH: u64 = 5;

/// A request to the admin API.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Suggestion {
    /// What it would do, in a sentence.
    pub what: String,
    /// How many of the incident's requests it would have met.
    pub covers: u64,
    /// Always `POST`.
    pub method: &'static str,
    /// Where to.
    pub path: String,
    /// With what.
    #[schema(value_type = Object)]
    pub body: Value,
}

/// What could be done to stop it, narrowest first.
pub fn stop(incident: &Incident, now: Timestamp) -> Vec<Suggestion> {
    let mut all = Vec::new();
    if incident.vectors.contains_key(&Vector::NumberRanges) || incident.vector() == Vector::Outcome {
        let ranges = worth(&incident.ranges, incident).into_iter().take(MOST);
        all.extend(ranges.map(|(range, covers)| suspend(incident, now, "number_range", &range, covers)));
    }
    if matches!(incident.group, Group::Client(KeyKind::Ip, _)) || few(&incident.addresses, incident) {
        let addresses = worth(&incident.addresses, incident).into_iter().take(MOST);
        all.extend(addresses.map(|(ip, covers)| suspend(incident, now, "ip", &ip, covers)));
    }
    all.extend(rule(incident));
    all
}

/// Whether a handful of addresses makes most of it.
fn few(addresses: &Top, incident: &Incident) -> bool {
    let top: u64 = addresses.sorted().iter().take(MOST).map(|(_, count)| count).sum();
    top * 2 > seen(incident)
}

fn seen(incident: &Incident) -> u64 {
    incident.vectors.values().sum()
}

fn worth(top: &Top, incident: &Incident) -> Vec<(String, u64)> {
    let all = seen(incident);
    top.sorted().into_iter().filter(|(_, count)| count * 100 >= all * WORTH).collect()
}

fn suspend(incident: &Incident, now: Timestamp, word: &str, value: &str, covers: u64) -> Suggestion {
    let what = if word == "ip" { "address" } else { "number range" };
    Suggestion {
        what: format!("Suspend the {what} {value} for 24 hours"),
        covers,
        method: "POST",
        path: "/admin/v1/suspensions".to_owned(),
        body: json!({
            "scope": {word: value},
            "expires_at": now.plus(LASTS).to_rfc3339(),
            "reason": reason(incident),
        }),
    }
}

/// Why, in a line of at most 200 characters.
pub fn reason(incident: &Incident) -> String {
    let text = format!("incident {}: {}", super::id(incident.serial), sentence(incident));
    text.chars().take(200).collect()
}

/// A rule for what no suspension can say: a client that is met in one country.
fn rule(incident: &Incident) -> Option<Suggestion> {
    let (country, _) = incident.countries.sorted().into_iter().next()?;
    let mostly = |top: &Top| {
        let (key, count) = top.sorted().into_iter().next()?;
        (count * 10 >= seen(incident) * 6).then_some((key, count))
    };
    let (condition, covers) = if let Some((asn, count)) = mostly(&incident.asns) {
        (format!("client.asn == {asn}"), count)
    } else {
        let (print, count) = mostly(&incident.prints)?;
        let quoted = serde_json::to_string(&print).ok()?;
        (format!("(client.fingerprint == {quoted} || client.user_agent == {quoted})"), count)
    };
    let when = match incident.countries.len() {
        1 => format!("number.country == \"{country}\" && {condition}"),
        _ => condition,
    };
    Some(Suggestion {
        what: "Try a rule in shadow first, and enforce it once its hits look right".to_owned(),
        covers,
        method: "POST",
        path: "/admin/v1/rules".to_owned(),
        body: json!({
            "name": format!("incident-{}", incident.serial),
            "action": "block",
            "when": when,
            "mode": "shadow",
            "note": reason(incident),
        }),
    })
}

/// What could be done to let its users through, when it was none: entries of allow lists that expire.
pub fn allow(incident: &Incident, now: Timestamp) -> Vec<Suggestion> {
    let entry = |list: &str, value: &str, covers: u64| Suggestion {
        what: format!("Allow {value} for 24 hours"),
        covers,
        method: "POST",
        path: format!("/admin/v1/lists/{list}/entries"),
        body: json!({
            "value": value,
            "expires_at": now.plus(LASTS).to_rfc3339(),
            "note": format!("{} was a false alarm", super::id(incident.serial)),
        }),
    };
    let client = matches!(incident.group, Group::Client(KeyKind::Ip | KeyKind::Network, _));
    let (list, top) = if client {
        ("allow-ip", if incident.addresses.len() <= MOST { &incident.addresses } else { &incident.networks })
    } else {
        ("allow-number_range", &incident.ranges)
    };
    worth(top, incident).into_iter().take(MOST).map(|(value, covers)| entry(list, &value, covers)).collect()
}
