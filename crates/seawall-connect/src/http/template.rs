//! Templates of a described provider: text with placeholders, filled in with the escaping of its place.

use serde_json::Value;

use crate::settings::{Reader, resolve, suggestion};
use crate::{Outgoing, SettingsError};

/// The placeholders of a message.
const NAMES: [&str; 5] = ["to", "to_digits", "from", "text", "id"];

/// How a value is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is.
    None,
    /// Inside a JSON string.
    Json,
    /// In a query or a form: everything but unreserved characters as `%XX`.
    Percent,
    /// In XML text or attribute.
    Xml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    To,
    ToDigits,
    From,
    Text,
    Id,
}

#[derive(Clone)]
enum Piece {
    Literal(String),
    Field(Field),
    /// A reference to a secret while checking, its value once built.
    Secret(String),
}

/// A parsed template.
#[derive(Clone)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Parses `{name}`, `{secret:name}`, `{env:NAME}` and `{file:PATH}`. Other braces are text.
    /// The error is for the setting that holds the template.
    pub(super) fn parse(text: &str, secrets: &Secrets) -> Result<Self, String> {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            let (before, from_brace) = rest.split_at(at);
            literal.push_str(before);
            match placeholder(from_brace) {
                Some((name, after)) => {
                    let piece = piece(name, secrets)?;
                    pieces.extend([Piece::Literal(std::mem::take(&mut literal)), piece]);
                    rest = after;
                }
                None => {
                    literal.push('{');
                    rest = from_brace.get(1..).unwrap_or_default();
                }
            }
        }
        literal.push_str(rest);
        pieces.push(Piece::Literal(literal));
        Ok(Template(pieces))
    }

    /// Whether the message's number, sender or text would be written.
    pub(super) fn has_content(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field(field) if *field != Field::Id))
    }

    /// Fills in a message.
    pub(super) fn fill(&self, message: &Outgoing, escape: Escape) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Secret(value) => push(&mut filled, value, escape),
                Piece::Field(field) => push(&mut filled, value_of(*field, message), escape),
            }
        }
        filled
    }
}

/// The name in `{name}` at the start of `text`, and what follows it.
pub(super) fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let reference = ["secret:", "env:", "file:"].iter().any(|prefix| name.starts_with(prefix));
    let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (reference || word).then_some((name, after))
}

fn piece(name: &str, secrets: &Secrets) -> Result<Piece, String> {
    if let Some(secret) = name.strip_prefix("secret:") {
        return secrets.get(secret).map(|value| Piece::Secret(value.to_owned()));
    }
    if name.contains(':') {
        return secrets.reference(name).map(Piece::Secret);
    }
    Ok(Piece::Field(match name {
        "to" => Field::To,
        "to_digits" => Field::ToDigits,
        "from" => Field::From,
        "text" => Field::Text,
        "id" => Field::Id,
        _ => {
            return Err(format!(
                "has the unknown placeholder {{{name}}}{}",
                suggestion(name, NAMES.into_iter())
            ));
        }
    }))
}

fn value_of(field: Field, message: &Outgoing) -> &str {
    let to = message.to.reveal();
    match field {
        Field::To => to,
        Field::ToDigits => to.trim_start_matches('+'),
        Field::From => message.from.as_deref().unwrap_or_default(),
        Field::Text => message.text.reveal(),
        Field::Id => &message.id,
    }
}

fn push(into: &mut String, value: &str, escape: Escape) {
    match escape {
        Escape::None => into.push_str(value),
        Escape::Json => {
            let quoted = Value::from(value).to_string();
            into.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        }
        Escape::Percent => value.bytes().for_each(|byte| push_percent(into, byte)),
        Escape::Xml => value.chars().for_each(|character| push_xml(into, character)),
    }
}

fn push_percent(into: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        into.push(char::from(byte));
    } else {
        into.push_str(&format!("%{byte:02X}"));
    }
}

fn push_xml(into: &mut String, character: char) {
    match character {
        '&' => into.push_str("&amp;"),
        '<' => into.push_str("&lt;"),
        '>' => into.push_str("&gt;"),
        '"' => into.push_str("&quot;"),
        '\'' => into.push_str("&apos;"),
        other => into.push(other),
    }
}

