//! What happens in a call that is made: something is said, a file is played, keys are heard, and it ends.

use serde::{Deserialize, Serialize};

/// Steps of a call at most, the call itself not counted.
pub const STEPS_AT_MOST: usize = 10;
/// Characters of one text at most.
pub const TEXT_AT_MOST: usize = 3_000;

/// How a text is spoken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speech {
    /// Name of a voice; it begins with its language, such as `en-GB-Emma`.
    pub profile: String,
    /// 0.5 to 2, 1 is normal speed.
    pub speed: f64,
}

/// A text that is followed by pressed keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// What is said before.
    pub prompt: String,
    /// How.
    pub speech: Speech,
    /// Keys at least.
    pub least: u8,
    /// Keys at most.
    pub most: u8,
    /// Milliseconds between two keys.
    pub between_ms: Option<u32>,
    /// Milliseconds for all of them.
    pub within_ms: u32,
    /// Whether `#` ends what is pressed.
    pub hash_ends: bool,
    /// How often it is asked.
    pub tries: u8,
    /// What is said when keys were heard.
    pub success: Option<String>,
    /// What is said when they were not.
    pub failure: Option<String>,
}

/// One step of a call, after somebody answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A text is said.
    Say {
        /// What.
        text: String,
        /// How.
        speech: Speech,
        /// How often, 1 to 3.
        times: u8,
    },
    /// A file is played by whoever carries the call.
    Play {
        /// Where it is.
        url: String,
        /// How often, 1 to 3.
        times: u8,
    },
    /// Keys are heard.
    Capture(Capture),
    /// The call ends.
    HangUp,
}

/// Whether a text, once said, is all that happens: what every carrier of calls can do.
pub fn is_plain(steps: &[Step]) -> bool {
    matches!(steps, [Step::Say { .. }] | [Step::Say { .. }, Step::HangUp])
}

/// Everything that is said, in its order, a line each.
pub fn said(steps: &[Step]) -> String {
    lines(steps.iter().flat_map(texts).map(str::to_owned))
}

/// The same with files by their address, for who looks at what would be heard.
pub fn heard(steps: &[Step]) -> String {
    lines(steps.iter().flat_map(|step| match step {
        Step::Play { url, .. } => vec![format!("[plays {url}]")],
        Step::Capture(_) => {
            let mut all: Vec<String> = texts(step).into_iter().map(str::to_owned).collect();
            all.insert(1.min(all.len()), "[hears keys]".to_owned());
            all
        }
        _ => texts(step).into_iter().map(str::to_owned).collect(),
    }))
}

fn texts(step: &Step) -> Vec<&str> {
    match step {
        Step::Say { text, .. } => vec![text],
        Step::Capture(capture) => {
            let rest = [capture.success.as_deref(), capture.failure.as_deref()];
            std::iter::once(capture.prompt.as_str()).chain(rest.into_iter().flatten()).collect()
        }
        Step::Play { .. } | Step::HangUp => Vec::new(),
    }
}

fn lines(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech() -> Speech {
        Speech { profile: "en-GB-Emma".to_owned(), speed: 1.0 }
    }

    fn say(text: &str) -> Step {
        Step::Say { text: text.to_owned(), speech: speech(), times: 1 }
    }

    #[test]
    fn what_is_said_and_heard() {
        let capture = Capture {
            prompt: "Press 1".to_owned(),
            speech: speech(),
            least: 1,
            most: 1,
            between_ms: None,
            within_ms: 5_000,
            hash_ends: true,
            tries: 1,
            success: Some("Thanks".to_owned()),
            failure: None,
        };
        let play = Step::Play { url: "https://example.com/a.mp3".to_owned(), times: 1 };
        let all = [say("Hello"), play, Step::Capture(capture), Step::HangUp];
        assert_eq!(said(&all), "Hello\nPress 1\nThanks");
        assert_eq!(heard(&all), "Hello\n[plays https://example.com/a.mp3]\nPress 1\n[hears keys]\nThanks");
        assert!(!is_plain(&all) && is_plain(&[say("x")]) && is_plain(&[say("x"), Step::HangUp]));
        assert!(!is_plain(&[say("x"), say("y")]) && !is_plain(&[]));
        let kept = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Step>>(&kept).unwrap(), all);
    }
}
