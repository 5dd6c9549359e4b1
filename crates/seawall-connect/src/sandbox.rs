//! The sandbox: a provider that is its own handset. Nothing leaves the machine; what the phone received is
//! shown from the ledger.
//!
//! Its settings can simulate what real providers do wrong, for one number or for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::lookup::{Asked, Depth, Looked, NumberState};
use crate::settings::{ERROR_CLASSES, Reader, class_of, pick};
use crate::{Connector, ErrorClass, Health, Outgoing, SettingsError, SpeechProfile, Submission};

const KEYS: [&str; 4] = ["delay_ms", "fail_with", "outcome", "per_number"];
const NUMBERS_AT_MOST: usize = 1000;
/// Numbers that the sandbox's lookup is told about.
const KNOWN_AT_MOST: usize = 100_000;
const SIMULATED: &str = "simulated by the sandbox";

/// What the sandbox does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    /// The connection "breaks" after the message left.
    Unknown,
    Unreachable,
    Throttled,
    Refused(ErrorClass),
}

const OUTCOMES: [(&str, Outcome); 4] = [
    ("delivered", Outcome::Delivered),
    ("unknown", Outcome::Unknown),
    ("unreachable", Outcome::Unreachable),
    ("throttled", Outcome::Throttled),
];

/// Numbers with an outcome of their own, whatever the settings say: the mobile numbers that the United Kingdom
/// keeps for drama, which belong to nobody.
const MAGIC: [(&str, Outcome); 10] = [
    ("+447700900001", Outcome::Delivered),
    ("+447700900002", Outcome::Unknown),
    ("+447700900003", Outcome::Unreachable),
    ("+447700900004", Outcome::Throttled),
    ("+447700900005", Outcome::Refused(ErrorClass::AbsentSubscriber)),
    ("+447700900006", Outcome::Refused(ErrorClass::InvalidDestination)),
    ("+447700900007", Outcome::Refused(ErrorClass::InvalidSource)),
    ("+447700900008", Outcome::Refused(ErrorClass::ContentFiltered)),
    ("+447700900009", Outcome::Refused(ErrorClass::Denied)),
    ("+447700900010", Outcome::Refused(ErrorClass::ProviderFault)),
];

/// Voices that the sandbox claims to have; it takes any other as well.
const VOICES: [(&str, &str, &str); 4] = [
    ("en-US-Jenny", "English (United States)", "F"),
    ("en-GB-Emma", "English (United Kingdom)", "F"),
    ("de-DE-Katja", "German (Germany)", "F"),
    ("id-ID-Andika", "Indonesian (Indonesia)", "M"),
];

#[derive(Debug)]
struct Settings {
    delay: Duration,
    outcome: Outcome,
    per_number: HashMap<String, Outcome>,
}

/// The connector of the sandbox.
pub struct Sandbox {
    settings: Settings,
    known: Arc<SandboxLookup>,
}

/// What the sandbox's lookup says of numbers, as tests and developers told it. It lives in memory and is
/// bounded; of a number that nobody told it anything about it knows nothing.
#[derive(Default)]
pub struct SandboxLookup(Mutex<HashMap<String, Looked>>);

impl SandboxLookup {
    /// Sets what is said of a number, E.164. False when there is no more room.
    pub fn tell(&self, number: &str, says: Looked) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = known.len() < KNOWN_AT_MOST || known.contains_key(number);
        if room {
            known.insert(number.to_owned(), says);
        }
        room
    }

    /// Forgets a number; false when nothing was known.
    pub fn forget(&self, number: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(number).is_some()
    }

    fn says(&self, number: &str) -> Looked {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(number).cloned().unwrap_or_else(|| Ok(NumberState::default()))
    }
}

pub(crate) fn check(settings: &Value) -> Result<(), SettingsError> {
    read(settings).map(|_| ())
}

pub(crate) fn build(
    settings: &Value,
    known: Arc<SandboxLookup>,
) -> Result<Arc<dyn Connector>, SettingsError> {
    Ok(Arc::new(Sandbox { settings: read(settings)?, known }))
}

fn read(settings: &Value) -> Result<Settings, SettingsError> {
    let reader = Reader::root(settings, &KEYS)?;
    let class = reader.choice("fail_with", &ERROR_CLASSES)?;
    let outcome = reader.choice("outcome", &OUTCOMES)?;
    let outcome = match (class, outcome) {
        (Some(_), Some(_)) => return Err(reader.error("fail_with", "cannot be given together with outcome")),
        (Some(class), None) => Outcome::Refused(class),
        (None, given) => given.unwrap_or(Outcome::Delivered),
    };
    let delay = Duration::from_millis(reader.integer("delay_ms", 0..=60_000)?.unwrap_or(0));
    Ok(Settings { delay, outcome, per_number: read_numbers(&reader)? })
}

