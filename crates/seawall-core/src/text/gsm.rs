//! What a text would be without the stray characters that turn it from GSM-7 into UCS-2 and so make it cost
//! up to three times as much: typographic quotes, dashes, no-break spaces, letters with a plain sister.

use crate::segments::{Encoding, EncodingChoice, segment};

/// Typographic characters and accented letters, and what GSM-7 says instead. Meaning never changes: a letter
/// loses at most its accent.
const PLAIN: [(&str, &str); 28] = [
    ("‘’‚‛′ʼ`´", "'"),
    ("“”„‟″«»", "\""),
    ("‐‑‒–—―−", "-"),
    ("…", "..."),
    (
        "\u{a0}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{202f}\u{3000}\t",
        " ",
    ),
    ("•·", "-"),
    ("×", "x"),
    ("™", "TM"),
    ("©", "(c)"),
    ("®", "(R)"),
    ("áâãāăąǎ", "a"),
    ("ÀÁÂÃĀĂĄ", "A"),
    ("çćčĉċ", "c"),
    ("ĆČĈĊ", "C"),
    ("êëēĕėęě", "e"),
    ("ÈÊËĒĖĘĚ", "E"),
    ("íîïĩīĭįı", "i"),
    ("ÌÍÎÏĨĪĬĮİ", "I"),
    ("óôõōŏő", "o"),
    ("ÒÓÔÕŌŎŐ", "O"),
    ("úûũūŭůűų", "u"),
    ("ÙÚÛŨŪŬŮŰŲ", "U"),
    ("łļľĺ", "l"),
    ("ńņň", "n"),
    ("śşšș", "s"),
    ("ŚŞŠȘ", "S"),
    ("źżž", "z"),
    ("ŹŻŽ", "Z"),
];

/// The text in GSM-7, when only characters with a plain sister stand in the way; `None` when the text is
/// GSM-7 already or something else in it is not.
pub fn transliterate(text: &str) -> Option<String> {
    segment(text, EncodingChoice::Auto).ok()?.offender?;
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match PLAIN.iter().find(|(from, _)| from.contains(c)) {
            Some((_, to)) => plain.push_str(to),
            None => plain.push(c),
        }
    }
    let done = segment(&plain, EncodingChoice::Auto).ok()?;
    (done.encoding == Encoding::Gsm7).then_some(plain)
}

/// What one stray character costs, for a person; `None` when nothing could be saved.
pub fn advice(text: &str) -> Option<String> {
    let now = segment(text, EncodingChoice::Auto).ok()?;
    let offender = now.offender?;
    let plain = transliterate(text)?;
    let then = segment(&plain, EncodingChoice::Auto).ok()?;
    let code = u32::from(offender);
    let place = text.chars().position(|c| c == offender).unwrap_or_default() + 1;
    (then.segments < now.segments).then(|| {
        format!(
            "character {place} (U+{code:04X}) makes this {} segments of UCS-2; written plainly it would be {} of GSM-7",
            now.segments, then.segments
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_has_a_plain_sister_is_replaced() {
        assert_eq!(transliterate("It’s “fine” – really…").as_deref(), Some("It's \"fine\" - really..."));
        assert_eq!(transliterate("plain already"), None);
        assert_eq!(transliterate("код ’"), None, "Cyrillic stays");
        assert_eq!(transliterate("naïve façade").as_deref(), Some("naive facade"));
        let text = format!("{}’", "a".repeat(100));
        let advice = advice(&text).unwrap();
        assert!(advice.contains("character 101 (U+2019)") && advice.contains("2 segments"), "{advice}");
        assert_eq!(super::advice("short ’"), None, "nothing to be saved");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_gsm7(text in "[a-z ’“”–…áçêłšž€]{1,200}") {
            if let Some(plain) = transliterate(&text) {
                prop_assert_eq!(segment(&plain, EncodingChoice::Gsm7).map(|s| s.encoding), Ok(Encoding::Gsm7));
            }
        }
    }
}
