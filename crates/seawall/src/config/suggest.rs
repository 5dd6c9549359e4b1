//! The nearest known key to one that is unknown.

use super::keys::KEYS;

/// The known key that was most probably meant.
pub(super) fn nearest(unknown: &str) -> &'static str {
    let near = |name: &str| {
        let alone = |text: &str| text.rsplit('.').next().unwrap_or_default().to_owned();
        // The right key in the wrong section is nearer than it looks.
        distance(unknown, name).min(distance(&alone(unknown), &alone(name)).saturating_add(1))
    };
    KEYS.iter().map(|key| key.name).min_by_key(|name| near(name)).unwrap_or("server.listen")
}

/// Levenshtein's distance: how many characters to change, add or leave out.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i.saturating_add(1);
        for (place, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal.saturating_add(usize::from(left != right));
            diagonal = *place;
            before = changed.min(before.saturating_add(1)).min(place.saturating_add(1));
            *place = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, want) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn misspelt_and_misplaced_keys_are_found() {
        assert_eq!(nearest("server.lisen"), "server.listen");
        assert_eq!(nearest("server.max_connections"), "limits.max_connections");
        assert_eq!(nearest("trusted_proxy"), "server.trusted_proxies");
        assert_eq!(nearest("verification.ttl_default"), "verification.default_ttl");
    }
}