/// The `secrets` of a provider: names for `{secret:name}`.
pub(super) struct Secrets {
    named: Vec<(String, String)>,
    resolved: bool,
}

impl Secrets {
    /// Reads the `secrets` setting; `resolve_now` looks references up, otherwise only their form is checked.
    pub(super) fn read(reader: &Reader<'_>, resolve_now: bool) -> Result<Self, SettingsError> {
        let mut named = Vec::new();
        if let Some(value) = reader.value("secrets") {
            let secrets = Reader::open(value, reader.path_of("secrets"))?;
            for (name, _) in secrets.entries() {
                let reference = secrets.text(name)?.unwrap_or_default();
                let value = if resolve_now {
                    resolve(&secrets.path_of(name), reference)?.reveal().to_owned()
                } else {
                    reference.to_owned()
                };
                named.push((name.clone(), value));
            }
        }
        Ok(Secrets { named, resolved: resolve_now })
    }

    /// A secret setting's value, or while checking its reference.
    pub(super) fn reference(&self, reference: &str) -> Result<String, String> {
        if !self.resolved {
            return Ok(reference.to_owned());
        }
        crate::Secret::resolve(reference).map(|secret| secret.reveal().to_owned())
    }

    fn get(&self, name: &str) -> Result<&str, String> {
        let found = self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.ok_or_else(|| {
            let hint = suggestion(name, self.named.iter().map(|(known, _)| known.as_str()));
            format!("uses {{secret:{name}}}, which is not under secrets{hint}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use proptest::prelude::*;
    use serde_json::json;

    fn secrets() -> Secrets {
        Secrets::read(&Reader::root(&json!({"secrets": {"key": "s&k"}}), &["secrets"]).unwrap(), true)
            .unwrap()
    }

    fn fill(template: &str, escape: Escape, text: &str) -> String {
        Template::parse(template, &secrets()).unwrap().fill(&message(text), escape)
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        let template = "{to_digits}|{from}|{text}|{secret:key}|{not a name}|{";
        for (escape, expected) in [
            (Escape::None, "6591234567|Seawall|a\"b&<é|s&k|{not a name}|{"),
            (Escape::Json, "6591234567|Seawall|a\\\"b&<é|s&k|{not a name}|{"),
            (Escape::Percent, "6591234567|Seawall|a%22b%26%3C%C3%A9|s%26k|{not a name}|{"),
            (Escape::Xml, "6591234567|Seawall|a&quot;b&amp;&lt;é|s&amp;k|{not a name}|{"),
        ] {
            assert_eq!(fill(template, escape, "a\"b&<é"), expected);
        }
        assert_eq!(fill("{to}", Escape::Percent, ""), "%2B6591234567");
    }

    #[test]
    fn a_text_that_looks_like_a_placeholder_is_only_text() {
        assert_eq!(fill("{text}", Escape::None, "{to} {secret:key}"), "{to} {secret:key}");
    }

    #[test]
    fn unknown_placeholders_and_secrets_are_named() {
        let error = |template| Template::parse(template, &secrets()).err().unwrap();
        assert!(error("{txet}").contains("did you mean \"text\"?"));
        assert!(error("{secret:kee}").contains("did you mean \"key\"?"));
        assert!(error("{env:SEAWALL_SURELY_NOT_SET}").contains("SEAWALL_SURELY_NOT_SET"));
    }

    proptest! {
        #[test]
        fn json_stays_json_with_any_text(text in "\\PC{0,40}|[\u{0}-\u{7f}]{0,40}") {
            let filled = fill("{\"t\": \"{text}\"}", Escape::Json, &text);
            let value: Value = serde_json::from_str(&filled).unwrap();
            prop_assert_eq!(value["t"].as_str().unwrap(), text);
        }

        #[test]
        fn any_template_is_survived(template in "\\PC{0,60}") {
            let _ = Template::parse(&template, &secrets());
        }
    }
}
