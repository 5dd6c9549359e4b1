//! Texts of people as they are compared: in lower case, without accents, marks and punctuation.

/// The words of a text, folded. Each Chinese character is a word of its own, because nothing stands between words.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.trim_start().chars().take(MOST_CHARS).flat_map(char::to_lowercase) {
        if is_han(c) {
            words.push(c.to_string());
            open = false;
        } else if c.is_alphanumeric() || is_mark(c) {
            if !open {
                words.push(String::new());
                open = true;
            }
            if let Some(word) = words.last_mut() {
                push(word, c);
            }
        } else if !is_apostrophe(c) {
            open = false;
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Characters of a text that are looked at.
const MOST_CHARS: usize = 400;

/// Whether a character is Chinese.
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2018}' | '`' | '\u{b4}')
}

/// Marks above and below letters, vowel signs and the stretching of Arabic.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{640}' | '\u{670}')
}

/// Without its accent. Only letters of the languages that are read.
fn push(word: &mut String, c: char) {
    let plain = match c {
        c if is_mark(c) => return,
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ī' | 'ı' => 'i',
        'ñ' | 'ń' => 'n',
        'ò'..='ö' | 'ø' | 'ō' => 'o',
        'ù'..='ü' | 'ū' | 'ů' => 'u',
        'ý' | 'ÿ' => 'y',
        'ё' => 'е',
        'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
        'ى' => 'ي',
        'ة' => 'ه',
        'ß' => return word.push_str("ss"),
        'œ' => return word.push_str("oe"),
        c => c,
    };
    word.push(plain);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_case_and_punctuation_do_not_matter() {
        assert_eq!(words("  ARRÊTEZ, s'il-vous plaît!! "), ["arretez", "sil", "vous", "plait"]);
        assert_eq!(words("Don’t STOP"), ["dont", "stop"]);
        assert_eq!(words("إِلغاء"), ["الغاء"]);
        assert_eq!(words("退订 ok谢谢"), ["退", "订", "ok", "谢", "谢"]);
        assert_eq!(words("e\u{301}te\u{301}"), ["ete"]);
        assert!(words("?! …").is_empty());
        // Space before it takes no room from the text.
        let long = "stop ".repeat(200);
        assert_eq!(words(&format!("  {long}")), words(&long));
        assert!(words(&"x".repeat(10_000)).iter().all(|word| word.len() <= MOST_CHARS));
    }
}
