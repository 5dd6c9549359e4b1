//! STOP and START in inbound messages.

/// What an inbound message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// Words that opt out by themselves or at the start of a text (47 CFR 64.1200(a)(10) and carrier lists).
const STOP: &[&str] = &[
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "REMOVE",
    "ARRET",
    "ARRETER",
    "TD",
    "BAJA",
    "ALTO",
    "PARAR",
    "STOPP",
    "BERHENTI",
    "OPHOUDEN",
];

/// Words that opt in again.
const START: &[&str] = &["START", "UNSTOP", "YES", "OPTIN", "SUBSCRIBE", "RESUME"];

/// Reads the leading word of an inbound text, whatever its case, spacing and punctuation.
/// A text that goes on after STOP still opts out; START must stand alone, because "yes, but …" is no consent.
pub fn keyword(text: &str) -> Option<Keyword> {
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '.' | '!' | '?' | ';' | ':' | '"' | '\''))
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect())
        .map(|word: String| word.replace('Ê', "E"))
        .filter(|word| !word.is_empty())
        .take(8)
        .collect();
    let (first, second) = (words.first()?.as_str(), words.get(1).map(String::as_str));
    let spaced = second.map(|second| format!("{first}{second}"));
    let is = |list: &[&str], word: &str| list.contains(&word);
    // CANCEL and END begin ordinary sentences too; more words after them mean something else.
    let ambiguous = matches!(first, "CANCEL" | "END" | "TD" | "REMOVE") && words.len() > 1;
    if (is(STOP, first) && !ambiguous) || spaced.as_deref().is_some_and(|s| s == "OPTOUT" || s == "STOPALL") {
        return Some(Keyword::Stop);
    }
    let alone = words.len() == 1 || (words.len() == 2 && spaced.as_deref() == Some("OPTIN"));
    let start = is(START, first) || spaced.as_deref() == Some("OPTIN");
    (alone && start).then_some(Keyword::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_in_every_spelling() {
        for text in [
            "STOP",
            "stop",
            " Stop. ",
            "S-T-O-P",
            "STOP!!",
            "stop please",
            "Opt out",
            "opt-out",
            "STOP ALL",
            "UNSUBSCRIBE",
            "quit",
            "ARRÊT",
            "\"stop\"",
            "stop\n",
        ] {
            assert_eq!(keyword(text), Some(Keyword::Stop), "{text}");
        }
    }

    #[test]
    fn ordinary_sentences_are_no_keywords() {
        for text in [
            "",
            "   ",
            "cancel my taxi?",
            "end of the road",
            "nonstop",
            "yes, but later",
            "the bus stop",
            "startle",
        ] {
            assert_eq!(keyword(text), None, "{text}");
        }
    }

    #[test]
    fn start_stands_alone() {
        for text in ["START", "unstop", "Yes", "opt in", "opt-in"] {
            assert_eq!(keyword(text), Some(Keyword::Start), "{text}");
        }
    }
}
