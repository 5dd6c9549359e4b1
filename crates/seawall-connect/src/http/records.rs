//! The records of a callback, whether it comes as JSON, form or query.

use serde_json::Value;

use super::outcome::scalar;
use crate::Callback;

const RECORDS_AT_MOST: usize = 1000;

/// Where a record holds something: a JSON pointer (`/…`) or the name of a query or form parameter.
pub(super) struct Place(pub(super) String);

/// One thing that happened: a JSON object (or none), and parameters by name.
pub(super) struct Record<'c> {
    json: Option<Value>,
    parameters: &'c [(String, String)],
    form: Vec<(String, String)>,
}

/// What one callback reports.
pub(super) struct Records<'c>(pub(super) Vec<Record<'c>>);

impl<'c> Records<'c> {
    /// Reads the records; `list` points to them within a JSON body.
    pub(super) fn of(callback: &'c Callback, list: Option<&str>) -> Result<Self, String> {
        let record = |json, form| Record { json, parameters: &callback.query, form };
        if callback.body.is_empty() {
            return Ok(Records(vec![record(None, Vec::new())]));
        }
        if callback.content_type == "application/x-www-form-urlencoded" {
            return Ok(Records(vec![record(None, form(&callback.body))]));
        }
        let json: Value =
            serde_json::from_slice(&callback.body).map_err(|_| "the body is not JSON".to_owned())?;
        let json = match list {
            None => json,
            Some(pointer) => json.pointer(pointer).cloned().ok_or("the body has no list of receipts")?,
        };
        match json {
            Value::Array(items) if items.len() > RECORDS_AT_MOST => {
                Err(format!("more than {RECORDS_AT_MOST} records at once"))
            }
            Value::Array(items) => {
                Ok(Records(items.into_iter().map(|item| record(Some(item), Vec::new())).collect()))
            }
            one => Ok(Records(vec![record(Some(one), Vec::new())])),
        }
    }
}

impl Record<'_> {
    /// What stands at a place, unless it is empty.
    pub(super) fn find(&self, place: &Place) -> Option<String> {
        let found = if place.0.starts_with('/') {
            self.json.as_ref()?.pointer(&place.0).and_then(scalar)
        } else {
            let named = |(name, _): &&(String, String)| *name == place.0;
            let parameter = self.form.iter().find(named).or_else(|| self.parameters.iter().find(named));
            parameter.map(|(_, value)| value.clone())
        };
        found.filter(|value| !value.is_empty())
    }
}

/// `application/x-www-form-urlencoded`.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(RECORDS_AT_MOST);
    pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            (decode(halves.next().unwrap_or_default()), decode(halves.next().unwrap_or_default()))
        })
        .collect()
}

fn decode(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
