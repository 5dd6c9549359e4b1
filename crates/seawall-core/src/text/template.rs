//! Whether a text follows a registered template such as `Your {brand} order {number} ships {day}.`

use super::urls;

/// The longest value of a placeholder.
const MAX_VALUE: usize = 120;

/// Whether `text` is `template` with every `{placeholder}` filled by 1 to 120 characters of one line. A
/// placeholder takes no URL unless its name begins with `url`: else a template would not keep links out.
pub fn follows(text: &str, template: &str) -> bool {
    let Some((head, parts)) = split(template) else { return false };
    let Some(rest) = text.strip_prefix(head) else { return false };
    if parts.is_empty() { rest.is_empty() } else { fill(rest, &parts) }
}

/// Whether a template can be registered: every `{` has its `}`, every placeholder a name, and between two of
/// them stands some text, or nobody could tell where the first one ends.
pub fn well_formed(template: &str) -> bool {
    let Some((_, parts)) = split(template) else { return false };
    let named = |name: &str| {
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let apart = parts.iter().rev().skip(1).all(|(_, literal)| !literal.is_empty());
    apart && parts.iter().all(|(name, literal)| named(name) && !literal.contains('}'))
}

/// The literal before the first placeholder, then each placeholder's name with the literal behind it.
fn split(template: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let mut pieces = template.split('{');
    let head = pieces.next()?;
    let parts: Option<Vec<_>> = pieces.map(|piece| piece.split_once('}')).collect();
    Some((head, parts?))
}

/// Follows all ways at once: from every place that can be reached so far, each value that ends before the
/// next literal leads to another. Work grows with the text, not with the number of ways.
fn fill(text: &str, parts: &[(&str, &str)]) -> bool {
    let mut reached = vec![0];
    for (at, (name, literal)) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        let mut next: Vec<usize> = Vec::new();
        for start in reached {
            ends(text, start, literal, last).filter(|end| value_fits(text, start, *end, name)).for_each(
                |end| {
                    let after = end + literal.len();
                    if !next.contains(&after) {
                        next.push(after);
                    }
                },
            );
        }
        reached = next;
    }
    reached.contains(&text.len())
}

/// Where a value that begins at `start` may end: before the literal, and for the last one at the text's end.
fn ends<'a>(text: &'a str, start: usize, literal: &'a str, last: bool) -> impl Iterator<Item = usize> + 'a {
    let rest = text.get(start..).unwrap_or_default();
    let places = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).take(MAX_VALUE + 1).skip(1);
    places.map(move |at| start + at).filter(move |end| {
        text.get(*end..).is_some_and(|rest| if last { rest == literal } else { rest.starts_with(literal) })
    })
}

fn value_fits(text: &str, start: usize, end: usize, name: &str) -> bool {
    text.get(start..end).is_some_and(|value| fits(name, value))
}

fn fits(name: &str, value: &str) -> bool {
    let length = value.chars().count();
    (1..=MAX_VALUE).contains(&length)
        && !value.chars().any(char::is_control)
        && (name.starts_with("url") || urls::hosts(value).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_follows_its_template_or_not() {
        let order = "Your {brand} order {number} ships {day}.";
        assert!(follows("Your Acme order 17 ships on Monday.", order));
        assert!(!follows("Your Acme order 17 ships on Monday. Call now!", order));
        assert!(!follows("Your Acme order  ships .", order));
        assert!(!follows("Your Acme order 17 ships evil.com/x.", order), "a link in a placeholder");
        assert!(follows("See acme.com/x", "See {url}"));
        assert!(!follows("See two\nlines", "See {what}"));
        assert!(follows("fixed", "fixed") && !follows("fixed!", "fixed"));
        assert!(follows("aXbXc", "{a}X{b}X{c}") && follows("aXXbXc", "{a}X{b}"));
        assert!(!follows(&format!("See {}", "x".repeat(121)), "See {what}"));
        assert!(!follows("anything", "broken {"));
    }

    #[test]
    fn a_hostile_text_costs_little() {
        let template = "{a} {b} {c} {d}!";
        assert!(!follows(&"x ".repeat(60), template));
    }
}
