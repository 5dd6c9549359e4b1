//! Reading JSON field by field, so that every error names its field and has 8x8's code. Unknown fields are
//! ignored, as the original does; `null` counts as absent.

use seawall_core::client_ip::ClientIp;
use seawall_core::country::Country;
use seawall_core::segments::EncodingChoice;
use seawall_core::sender_id::SenderId;
use seawall_core::time::Timestamp;
use serde_json::{Map, Value};

use super::error::Refused;
use super::iso;
use super::session_request::NOT_A_NUMBER;
use crate::app::number_keys::Unread;
use crate::jobs::egress;

/// Why a field does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub code: u16,
    pub message: String,
    /// The JSON type is wrong, not the value: the whole request is malformed, also in a batch.
    pub shape: bool,
}

impl Bad {
    pub fn value(code: u16, message: impl Into<String>) -> Self {
        Bad { code, message: message.into(), shape: false }
    }

    fn shape(place: &str, name: &str, wanted: &str) -> Self {
        Bad {
            code: 1000,
            message: format!("Invalid parameter: {place}{name} has to be {wanted}"),
            shape: true,
        }
    }
}

impl From<Unread> for Bad {
    fn from(why: Unread) -> Self {
        match why {
            Unread::Number(_) => Bad::value(1002, NOT_A_NUMBER),
            encrypted => Bad::value(1002, format!("Invalid MSISDN: {encrypted}")),
        }
    }
}

impl From<Bad> for Refused {
    fn from(bad: Bad) -> Self {
        Refused::bad(bad.code, bad.message)
    }
}

/// One JSON object of a request, and where in the body it stands.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    place: &'a str,
}

impl<'a> Fields<'a> {
    /// `place`: empty for the body, else `messages[3].`.
    pub fn of(value: &'a Value, place: &'a str) -> Result<Self, Bad> {
        match value {
            Value::Object(object) => Ok(Fields { object, place }),
            _ if place.is_empty() => Err(Bad::shape("", "the body", "a JSON object")),
            _ => Err(Bad::shape(place.trim_end_matches('.'), "", "a JSON object")),
        }
    }

    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|v| !v.is_null())
    }

    fn wrong(&self, name: &str, wanted: &str) -> Bad {
        Bad::shape(self.place, name, wanted)
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Bad> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    /// Text of at most so many characters.
    pub fn short(&self, name: &str, most: usize, code: u16) -> Result<Option<&'a str>, Bad> {
        match self.text(name)? {
            Some(text) if text.chars().count() > most => {
                Err(Bad::value(code, format!("Invalid {}{name}: at most {most} characters", self.place)))
            }
            text => Ok(text),
        }
    }

    /// An identifier of the caller: short, and without control characters, which would break logs and CSV.
    pub fn label(&self, name: &str, most: usize, code: u16) -> Result<Option<String>, Bad> {
        match self.short(name, most, code)? {
            Some(text) if text.chars().any(char::is_control) => {
                Err(Bad::value(code, format!("Invalid {}{name}: control characters", self.place)))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    pub fn whole(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Bad> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let Value::Number(number) = value else {
            return Err(self.wrong(name, "an integer"));
        };
        let whole = number.as_u64().or_else(|| number.as_f64().filter(|f| f.fract() == 0.0).map(saturate));
        if whole.is_none() && number.as_i64().is_none() {
            return Err(self.wrong(name, "an integer"));
        }
        match whole.filter(|n| (least..=most).contains(n)) {
            Some(n) => Ok(Some(n)),
            None => Err(Bad::value(
                1010,
                format!("Invalid {}{name}: has to be from {least} to {most}", self.place),
            )),
        }
    }

    pub fn number(&self, name: &str, least: f64, most: f64) -> Result<Option<f64>, Bad> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let Some(number) = value.as_f64() else {
            return Err(self.wrong(name, "a number"));
        };
        if (least..=most).contains(&number) {
            return Ok(Some(number));
        }
        Err(Bad::value(1010, format!("Invalid {}{name}: has to be from {least} to {most}", self.place)))
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Bad> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    pub fn list(&self, name: &str) -> Result<Option<&'a [Value]>, Bad> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(self.wrong(name, "an array")),
        }
    }

    /// An object in this one. `place` is where its fields stand, e.g. `sms.`.
    pub fn object(&self, name: &str, place: &'a str) -> Result<Option<Fields<'a>>, Bad> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Fields { object, place })),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)], code: u16) -> Result<Option<T>, Bad> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(Bad::value(
                    code,
                    format!("Invalid {}{name}: has to be one of {}", self.place, all.join(", ")),
                ))
            }
        }
    }

    pub fn country(&self) -> Result<Option<Country>, Bad> {
        let Some(text) = self.text("country")? else {
            return Ok(None);
        };
        let bad = || Bad::value(1009, "Invalid country code: two letters of ISO 3166-1 are needed");
        Country::parse(text).map(Some).ok_or_else(bad)
    }

    pub fn encoding(&self) -> Result<EncodingChoice, Bad> {
        const WORDS: [(&str, EncodingChoice); 3] =
            [("AUTO", EncodingChoice::Auto), ("GSM7", EncodingChoice::Gsm7), ("UCS2", EncodingChoice::Ucs2)];
        Ok(self.choice("encoding", &WORDS, 1003)?.unwrap_or_default())
    }

    pub fn source(&self) -> Result<Option<String>, Bad> {
        let Some(text) = self.text("source")? else {
            return Ok(None);
        };
        match SenderId::parse(text) {
            Ok(source) => Ok(Some(source.as_str().to_owned())),
            Err(_) if text.len() > 11 => {
                Err(Bad::value(1005, "Invalid Source value. Reached max allowed limit"))
            }
            Err(error) => Err(Bad::value(1005, format!("Invalid Source value: {error}"))),
        }
    }

    pub fn time(&self, name: &str, code: u16) -> Result<Option<Timestamp>, Bad> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let bad = || Bad::value(code, format!("Invalid {}{name}: not an ISO 8601 date and time", self.place));
        iso::parse(text).map(Some).ok_or_else(bad)
    }

    /// A URL that we would call, within the rules of egress.
    pub fn url(&self, name: &str, rules: egress::Rules) -> Result<Option<String>, Bad> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match egress::check_url(text, rules) {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(problem) => Err(Bad::value(3020, format!("Invalid {}{name}: {problem}", self.place))),
        }
    }

    /// The end user's address. `clientIP` is an alias; both present and different contradict each other.
    pub fn client_ip(&self) -> Result<Option<ClientIp>, Bad> {
        let (one, other) = (self.address("clientIp")?, self.address("clientIP")?);
        match (one, other) {
            (Some(a), Some(b)) if a != b => Err(Bad::value(
                1012,
                format!("Invalid IP address: {}clientIp and clientIP differ", self.place),
            )),
            _ => Ok(one.or(other)),
        }
    }

    fn address(&self, name: &str) -> Result<Option<ClientIp>, Bad> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let bad = || {
            Bad::value(
                1012,
                format!("Invalid IP address: {}{name} has to be one IPv4 or IPv6 address", self.place),
            )
        };
        ClientIp::parse(text).filter(|ip| ip.is_plausible_client()).map(Some).ok_or_else(bad)
    }
}

/// A whole float as an integer; what is out of range is out of every bound, too.
fn saturate(f: f64) -> u64 {
    if !(0.0..=1e15).contains(&f) {
        return u64::MAX;
    }
    format!("{f:.0}").parse().unwrap_or(u64::MAX)
}
