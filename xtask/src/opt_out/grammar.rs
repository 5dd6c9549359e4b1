//! Patterns of phrases, spelled out.

use super::train::Example;

/// Phrases that one pattern gives at most.
const MOST: usize = 120;

/// All examples of the file; those of one pattern weigh together as much as a dozen, however many they are; one that stands alone weighs as three.
pub fn examples(text: &str) -> Result<Vec<Example>, String> {
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        let (Some(_), Some(label), Some(pattern)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("training.txt: `{line}` has not three parts"));
        };
        let spelled = spell(pattern)?;
        let weight = (12.0 / spelled.len() as f32).min(3.0);
        all.extend(spelled.into_iter().map(|text| Example { text, stop: label == "+", weight }));
    }
    Ok(all)
}

/// A pattern spelled out, spread evenly over all that it could be.
fn spell(pattern: &str) -> Result<Vec<String>, String> {
    let mut parts: Vec<Vec<&str>> = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('(') {
        let (choices, behind) = after.split_once(')').ok_or_else(|| format!("`{pattern}`: ( without )"))?;
        parts.push(vec![before]);
        parts.push(choices.split('|').collect());
        rest = behind;
    }
    if parts.is_empty() && rest.contains('|') {
        return Err(format!("`{pattern}`: | without ("));
    }
    parts.push(vec![rest]);
    let total: u64 = parts.iter().map(|choices| choices.len() as u64).product();
    let take = total.min(MOST as u64);
    let mut texts: Vec<String> = (0..take).map(|n| nth(&parts, scattered(n, take, total))).collect();
    texts.dedup();
    Ok(texts)
}

/// The n-th of `take` places spread over `total`, none of them twice.
fn scattered(n: u64, take: u64, total: u64) -> u64 {
    if take == total { n } else { (n * total / take + n * 7919 % (total / take)).min(total - 1) }
}

fn nth(parts: &[Vec<&str>], mut n: u64) -> String {
    let mut text = String::new();
    for choices in parts {
        let count = choices.len() as u64;
        let choice = usize::try_from(n % count).unwrap_or(0);
        text.push_str(choices.get(choice).copied().unwrap_or_default());
        n /= count;
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_spelled_out() {
        assert_eq!(spell("(a|b) c(d|)").unwrap(), ["a cd", "b cd", "a c", "b c"]);
        assert!(spell("(a").is_err());
        let many = spell("(a|b|c|d|e|f) (a|b|c|d|e|f) (a|b|c|d|e|f) (a|b|c|d|e|f)").unwrap();
        assert_eq!(many.len(), MOST);
    }
}
