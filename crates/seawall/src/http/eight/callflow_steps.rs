//! The steps of a call flow, field by field, with 8x8's code for each thing that can be wrong. The same steps stand in
//! requests and in what an app answers when it is asked what happens next in a call.

use seawall_core::callflow::{Capture, STEPS_AT_MOST, Speech, Step, TEXT_AT_MOST};
use serde_json::{Map, Value};

use crate::jobs::egress::{self, Rules};

/// Keys that may be awaited, and tries.
const KEYS_AT_MOST: u64 = 20;
const TRIES_AT_MOST: u64 = 10;
/// Milliseconds that keys may take.
const WAIT_AT_MOST: u64 = 120_000;
const ENTRY: i64 = -1009;

/// What does not fit: 8x8's code and words.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Unfit {
    pub code: i64,
    pub message: String,
}

impl Unfit {
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Unfit { code, message: message.into() }
    }
}

type Read<T> = Result<T, Unfit>;

/// The name of a step's action.
pub(in crate::http) fn action(step: &Value) -> &str {
    step.get("action").and_then(Value::as_str).unwrap_or_default()
}

/// Reads the steps after the call itself. `first`: the place of the first one in the flow.
pub(in crate::http) fn read(steps: &[Value], first: usize, rules: Rules) -> Read<Vec<Step>> {
    if steps.len() > STEPS_AT_MOST {
        let why = format!("Some actions are provided beyond the allowed count of {STEPS_AT_MOST}");
        return Err(Unfit::new(-1010, why));
    }
    let each = steps.iter().enumerate().map(|(at, step)| one(step, first + at, rules));
    let read = each.collect::<Read<Vec<Step>>>()?;
    ends_well(&read)?;
    Ok(read)
}

fn ends_well(steps: &[Step]) -> Read<()> {
    let misused = |why: &str| Err(Unfit::new(-1012, format!("Invalid Callflow : {why}")));
    match steps {
        [] | [Step::HangUp, ..] => misused("something has to happen before hangup"),
        [before @ .., _] if before.contains(&Step::HangUp) => misused("hangup comes last"),
        [.., Step::Capture(_), Step::HangUp] => {
            misused("hangup right after sayAndCapture would lose what is pressed")
        }
        _ => Ok(()),
    }
}

fn one(step: &Value, at: usize, rules: Rules) -> Read<Step> {
    let empty = Map::new();
    let params = step.get("params").and_then(Value::as_object).unwrap_or(&empty);
    let params = Params { params, at };
    match action(step) {
        "say" => {
            Ok(Step::Say { text: params.needed("text")?, speech: params.speech()?, times: params.times()? })
        }
        "playFile" => Ok(Step::Play { url: params.url("fileUrl", rules)?, times: params.times()? }),
        "sayAndCapture" => params.capture().map(Step::Capture),
        "hangup" => Ok(Step::HangUp),
        _ => {
            let known = "say,playFile,sayAndCapture,hangup";
            Err(Unfit::new(-1007, format!("$.callflow[{at}].action should be one of: {known}")))
        }
    }
}

/// The parameters of one step.
struct Params<'a> {
    params: &'a Map<String, Value>,
    at: usize,
}

