//! From an HTTP answer to what is known about the submission.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

use crate::settings::{ERROR_CLASSES, Reader, pick};
use crate::{ErrorClass, SettingsError, Submission};

const RULES_AT_MOST: usize = 100;
const REFERENCE_AT_MOST: usize = 200;
const BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(3600);

/// An answer with its body read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// What the answer says: first the provider's own `errors`, then the meaning of the status.
    pub(super) fn outcome(&self, rules: &Rules, message_id: Option<&MessageId>) -> Submission {
        let json: Option<Value> = serde_json::from_slice(&self.body).ok();
        let verdict = rules.verdict(self.status, json.as_ref());
        match verdict.unwrap_or_else(|| by_status(self.status)) {
            Verdict::Taken => Submission::Accepted {
                reference: message_id.and_then(|id| id.find(self, json.as_ref())),
                delivered: false,
            },
            Verdict::Throttled => Submission::Throttled { retry_after: self.retry_after() },
            Verdict::Refused(class) => Submission::Refused { class, detail: self.words() },
            Verdict::Open => Submission::Unknown { detail: self.words() },
        }
    }

    /// The status alone: a provider's error text may repeat number and message.
    fn words(&self) -> String {
        format!("HTTP {}", self.status.as_u16())
    }

    fn retry_after(&self) -> Duration {
        let seconds =
            self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        seconds.map_or(BACK_OFF, Duration::from_secs).min(LONGEST_BACK_OFF)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    Throttled,
    Refused(ErrorClass),
    /// It may or may not have the message.
    Open,
}

fn by_status(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Taken,
        // A server error may strike after the message was queued, and 408 after it was read.
        408 | 500..=599 => Verdict::Open,
        429 => Verdict::Throttled,
        401 | 403 => Verdict::Refused(ErrorClass::Denied),
        402 => Verdict::Refused(ErrorClass::InsufficientCredit),
        // Redirects are not followed: the request, with its secrets, was meant for this address.
        300..=399 | 404 | 405 | 410 => Verdict::Refused(ErrorClass::ProviderFault),
        413..=415 => Verdict::Refused(ErrorClass::InvalidFormat),
        _ => Verdict::Refused(ErrorClass::Rejected),
    }
}

/// The `errors` setting: the first rule that fits decides.
pub(super) struct Rules(Vec<Rule>);

struct Rule {
    status: Option<Statuses>,
    pointer: Option<String>,
    equals: Option<Vec<String>>,
    not: Option<Vec<String>>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    One(u16),
    /// `5xx`
    Hundred(u16),
}

impl Rules {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, SettingsError> {
        match reader.value("errors") {
            None => Ok(Rules(Vec::new())),
            Some(Value::Array(rules)) if rules.len() <= RULES_AT_MOST => {
                let one = |(at, rule)| Rule::read(rule, format!("{}[{at}]", reader.path_of("errors")));
                rules.iter().enumerate().map(one).collect::<Result<_, _>>().map(Rules)
            }
            Some(_) => {
                Err(reader.error("errors", format!("must be a list of at most {RULES_AT_MOST} rules")))
            }
        }
    }

    fn verdict(&self, status: StatusCode, json: Option<&Value>) -> Option<Verdict> {
        self.0.iter().find(|rule| rule.fits(status, json)).map(|rule| rule.verdict)
    }
}

impl Rule {
    fn read(rule: &Value, path: String) -> Result<Self, SettingsError> {
        let reader = Reader::new(rule, path, &["status", "pointer", "equals", "not", "class"])?;
        let mut classes: Vec<(&str, Verdict)> = vec![("throttled", Verdict::Throttled)];
        classes.extend(ERROR_CLASSES.iter().map(|(name, class)| (*name, Verdict::Refused(*class))));
        let class = reader.required_text("class")?;
        let verdict = pick(class, &classes).map_err(|problem| reader.error("class", problem))?;
        let pointer = read_pointer(&reader, "pointer")?;
        let status = read_statuses(&reader)?;
        let (equals, not) = (scalars(&reader, "equals")?, scalars(&reader, "not")?);
        if pointer.is_none() && (equals.is_some() || not.is_some()) {
            return Err(reader.error("pointer", "is required with equals and not"));
        }
        if pointer.is_none() && status.is_none() {
            return Err(reader.error("status", "or pointer is required: a rule must ask something"));
        }
        Ok(Rule { status, pointer, equals, not, verdict })
    }

