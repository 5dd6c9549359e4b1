//! Texts of people as they are compared: in lower case, without accents, marks and punctuation.

/// The words of a text, folded. Each Chinese character is a word of its own, because nothing stands between words.
pub fn words(text: &str) -> Vec<String> {
    clauses(text).into_iter().flatten().collect()
}

/// The words of a text, folded, parted where its punctuation parts it.
pub fn clauses(text: &str) -> Vec<Vec<String>> {
    let mut clauses: Vec<Vec<String>> = vec![Vec::new()];
    let mut open = false;
    for c in text.trim_start().chars().take(MOST_CHARS).flat_map(char::to_lowercase) {
        if parts(c) {
            clauses.push(Vec::new());
        }
        let Some(words) = clauses.last_mut() else { continue };
        if is_han(c) {
            words.push(simplified(c).to_string());
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
    clauses.iter_mut().for_each(|words| words.retain(|word| !word.is_empty()));
    clauses.retain(|words| !words.is_empty());
    clauses
}

/// Whether a character ends a clause. Hyphens do not: `opt-out`.
fn parts(c: char) -> bool {
    matches!(c, '.' | ',' | '!' | '?' | ';' | ':' | '\n' | '(' | ')' | '\u{2026}' | '\u{2013}' | '\u{2014}')
        || matches!(c, '\u{60c}' | '\u{61b}' | '\u{61f}' | '\u{3001}' | '\u{3002}' | '\u{ff01}' | '\u{ff0c}')
        || matches!(c, '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}')
}

/// Traditional characters of words that are known here, and behind each the simplified one.
const TRADITIONAL: &str = "發发訊讯簡简廣广請请這这號号碼码為为麼么嗎吗個个們们刪删從从資资單单對对擾扰騷骚煩烦電电話话聯联繫系絡络繼继續续\
斷断錯错沒没別别夠够訂订閱阅銷销優优貨货買买賣卖錢钱約约預预醫医驗验證证給给還还後后時时間间見见現现應应該该關关開开讓让說说謝谢點点\
無无終终離离遠远傳传郵邮鬧闹興兴趣趣歡欢喜喜誰谁裡里麵面拋抛舉举報报訴诉統统絕绝權权許许辦办戶户網网頁页項项題题轉转換换舊旧寫写車车\
門门記记錄录爛烂罵骂滾滚壓压過过來来帶带連连樣样種种東东總总";

/// A Chinese character as it is written in the words that are known.
fn simplified(c: char) -> char {
    let mut pairs = TRADITIONAL.chars();
    while let (Some(traditional), Some(simple)) = (pairs.next(), pairs.next()) {
        if traditional == c {
            return simple;
        }
    }
    c
}

/// Whether a text has a question mark, where it is looked at.
pub fn asks(text: &str) -> bool {
    text.trim_start().chars().take(MOST_CHARS).any(|c| matches!(c, '?' | '\u{ff1f}' | '\u{61f}'))
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
        assert_eq!(words("請不要再發"), words("请不要再发"));
        assert_eq!(clauses("No, thanks. Opt-out").len(), 3);
        // Space before it takes no room from the text.
        let long = "stop ".repeat(200);
        assert_eq!(words(&format!("  {long}")), words(&long));
        assert!(words(&"x".repeat(10_000)).iter().all(|word| word.len() <= MOST_CHARS));
    }
}
