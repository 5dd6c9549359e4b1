//! Steps of a call in 8x8's words, and its questions about a call under way.

use seawall_core::callflow::{Capture, Speech, Step};
use serde_json::{Value, json};

use super::answer::cut;
use super::spoken;
use crate::{CallAsked, Secret, SpeechProfile};

/// Keys of an answer at most; more is not what somebody pressed.
const KEYS_AT_MOST: usize = 64;
/// Voices that are read at most.
const VOICES_AT_MOST: usize = 1_000;

/// One step.
pub(super) fn action(step: &Step) -> Value {
    match step {
        Step::Say { text, speech, times } => json!({"action": "say", "params": {
            "text": spoken(text), "voiceProfile": speech.profile, "repetition": times, "speed": speed(speech),
        }}),
        Step::Play { url, times } => {
            json!({"action": "playFile", "params": {"fileUrl": url, "repetition": times}})
        }
        Step::Capture(capture) => json!({"action": "sayAndCapture", "params": captured(capture)}),
        Step::HangUp => json!({"action": "hangup"}),
    }
}

fn speed(speech: &Speech) -> f64 {
    if speech.speed.is_finite() { speech.speed.clamp(0.5, 2.0) } else { 1.0 }
}

fn captured(capture: &Capture) -> Value {
    json!({
        "promptMessage": spoken(&capture.prompt),
        "voiceProfile": capture.speech.profile,
        "speed": speed(&capture.speech),
        "minDigits": capture.least,
        "maxDigits": capture.most,
        "digitTimeout": capture.between_ms,
        "overallTimeout": capture.within_ms,
        "completeOnHash": capture.hash_ends,
        "noOfTries": capture.tries,
        "successMessage": capture.success.as_deref().map(spoken),
        "failureMessage": capture.failure.as_deref().map(spoken),
    })
}

/// A call action (VCA) of a call that was made: a step is done, with the keys that were pressed.
pub(super) fn asked(body: &[u8]) -> Option<CallAsked> {
    let json: Value = serde_json::from_slice(body).ok()?;
    if json.get("eventType").and_then(Value::as_str) != Some("CALL_ACTION") {
        return None;
    }
    let payload = json.get("payload")?;
    let text = |path: &str| payload.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let keys = text("/eventData/dtmf").filter(|keys| keys.len() <= KEYS_AT_MOST && keys.chars().all(is_key));
    Some(CallAsked {
        reference: cut(text("/sessionId")?),
        keys: keys.map(Secret::new),
        event: text("/eventId").map(cut),
    })
}

fn is_key(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D')
}

/// What is to happen next.
pub(super) fn told(asked: &CallAsked, steps: &[Step]) -> Value {
    json!({"clientActionId": asked.event, "callflow": steps.iter().map(action).collect::<Vec<_>>()})
}

/// The voices in an answer.
pub(super) fn voices(body: &[u8]) -> Result<Vec<SpeechProfile>, String> {
    let json: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    let list = json.get("speechProfiles").and_then(Value::as_array);
    let list = list.ok_or("the answer has no speechProfiles")?;
    let read = |one: &Value| serde_json::from_value(one.clone()).ok();
    Ok(list.iter().take(VOICES_AT_MOST).filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_8x8s_actions() {
        let speech = Speech { profile: "en-GB-Emma".to_owned(), speed: 0.8 };
        let capture = Capture {
            prompt: "Press 12345".to_owned(),
            speech: speech.clone(),
            least: 1,
            most: 5,
            between_ms: None,
            within_ms: 9_000,
            hash_ends: true,
            tries: 2,
            success: Some("Thanks".to_owned()),
            failure: None,
        };
        let shown = action(&Step::Capture(capture));
        assert_eq!(shown["params"]["promptMessage"], "Press 1, 2, 3, 4, 5");
        assert_eq!((&shown["params"]["maxDigits"], &shown["params"]["noOfTries"]), (&json!(5), &json!(2)));
        assert!(shown["params"]["digitTimeout"].is_null() && shown["params"]["failureMessage"].is_null());
        let play = action(&Step::Play { url: "https://example.com/a.mp3".to_owned(), times: 3 });
        assert_eq!(play["params"], json!({"fileUrl": "https://example.com/a.mp3", "repetition": 3}));
        assert_eq!(action(&Step::HangUp), json!({"action": "hangup"}));
    }

    #[test]
    fn pressed_keys_are_read() {
        let body = |data: Value| json!({"eventType": "CALL_ACTION", "payload": {"eventId": "e", "sessionId": "s1", "eventData": data}});
        let read = |data| asked(body(data).to_string().as_bytes()).unwrap();
        let pressed = read(json!({"dtmf": "12#"}));
        assert_eq!((pressed.reference.as_str(), pressed.keys.unwrap().reveal()), ("s1", "12#"));
        for none in [json!({"dtmf": null}), json!({"dtmf": "one"}), json!({"dtmf": "1".repeat(65)}), json!(7)]
        {
            assert!(read(none).keys.is_none());
        }
        assert!(asked(br#"{"eventType":"SESSION_SUMMARY","payload":{"sessionId":"s"}}"#).is_none());
        assert!(asked(b"[]").is_none() && asked(br#"{"eventType":"CALL_ACTION"}"#).is_none());
    }

    #[test]
    fn voices_are_read_and_bounded() {
        let one = json!({"speechProfileCode": "da-DK-Naja", "localeCode": "da-DK", "localeDescription": "Danish", "gender": "F"});
        let many = vec![one; 1_200];
        let read = voices(json!({"speechProfiles": many}).to_string().as_bytes()).unwrap();
        assert_eq!((read.len(), read[0].code.as_str()), (1_000, "da-DK-Naja"));
        assert!(voices(b"{}").is_err() && voices(b"x").is_err());
    }
}
