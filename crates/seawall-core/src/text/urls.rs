//! URLs in a text, as a phone would make them clickable: with a scheme, or a bare host that looks like one.

/// The longest host that DNS allows.
const MAX_HOST: usize = 253;
/// Top-level names after which phones make a bare name clickable; any other needs a scheme or a path.
const COMMON_TLDS: [&str; 40] = [
    "com", "net", "org", "info", "biz", "io", "co", "me", "app", "dev", "xyz", "top", "online", "site",
    "shop", "club", "link", "live", "click", "page", "ly", "gl", "cc", "tv", "ru", "cn", "de", "uk", "fr",
    "in", "br", "sg", "id", "us", "eu", "it", "es", "nl", "pl", "gg",
];

/// Hosts of all URLs in a text, in lower case, in order, each once.
pub fn hosts(text: &str) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || "<>\"'()[]{},;|“”‘’«»".contains(c)) {
        if let Some(host) = host(word)
            && !hosts.contains(&host)
        {
            hosts.push(host);
        }
    }
    hosts
}

/// The host of a word that is a URL.
fn host(word: &str) -> Option<String> {
    let word = word.trim_end_matches(['.', '!', '?', ':', '…']);
    let (schemed, rest) = match split_scheme(word) {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // What stands before an `@` is a user's name, a classic way to hide where a link leads. Without a scheme
    // it is a mail address.
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) if schemed => host,
        Some(_) => return None,
        None => authority,
    };
    let name = authority.split_once(':').map_or(authority, |(name, _)| name);
    let name = name.trim_end_matches('.').to_lowercase();
    let plausible = !name.is_empty() && name.len() <= MAX_HOST && (schemed || bare(&name, !path.is_empty()));
    plausible.then_some(name)
}

fn split_scheme(word: &str) -> Option<&str> {
    let (scheme, rest) = word.split_once("://")?;
    let known = ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    known.then_some(rest)
}

/// A bare name is a link when it has a dot, only letters of host names, and a common ending or a path.
fn bare(name: &str, has_path: bool) -> bool {
    let mut labels = name.split('.');
    let (Some(last), true) = (labels.next_back(), name.contains('.')) else { return false };
    let fine = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let lettered = last.chars().count() >= 2 && last.chars().all(char::is_alphabetic);
    name.split('.').all(fine)
        && lettered
        && (has_path || COMMON_TLDS.contains(&last) || name.starts_with("www."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_are_found_as_a_phone_finds_them() {
        let cases: [(&str, &[&str]); 12] = [
            ("Your code is 123456", &[]),
            ("See https://Acme.example/x?y=1.", &["acme.example"]),
            ("go to bit.ly/3xYz now", &["bit.ly"]),
            ("acme.com", &["acme.com"]),
            ("acme.com acme.com www.beta.zone", &["acme.com", "www.beta.zone"]),
            ("Meet at 10.30 or v1.2", &[]),
            ("mail me@acme.com", &[]),
            ("http://paypal.com@evil.example/login", &["evil.example"]),
            ("(https://a.example:8443/),<http://b.example>", &["a.example", "b.example"]),
            ("Ends here.Next sentence", &[]),
            ("пример.рф/вход", &["пример.рф"]),
            ("https://", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(hosts(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,300}") {
            for host in hosts(&text) {
                prop_assert!(!host.is_empty() && host.len() <= MAX_HOST);
            }
        }
    }
}
