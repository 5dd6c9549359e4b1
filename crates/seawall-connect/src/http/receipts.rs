//! Callbacks of a described provider: receipts and inbound messages.

use seawall_core::time::Timestamp;
use serde_json::Value;
use subtle::ConstantTimeEq;
use tracing::warn;

use super::outcome::scalar;
use super::records::{Place, Record, Records};
use crate::settings::{ERROR_CLASSES, Reader, pick, resolve};
use crate::{Callback, Echo, ErrorClass, Inbound, Receipt, ReceiptState, Secret, SettingsError};

const REFERENCE_AT_MOST: usize = 200;
const CODE_AT_MOST: usize = 32;
const RECEIPT_KEYS: [&str; 7] = ["list", "reference", "state", "states", "code", "codes", "at"];
const STATES: [(&str, ReceiptState); 4] = [
    ("sent", ReceiptState::Sent),
    ("delivered", ReceiptState::Delivered),
    ("failed", ReceiptState::Failed),
    ("expired", ReceiptState::Expired),
];

/// The settings `receipts`, `inbound` and `secret`.
pub(super) struct Callbacks {
    receipts: Option<Receipts>,
    inbound: Option<InboundFields>,
    secret: Option<Secret>,
}

struct Receipts {
    /// Pointer to the list of records within the body; the body itself when absent.
    list: Option<String>,
    reference: Place,
    state: Place,
    states: Vec<(String, ReceiptState)>,
    code: Option<Place>,
    codes: Vec<(String, ErrorClass)>,
    at: Option<Place>,
}

struct InboundFields {
    from: Place,
    to: Option<Place>,
    text: Place,
}

impl Callbacks {
    pub(super) fn read(reader: &Reader<'_>, resolve_now: bool) -> Result<Self, SettingsError> {
        let secret = match reader.secret("secret")? {
            Some(reference) if resolve_now => Some(resolve("secret", reference)?),
            given => given.map(Secret::new),
        };
        if secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
            return Err(reader.error("secret", "must not be empty"));
        }
        Ok(Callbacks { receipts: Receipts::read(reader)?, inbound: InboundFields::read(reader)?, secret })
    }

    /// Understands a callback, or says what is wrong with it. Records with an unknown state are left out.
    pub(super) fn understand(&self, callback: &Callback, provider: &str) -> Result<Vec<Echo>, String> {
        if self.receipts.is_none() && self.inbound.is_none() {
            return Err("this provider has neither receipts nor inbound in its settings".to_owned());
        }
        if !self.is_genuine(callback) {
            return Err("the parameter secret is missing or wrong".to_owned());
        }
        let records =
            Records::of(callback, self.receipts.as_ref().and_then(|receipts| receipts.list.as_deref()))?;
        let mut echoes = Vec::new();
        for record in &records.0 {
            echoes.extend(self.record(record, provider)?);
        }
        Ok(echoes)
    }

    fn is_genuine(&self, callback: &Callback) -> bool {
        let Some(secret) = &self.secret else { return true };
        let given =
            callback.query.iter().find(|(name, _)| name == "secret").map(|(_, value)| value.as_bytes());
        given.is_some_and(|given| bool::from(given.ct_eq(secret.reveal().as_bytes())))
    }

    fn record(&self, record: &Record<'_>, provider: &str) -> Result<Option<Echo>, String> {
        if let Some(receipts) = &self.receipts
            && let (Some(reference), Some(state)) =
                (record.find(&receipts.reference), record.find(&receipts.state))
        {
            let receipt = receipts.receipt(record, &reference, &state);
            if receipt.is_none() {
                warn!(provider, "a receipt with a state that is not under receipts.states");
            }
            return Ok(receipt.map(Echo::Receipt));
        }
        let inbound = self.inbound.as_ref().and_then(|fields| fields.inbound(record));
        inbound
            .map(Echo::Inbound)
            .map(Some)
            .ok_or_else(|| "neither a receipt nor an inbound message".to_owned())
    }
}