    fn fits(&self, status: StatusCode, json: Option<&Value>) -> bool {
        let status_fits = match self.status {
            None => true,
            Some(Statuses::One(one)) => status.as_u16() == one,
            Some(Statuses::Hundred(hundred)) => status.as_u16() / 100 == hundred,
        };
        let Some(pointer) = &self.pointer else {
            return status_fits;
        };
        let found = json.and_then(|json| json.pointer(pointer)).and_then(scalar);
        let asked =
            |list: &Option<Vec<String>>, found: &String| list.as_ref().map(|list| list.contains(found));
        let value_fits = found.is_some_and(|found| {
            asked(&self.equals, &found) != Some(false) && asked(&self.not, &found) != Some(true)
        });
        status_fits && value_fits
    }
}

fn read_statuses(reader: &Reader<'_>) -> Result<Option<Statuses>, SettingsError> {
    let problem = || reader.error("status", "must be a status such as 402, or \"5xx\"");
    match reader.value("status") {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let one = number.as_u64().filter(|number| (100..=599).contains(number)).ok_or_else(problem)?;
            Ok(Some(Statuses::One(u16::try_from(one).unwrap_or(0))))
        }
        Some(Value::String(text)) => match (text.strip_suffix("xx"), text.parse()) {
            (Some("2" | "3" | "4" | "5"), _) => {
                let hundred = text.get(..1).and_then(|digit| digit.parse().ok()).ok_or_else(problem)?;
                Ok(Some(Statuses::Hundred(hundred)))
            }
            (None, Ok(one)) if (100..=599).contains(&one) => Ok(Some(Statuses::One(one))),
            _ => Err(problem()),
        },
        Some(_) => Err(problem()),
    }
}

fn scalars(reader: &Reader<'_>, key: &str) -> Result<Option<Vec<String>>, SettingsError> {
    let problem = || reader.error(key, "must be a text, a number or a truth value, or a list of these");
    match reader.value(key) {
        None => Ok(None),
        Some(Value::Array(items)) => {
            items.iter().map(scalar).collect::<Option<Vec<_>>>().map(Some).ok_or_else(problem)
        }
        Some(one) => scalar(one).map(|one| Some(vec![one])).ok_or_else(problem),
    }
}

/// A text, number or truth value as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

pub(super) fn read_pointer(reader: &Reader<'_>, key: &str) -> Result<Option<String>, SettingsError> {
    match reader.text(key)? {
        Some(pointer) if !pointer.starts_with('/') => {
            Err(reader.error(key, "must be a JSON pointer such as /messages/0/id"))
        }
        pointer => Ok(pointer.map(str::to_owned)),
    }
}

/// Where an answer holds the provider's id.
pub(super) enum MessageId {
    Pointer(String),
    Header(HeaderName),
    /// The whole body is the id.
    Text,
}

impl MessageId {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, SettingsError> {
        let Some(value) = reader.value("message_id") else {
            return Ok(None);
        };
        if value.is_string() {
            return Ok(read_pointer(reader, "message_id")?.map(MessageId::Pointer));
        }
        let place = Reader::new(value, reader.path_of("message_id"), &["header", "text"])?;
        if let Some(name) = place.text("header")? {
            let name = name.parse().map_err(|_| place.error("header", "is not a header name"))?;
            return Ok(Some(MessageId::Header(name)));
        }
        if place.boolean("text", false)? {
            return Ok(Some(MessageId::Text));
        }
        Err(reader.error("message_id", "must be a JSON pointer, {\"header\": name} or {\"text\": true}"))
    }

    fn find(&self, answer: &Answer, json: Option<&Value>) -> Option<String> {
        let found = match self {
            MessageId::Pointer(pointer) => json?.pointer(pointer).and_then(scalar)?,
            MessageId::Header(name) => answer.headers.get(name)?.to_str().ok()?.to_owned(),
            MessageId::Text => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        let found = found.trim();
        (!found.is_empty() && found.len() <= REFERENCE_AT_MOST).then(|| found.to_owned())
    }
}