impl Params<'_> {
    fn given(&self, name: &str) -> Option<&Value> {
        self.params.get(name).filter(|given| !given.is_null())
    }

    fn wrong(&self, name: &str, why: &str) -> Unfit {
        let place = format!("$.callflow[{}].params.{name}", self.at);
        Unfit::new(ENTRY, format!("Invalid call flow entry provided. {place}: {why}"))
    }

    /// A text that is said.
    fn text(&self, name: &str) -> Read<Option<String>> {
        let Some(given) = self.given(name) else { return Ok(None) };
        let text = given.as_str().ok_or_else(|| self.wrong(name, "has to be a text"))?;
        if text.chars().count() > TEXT_AT_MOST {
            return Err(self.wrong(name, &format!("has at most {TEXT_AT_MOST} characters")));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            let why = format!("$.callflow[{}].params.{name} holds a control character", self.at);
            return Err(Unfit::new(-1016, format!("Invalid Callflow Content : {why}")));
        }
        Ok(Some(text.to_owned()).filter(|text| !text.trim().is_empty()))
    }

    fn needed(&self, name: &str) -> Read<String> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "is missing but it is required"))
    }

    fn speech(&self) -> Read<Speech> {
        let fits = |profile: &&str| {
            (1..=50).contains(&profile.len())
                && profile.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let profile = self.given("voiceProfile").and_then(Value::as_str).filter(fits);
        let why = "Speech profile or language parameter invalid: voiceProfile is needed, such as en-GB-Emma";
        let profile = profile.ok_or_else(|| Unfit::new(-1002, why))?.to_owned();
        let speed = match self.given("speed") {
            None => 1.0,
            Some(given) => {
                let fits = given.as_f64().filter(|speed| (0.5..=2.0).contains(speed));
                fits.ok_or_else(|| self.wrong("speed", "is from 0.5 to 2"))?
            }
        };
        Ok(Speech { profile, speed })
    }

    fn times(&self) -> Read<u8> {
        let Some(given) = self.given("repetition") else { return Ok(1) };
        let times = whole(given).and_then(|times| u8::try_from(times).ok());
        let times = times.filter(|times| (1..=3).contains(times));
        times.ok_or_else(|| self.wrong("repetition", "is 1, 2 or 3"))
    }

    /// A file that is played. Whoever carries the call fetches it; addresses that we would not call are not passed on.
    fn url(&self, name: &str, rules: Rules) -> Read<String> {
        let given = self.given(name).ok_or_else(|| self.wrong(name, "is missing but it is required"))?;
        let text = given.as_str().ok_or_else(|| self.wrong(name, "has to be a text"))?;
        let url = egress::check_url(text, rules).map_err(|why| self.wrong(name, why))?;
        Ok(url.into())
    }

    /// A whole number within bounds; of another kind or beyond them, it is what `code` says.
    fn number(&self, name: &str, most: u64, code: i64, why: &str) -> Read<Option<u64>> {
        let Some(given) = self.given(name) else { return Ok(None) };
        let found = whole(given).filter(|found| (1..=most).contains(found));
        found.map(Some).ok_or_else(|| Unfit::new(code, why))
    }

    fn capture(&self) -> Read<Capture> {
        let keys =
            format!("Valid maxDigits required when minDigits provided: 1 to {KEYS_AT_MOST}, least first");
        let least = self.number("minDigits", KEYS_AT_MOST, -1003, &keys)?;
        let most = self.number("maxDigits", KEYS_AT_MOST, -1003, &keys)?;
        let (least, most) = (least.unwrap_or(1), most.unwrap_or(least.unwrap_or(1)));
        if least > most {
            return Err(Unfit::new(-1003, keys));
        }
        let hash_ends = match self.given("completeOnHash") {
            None => true,
            Some(given) => given.as_bool().ok_or_else(|| self.wrong("completeOnHash", "is true or false"))?,
        };
        if !hash_ends && self.given("maxDigits").is_none() {
            return Err(Unfit::new(-1008, "Valid maxDigits is required when completeOnHash is false"));
        }
        let (between_ms, within_ms) = self.waits()?;
        let tries = format!("is from 1 to {TRIES_AT_MOST}");
        let tries =
            self.number("noOfTries", TRIES_AT_MOST, ENTRY, &self.wrong("noOfTries", &tries).message)?;
        Ok(Capture {
            prompt: self.needed("promptMessage")?,
            speech: self.speech()?,
            least: small(least),
            most: small(most),
            between_ms,
            within_ms,
            hash_ends,
            tries: small(tries.unwrap_or(1)),
            success: self.text("successMessage")?,
            failure: self.text("failureMessage")?,
        })
    }

    /// Milliseconds between two keys and for all of them.
    fn waits(&self) -> Read<(Option<u32>, u32)> {
        let overall = format!(
            "Valid overallTimeout is required when digitTimeout provided: 1 to {WAIT_AT_MOST} milliseconds"
        );
        let within = self.number("overallTimeout", WAIT_AT_MOST, -1005, &overall)?;
        let digit = format!("is from 1 to {WAIT_AT_MOST} milliseconds");
        let digit = self.wrong("digitTimeout", &digit).message;
        let between = self.number("digitTimeout", WAIT_AT_MOST, ENTRY, &digit)?;
        let within = match (between, within) {
            (Some(_), None) => return Err(Unfit::new(-1005, overall)),
            (Some(between), Some(within)) if within < between => {
                return Err(Unfit::new(-1006, "OverallTimeout should be greater than digitTimeout"));
            }
            (_, within) => within.unwrap_or(5_000),
        };
        let ms = |span: u64| u32::try_from(span).unwrap_or(u32::MAX);
        Ok((between.map(ms), ms(within)))
    }
}

