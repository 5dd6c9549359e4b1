//! The nearest known name to one that is unknown.

/// The known name that was most probably meant, if any is near.
pub(crate) fn nearest(unknown: &str, known: impl Iterator<Item = String>) -> Option<String> {
    // A very long name is nobody's misspelling, and the distance is quadratic.
    if unknown.len() > 60 {
        return None;
    }
    let tolerated = (unknown.chars().count() / 3).clamp(1, 6);
    let near = known.map(|name| (distance(unknown, &name), name)).filter(|(far, _)| *far <= tolerated);
    near.min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// Levenshtein's distance: how many characters to change, add or leave out.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let (mut diagonal, mut before) = (i, i + 1);
        for (place, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(left != right);
            diagonal = *place;
            before = changed.min(before + 1).min(*place + 1);
            *place = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_are_found_and_strangers_are_not() {
        let known = || ["number.country", "number.continent", "client.asn"].map(str::to_owned).into_iter();
        assert_eq!(nearest("number.contry", known()).as_deref(), Some("number.country"));
        assert_eq!(nearest("client.as", known()).as_deref(), Some("client.asn"));
        assert_eq!(nearest("banana", known()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
