//! What is shown of a number that came encrypted: its calling code. Whoever carries requests and answers must not learn
//! it, and the usual mask leaves only ten thousand to choose from.

use super::{Msisdn, calling_code};

impl Msisdn {
    /// `+65xxxxxxxx`: fit for whoever must not know the number.
    pub fn veiled(self) -> String {
        veiled(&self.digits())
    }

    /// The whole number in E.164, or what may be seen of it.
    pub fn shown(self, veiled: bool) -> String {
        if veiled { self.veiled() } else { self.to_e164() }
    }

    /// The mask of four digits, or what may be seen of a number that came encrypted.
    pub fn masked_or(self, veiled: bool) -> String {
        if veiled { self.veiled() } else { self.masked() }
    }
}

/// The same for the digits of a number, or the first ones of it.
pub fn veiled(digits: &str) -> String {
    let open = calling_code(digits).unwrap_or(0);
    let (code, hidden) = digits.split_at_checked(open).unwrap_or(("", digits));
    format!("+{code}{}", "x".repeat(hidden.len()))
}

/// A text in which runs of digits that say where `digits` lies are hidden behind its calling code: names of ranges,
/// masked spellings, the number itself.
pub fn veil(digits: &str, text: &str) -> String {
    let open = calling_code(digits).unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let tells = run.len() > open + 1 && (digits.starts_with(run) || run.starts_with(digits));
        let hidden = tells.then(|| run.split_at_checked(open)).flatten();
        out.push_str(before);
        match hidden {
            Some((code, hidden)) => {
                out.push_str(code);
                out.extend(std::iter::repeat_n('x', hidden.len()));
            }
            None => out.push_str(run),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_code_is_left() {
        let number = |text: &str| Msisdn::parse(text, None).unwrap().msisdn;
        assert_eq!(number("+6591234567").veiled(), "+65xxxxxxxx");
        assert_eq!(number("+12025550123").veiled(), "+1xxxxxxxxxx");
        assert_eq!(number("+998931234567").shown(true), "+998xxxxxxxxx");
        assert_eq!(number("+998931234567").shown(false), "+998931234567");
        assert_eq!(number("+6591234567").masked_or(false), "+659123xxxx");
    }

    #[test]
    fn ranges_and_masks_in_a_text_are_hidden_too() {
        let said = "too many to +659123xxxx, range +65912, in 24h (65); 6591234567; +6681234567, 659 times";
        let shown = "too many to +65xxxxxxxx, range +65xxx, in 24h (65); 65xxxxxxxx; +6681234567, 659 times";
        assert_eq!(veil("6591234567", said), shown);
        // All that is kept of a number in a decision are its first digits.
        assert_eq!(veil("659123", "+6591234567 and +659123xxxx"), "+65xxxxxxxx and +65xxxxxxxx");
        assert_eq!(veil("6591234567", ""), "");
    }
}