fn small(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// A whole number, however it is written.
fn whole(given: &Value) -> Option<u64> {
    let float = || given.as_f64().filter(|f| f.fract() == 0.0 && (0.0..1e9).contains(f));
    given.as_u64().or_else(|| format!("{:.0}", float()?).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: Rules = Rules { allow_http: false, allow_private: false, any_port: false };

    fn code(steps: Value) -> Option<i64> {
        read(steps.as_array().unwrap(), 1, RULES).err().map(|unfit| unfit.code)
    }

    fn with(params: Value) -> Value {
        let mut all = json!({"promptMessage": "Press", "voiceProfile": "en-GB-Emma"});
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        json!({"action": "sayAndCapture", "params": all})
    }

    #[test]
    fn each_field_has_its_code() {
        let say = |params: Value| {
            let mut all = json!({"text": "Hello", "voiceProfile": "en-GB-Emma"});
            all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
            json!({"action": "say", "params": all})
        };
        let play = |url: &str| json!({"action": "playFile", "params": {"fileUrl": url, "repetition": 2}});
        for (step, want) in [
            (say(json!({})), None),
            (say(json!({"text": "x".repeat(3000), "repetition": 3.0, "speed": 0.5})), None),
            (say(json!({"text": "x".repeat(3001)})), Some(-1009)),
            (say(json!({"text": " "})), Some(-1009)),
            (say(json!({"text": 7})), Some(-1009)),
            (say(json!({"text": "a\u{7}b"})), Some(-1016)),
            (say(json!({"voiceProfile": null})), Some(-1002)),
            (say(json!({"voiceProfile": "a b"})), Some(-1002)),
            (say(json!({"voiceProfile": "x".repeat(51)})), Some(-1002)),
            (say(json!({"repetition": 0})), Some(-1009)),
            (say(json!({"repetition": 4})), Some(-1009)),
            (say(json!({"repetition": 1.5})), Some(-1009)),
            (say(json!({"speed": 0.49})), Some(-1009)),
            (say(json!({"speed": 2.01})), Some(-1009)),
            (say(json!({"speed": "fast"})), Some(-1009)),
            (play("https://files.example.com/a.mp3"), None),
            (play("http://files.example.com/a.mp3"), Some(-1009)),
            (play("https://169.254.169.254/a.mp3"), Some(-1009)),
            (play("https://localhost/a.wav"), Some(-1009)),
            (play("file:///etc/passwd"), Some(-1009)),
            (json!({"action": "playFile"}), Some(-1009)),
            (with(json!({})), None),
            (with(json!({"minDigits": 2, "maxDigits": 4, "digitTimeout": 10, "overallTimeout": 10})), None),
            (with(json!({"minDigits": null, "digitTimeout": null, "noOfTries": null})), None),
            (with(json!({"minDigits": 5, "maxDigits": 4})), Some(-1003)),
            (with(json!({"maxDigits": 0})), Some(-1003)),
            (with(json!({"minDigits": "two"})), Some(-1003)),
            (with(json!({"digitTimeout": 10})), Some(-1005)),
            (with(json!({"overallTimeout": 0})), Some(-1005)),
            (with(json!({"digitTimeout": 11, "overallTimeout": 10})), Some(-1006)),
            (with(json!({"completeOnHash": false})), Some(-1008)),
            (with(json!({"completeOnHash": false, "maxDigits": 4})), None),
            (with(json!({"completeOnHash": "no"})), Some(-1009)),
            (with(json!({"noOfTries": 11})), Some(-1009)),
            (with(json!({"promptMessage": ""})), Some(-1009)),
            (with(json!({"successMessage": "\u{0}"})), Some(-1016)),
            (with(json!({"voiceProfile": ""})), Some(-1002)),
            (json!({"action": "conference"}), Some(-1007)),
            (json!(7), Some(-1007)),
        ] {
            assert_eq!(code(json!([step])), want, "{step}");
        }
    }

    #[test]
    fn the_order_has_to_make_sense() {
        let (say, end) = (with(json!({})), json!({"action": "hangup"}));
        let play = json!({"action": "playFile", "params": {"fileUrl": "https://example.com/a.wav"}});
        for (steps, want) in [
            (json!([]), Some(-1012)),
            (json!([end]), Some(-1012)),
            (json!([play, end]), None),
            (json!([play, end, play]), Some(-1012)),
            (json!([say, end]), Some(-1012)),
            (json!([say, play, end]), None),
            (json!(vec![&play; 10]), None),
            (json!(vec![&play; 11]), Some(-1010)),
        ] {
            assert_eq!(code(steps.clone()), want, "{steps}");
        }
        let wrong = read(&[json!({"action": "say", "params": {"voiceProfile": "x"}})], 1, RULES).unwrap_err();
        assert!(wrong.message.contains("$.callflow[1].params.text: is missing"), "{}", wrong.message);
    }
}
