//! The words of a text as small keyed hashes: enough to tell whether a sender writes as it always does, too
//! little to get the text back.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Hashes have so many values, so that many words share each.
pub const VALUES: u16 = 4096;
/// Words looked at.
const MOST: usize = 32;

/// Up to 32 words of a text, each once and in any case: letters only, so that codes, amounts, dates and the
/// paths of links are left out.
pub fn hashes(text: &str) -> Vec<u16> {
    let mut all: Vec<u16> = Vec::new();
    let plain = |word: &&str| !word.contains("://") && !word.contains(|c: char| c.is_numeric());
    let words = text.split_whitespace().filter(plain).flat_map(|w| w.split(|c: char| !c.is_alphabetic()));
    for word in words.filter(|word| word.chars().nth(1).is_some()) {
        let hash = hash(word);
        if !all.contains(&hash) {
            all.push(hash);
        }
        if all.len() == MOST {
            break;
        }
    }
    all
}

fn hash(word: &str) -> u16 {
    let mut hasher = SipHasher13::new_with_keys(0x5ea0_a11d_3021_d500, 0x12);
    word.chars().flat_map(char::to_lowercase).for_each(|c| hasher.write_u32(u32::from(c)));
    u16::try_from(hasher.finish() % u64::from(VALUES)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_template_have_the_same_words() {
        let one = hashes("Acme: order 771204 is on its way. Track it: https://acme.example/t/bc494");
        let other = hashes("ACME: order 5 is on its way. Track it: https://acme.example/t/9");
        assert_eq!(one, other);
        assert_eq!(one.len(), 8, "acme order is on its way track it, each once: {one:?}");
    }

    #[test]
    fn another_text_has_other_words() {
        let usual = hashes("Acme: your order was delivered. Thank you!");
        let bait = hashes("You were chosen! Claim your prize before midnight");
        let shared = bait.iter().filter(|word| usual.contains(word)).count();
        assert!(shared <= 2 && bait.len() == 8, "{shared} of {}", bait.len());
        assert!(hashes(&"a1 b2 3.50 ".repeat(50)).is_empty());
        assert!(hashes(&"ab cd ef gh ".repeat(5_000)).len() <= MOST);
    }
}