impl Receipts {
    fn read(reader: &Reader<'_>) -> Result<Option<Self>, SettingsError> {
        let Some(value) = reader.value("receipts") else {
            return Ok(None);
        };
        let receipts = Reader::new(value, reader.path_of("receipts"), &RECEIPT_KEYS)?;
        let states = match receipts.value("states") {
            Some(states) => Reader::new(states, receipts.path_of("states"), &STATES.map(|(name, _)| name))?,
            None => return Err(receipts.error("states", "is required, e.g. {\"delivered\": [\"DELIVRD\"]}")),
        };
        Ok(Some(Receipts {
            list: super::outcome::read_pointer(&receipts, "list")?,
            reference: Place(receipts.required_text("reference")?.to_owned()),
            state: Place(receipts.required_text("state")?.to_owned()),
            states: read_states(&states)?,
            code: receipts.text("code")?.map(|place| Place(place.to_owned())),
            codes: read_codes(&receipts)?,
            at: receipts.text("at")?.map(|place| Place(place.to_owned())),
        }))
    }

    fn receipt(&self, record: &Record<'_>, reference: &str, state: &str) -> Option<Receipt> {
        let known = self.states.iter().find(|(word, _)| word.eq_ignore_ascii_case(state.trim()));
        let state = known.map(|(_, state)| *state)?;
        let code = self.code.as_ref().and_then(|place| record.find(place));
        let code = code.map(|code| code.chars().take(CODE_AT_MOST).collect::<String>());
        let class = match state {
            ReceiptState::Sent | ReceiptState::Delivered => None,
            ReceiptState::Expired => Some(ErrorClass::Expired),
            ReceiptState::Failed => Some(self.class_of(code.as_deref())),
        };
        let at =
            self.at.as_ref().and_then(|place| record.find(place)).and_then(|text| Timestamp::parse(&text));
        let reference = reference.chars().take(REFERENCE_AT_MOST).collect();
        Some(Receipt { reference, state, class, code, at })
    }

    fn class_of(&self, code: Option<&str>) -> ErrorClass {
        let found = code.and_then(|code| self.codes.iter().find(|(known, _)| known == code));
        found.map_or(ErrorClass::Unknown, |(_, class)| *class)
    }
}

fn read_states(states: &Reader<'_>) -> Result<Vec<(String, ReceiptState)>, SettingsError> {
    let mut read = Vec::new();
    for (name, state) in STATES {
        let words = match states.value(name) {
            None => continue,
            Some(Value::Array(words)) => words.iter().map(scalar).collect::<Option<Vec<_>>>(),
            Some(word) => scalar(word).map(|word| vec![word]),
        };
        let words = words.ok_or_else(|| states.error(name, "must be a list of the provider's words"))?;
        read.extend(words.into_iter().map(|word| (word, state)));
    }
    Ok(read)
}

fn read_codes(receipts: &Reader<'_>) -> Result<Vec<(String, ErrorClass)>, SettingsError> {
    let Some(value) = receipts.value("codes") else {
        return Ok(Vec::new());
    };
    let codes = Reader::open(value, receipts.path_of("codes"))?;
    let one = |(code, _): (&String, &Value)| {
        let class = pick(codes.required_text(code)?, &ERROR_CLASSES);
        Ok((code.clone(), class.map_err(|problem| codes.error(code, problem))?))
    };
    codes.entries().map(one).collect()
}

impl InboundFields {
    fn read(reader: &Reader<'_>) -> Result<Option<Self>, SettingsError> {
        let Some(value) = reader.value("inbound") else {
            return Ok(None);
        };
        let fields = Reader::new(value, reader.path_of("inbound"), &["from", "to", "text"])?;
        Ok(Some(InboundFields {
            from: Place(fields.required_text("from")?.to_owned()),
            to: fields.text("to")?.map(|place| Place(place.to_owned())),
            text: Place(fields.required_text("text")?.to_owned()),
        }))
    }

    fn inbound(&self, record: &Record<'_>) -> Option<Inbound> {
        let to = self.to.as_ref().and_then(|place| record.find(place)).unwrap_or_default();
        Some(Inbound {
            from: Secret::new(record.find(&self.from)?),
            to,
            text: Secret::new(record.find(&self.text)?),
        })
    }
}