fn read_numbers(reader: &Reader<'_>) -> Result<HashMap<String, Outcome>, SettingsError> {
    let Some(value) = reader.value("per_number") else {
        return Ok(HashMap::new());
    };
    let numbers = Reader::open(value, reader.path_of("per_number"))?;
    if numbers.entries().count() > NUMBERS_AT_MOST {
        return Err(reader.error("per_number", format!("must have at most {NUMBERS_AT_MOST} numbers")));
    }
    // An outcome's name wins: here "unknown" is the broken connection, not the error class.
    let mut choices: Vec<(&str, Outcome)> = OUTCOMES.to_vec();
    choices.extend(ERROR_CLASSES.iter().map(|(name, class)| (*name, Outcome::Refused(*class))));
    let entry = |(number, value): (&String, &Value)| {
        if !is_e164(number) {
            return Err(
                reader.error("per_number", "has a key that is not a number such as \"+4915112345678\"")
            );
        }
        let problem = |what: String| reader.error("per_number", format!("a number's outcome {what}"));
        let name = value.as_str().ok_or_else(|| problem(format!("must be text, not {}", class_of(value))))?;
        Ok((number.clone(), pick(name, &choices).map_err(problem)?))
    };
    numbers.entries().map(entry).collect()
}

fn is_e164(number: &str) -> bool {
    number
        .strip_prefix('+')
        .is_some_and(|d| (5..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
}

#[async_trait]
impl Connector for Sandbox {
    async fn submit(&self, message: &Outgoing) -> Submission {
        if !self.settings.delay.is_zero() {
            tokio::time::sleep(self.settings.delay).await;
        }
        let to = message.to.reveal();
        let magic = MAGIC.iter().find(|(number, _)| *number == to).map(|(_, outcome)| *outcome);
        let outcome = self.settings.per_number.get(to).copied().or(magic).unwrap_or(self.settings.outcome);
        match outcome {
            // It is its own handset, so acceptance is delivery and no receipt follows.
            Outcome::Delivered => {
                Submission::Accepted { reference: Some(message.id.clone()), delivered: true }
            }
            Outcome::Unknown => Submission::Unknown { detail: SIMULATED.to_owned() },
            Outcome::Unreachable => Submission::Unreachable { detail: SIMULATED.to_owned() },
            Outcome::Throttled => Submission::Throttled { retry_after: Duration::from_secs(1) },
            Outcome::Refused(class) => Submission::Refused { class, detail: SIMULATED.to_owned() },
        }
    }

    fn health(&self) -> Health {
        Health::Up
    }

    /// The phone shows what would be heard; nobody presses a key on it.
    fn carries_steps(&self) -> bool {
        true
    }

    async fn voices(&self) -> Option<Result<Vec<SpeechProfile>, String>> {
        Some(Ok(VOICES
            .iter()
            .map(|(code, description, gender)| SpeechProfile {
                code: (*code).to_owned(),
                locale: code.split('-').take(2).collect::<Vec<_>>().join("-"),
                description: (*description).to_owned(),
                gender: (*gender).to_owned(),
            })
            .collect()))
    }

    fn looks_up(&self) -> Option<Depth> {
        Some(Depth::Live)
    }

    async fn look_up(&self, asked: &Asked) -> Looked {
        self.known.says(asked.number.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use serde_json::json;

    async fn outcome(settings: Value) -> Submission {
        build(&settings, Arc::default()).unwrap().submit(&message("hello")).await
    }

    #[tokio::test]
    async fn acceptance_is_delivery() {
        let expected = Submission::Accepted { reference: Some("msg_1".to_owned()), delivered: true };
        assert_eq!(outcome(json!({})).await, expected);
    }

    #[tokio::test]
    async fn simulates_faults_for_all_or_one_number() {
        let unknown = outcome(json!({"outcome": "unknown"})).await;
        assert!(matches!(unknown, Submission::Unknown { .. }));
        let one = outcome(json!({"per_number": {"+6591234567": "unreachable"}})).await;
        assert!(matches!(one, Submission::Unreachable { .. }));
        let refused = outcome(json!({"fail_with": "content-filtered"})).await;
        assert!(matches!(refused, Submission::Refused { class: ErrorClass::ContentFiltered, .. }));
        let other = outcome(json!({"per_number": {"+6590000000": "unreachable"}})).await;
        assert!(matches!(other, Submission::Accepted { .. }));
    }

    #[tokio::test]
    async fn magic_numbers_have_their_outcome_unless_the_settings_say_otherwise() {
        let to = |number: &str| Outgoing { to: crate::Secret::new(number), ..message("hello") };
        let sandbox = build(&json!({}), Arc::default()).unwrap();
        let filtered = sandbox.submit(&to("+447700900008")).await;
        assert!(matches!(filtered, Submission::Refused { class: ErrorClass::ContentFiltered, .. }));
        assert!(matches!(sandbox.submit(&to("+447700900002")).await, Submission::Unknown { .. }));
        assert!(matches!(sandbox.submit(&to("+447700900999")).await, Submission::Accepted { .. }));
        let told = build(&json!({"per_number": {"+447700900008": "delivered"}}), Arc::default()).unwrap();
        assert!(matches!(told.submit(&to("+447700900008")).await, Submission::Accepted { .. }));
    }

    #[test]
    fn bad_settings_are_named() {
        for (settings, part) in [
            (json!({"dealy_ms": 5}), "delay_ms"),
            (json!({"outcome": "gone"}), "settings.outcome"),
            (json!({"outcome": "delivered", "fail_with": "denied"}), "together"),
            (json!({"per_number": {"91234567": "unknown"}}), "settings.per_number"),
            (json!({"per_number": {"+6591234567": "unknwon"}}), "did you mean \"unknown\""),
        ] {
            let error = check(&settings).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("91234567"), "{error}");
        }
    }
}
