//! Characters made to deceive: letters of another script that look Latin, invisible characters, and those
//! that turn the direction of writing. Spammers use them to pass word filters and to imitate brands.

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookAlike {
    /// A word mixes Latin letters with letters of another script that look like them.
    Mixed(char),
    /// A character that nobody sees.
    Invisible(char),
    /// A letter in a mathematical, full-width or enclosed disguise.
    Disguised(char),
}

impl LookAlike {
    /// The offending character.
    pub fn offender(self) -> char {
        match self {
            LookAlike::Mixed(c) | LookAlike::Invisible(c) | LookAlike::Disguised(c) => c,
        }
    }

    /// What is wrong, for a person. Characters are named by code point: that is the only way to see them.
    pub fn describe(self) -> String {
        let code = u32::from(self.offender());
        match self {
            LookAlike::Mixed(_) => format!("U+{code:04X} looks like a Latin letter within a Latin word"),
            LookAlike::Invisible(_) => format!("U+{code:04X} is invisible"),
            LookAlike::Disguised(_) => format!("U+{code:04X} is a letter in disguise"),
        }
    }
}

/// Cyrillic, Greek and Armenian letters that pass for Latin ones, from Unicode's confusables (UTS #39), those
/// of the basic Latin letters.
const LIKE_LATIN: &str = "аеорсухіјѕһԁԛԝАВЕКМНОРСТХУІЈЅԌΑΒΕΖΗΙΚΜΝΟΡΤΥΧαονρτυιјհոսօց";

/// The first deceiving character of a text, if it has one.
pub fn find(text: &str) -> Option<LookAlike> {
    hidden(text).or_else(|| text.split(|c: char| !c.is_alphabetic()).find_map(mixed))
}

fn hidden(text: &str) -> Option<LookAlike> {
    let mut before = ' ';
    for c in text.chars() {
        if invisible(c) && !joins(before, c) {
            return Some(LookAlike::Invisible(c));
        }
        if disguised(c) {
            return Some(LookAlike::Disguised(c));
        }
        before = c;
    }
    None
}

/// Zero-width spaces and joiners, soft hyphens, fillers, and marks that turn the direction of writing.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}')
}

/// Joiners belong into Indic, Arabic and emoji text, and direction marks beside letters written from the right.
fn joins(before: char, c: char) -> bool {
    let script = u32::from(before);
    let complex = (0x0590..=0x0fff).contains(&script)
        || script >= 0x1_f000
        || (0x2600..0x27c0).contains(&script)
        || before == '\u{fe0f}';
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{200e}' | '\u{200f}') && complex
}

/// Mathematical, full-width and enclosed letters.
fn disguised(c: char) -> bool {
    matches!(c, '\u{1d400}'..='\u{1d7ff}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}'
        | '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f149}' | '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}')
}

fn mixed(word: &str) -> Option<LookAlike> {
    let latin = word.chars().any(|c| c.is_ascii_alphabetic());
    let foreign = word.chars().find(|c| LIKE_LATIN.contains(*c))?;
    latin.then_some(LookAlike::Mixed(foreign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn deception_is_found_and_languages_are_left_alone() {
        assert_eq!(find("Your Pаypal code"), Some(LookAlike::Mixed('а')));
        assert_eq!(find("vi\u{200b}sit"), Some(LookAlike::Invisible('\u{200b}')));
        assert_eq!(find("𝐖in a prize"), Some(LookAlike::Disguised('𝐖')));
        assert_eq!(find("ＡＣＭＥ"), Some(LookAlike::Disguised('Ａ')));
        assert_eq!(find("gnp.\u{202e}exe"), Some(LookAlike::Invisible('\u{202e}')));
        for fine in [
            "Your code is 123456",
            "Ваш код 123456 для Acme",
            "Ο κωδικός σας είναι 123456",
            "验证码 123456",
            "کد شما می\u{200c}باشد 123456",
            "👨\u{200d}👩\u{200d}👧 sale",
            "Größe Ångström naïve €",
        ] {
            assert_eq!(find(fine), None, "{fine}");
        }
        assert!(find("Pаypal").unwrap().describe().contains("U+0430"));
    }

    proptest! {
        #[test]
        fn plain_text_is_never_suspected(text in "[ -~äöüßéñ€]{0,200}") {
            prop_assert_eq!(find(&text), None);
        }
    }
}
