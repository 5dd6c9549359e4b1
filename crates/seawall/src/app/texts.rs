//! What a text looks like from outside, and the registered template that it follows. Texts are looked at
//! here, on their way through; decisions keep only these traits.

use seawall_core::policy::TextPolicy;
use seawall_core::request::MessageTraits;
use seawall_core::segments::EncodingChoice;
use seawall_core::text::{gsm, look_alike, template, urls, words};

use super::entities::{Template, TemplateKind};
use super::snapshot::Snapshot;

/// The traits of a text that a caller sends.
pub fn of_message(snapshot: &Snapshot, subaccount: &str, text: &str, source: Option<&str>) -> MessageTraits {
    let mut followed = registered(snapshot, subaccount, TemplateKind::Notification);
    let followed = followed.find(|t| template::follows(text, &t.text));
    MessageTraits { words: words::hashes(text), ..traits(text, source, followed) }
}

/// The traits of a code's text. Its template is registered when it is one of the saved ones, word for word.
pub fn of_code(snapshot: &Snapshot, subaccount: &str, text: &str, source: Option<&str>) -> MessageTraits {
    let mut saved = registered(snapshot, subaccount, TemplateKind::Code);
    traits(text, source, saved.find(|t| t.text == text))
}

fn registered<'a>(
    snapshot: &'a Snapshot,
    subaccount: &'a str,
    kind: TemplateKind,
) -> impl Iterator<Item = &'a Template> {
    let own =
        move |t: &&Template| t.kind == kind && t.subaccount_id.as_deref().is_none_or(|s| s == subaccount);
    snapshot.templates.iter().filter(own)
}

fn traits(text: &str, source: Option<&str>, followed: Option<&Template>) -> MessageTraits {
    // Most texts have neither: a glance tells.
    let plain = text.is_ascii();
    MessageTraits {
        source: source.map(str::to_owned),
        template: followed.map(|t| t.name.clone()),
        url_hosts: if plain && !text.contains(['.', ':']) { Vec::new() } else { urls::hosts(text) },
        words: Vec::new(),
        unicode: !plain,
        look_alike: if plain { None } else { look_alike::find(text).map(look_alike::LookAlike::describe) },
    }
}

/// The text as a subaccount wants it sent: without typographic characters that cost segments, unless the
/// caller asked for UCS-2.
pub fn as_sent(wanted: &TextPolicy, choice: EncodingChoice, text: String) -> String {
    if !wanted.transliterate || choice == EncodingChoice::Ucs2 || text.is_ascii() {
        return text;
    }
    gsm::transliterate(&text).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot() -> Snapshot {
        let template = |kind: &str, name: &str, text: &str| {
            let body = json!({"id": "tpl_1", "name": name, "kind": kind, "text": text, "subaccount_id": "shop",
                "created_at": "2026-01-01T00:00:00Z"});
            serde_json::from_value(body).unwrap()
        };
        let templates = vec![
            template("notification", "ships", "Order {number} ships."),
            template("code", "login", "{code} is your code"),
        ];
        Snapshot { templates, ..Snapshot::default() }
    }

    #[test]
    fn templates_belong_to_their_kind_and_subaccount() {
        let snapshot = snapshot();
        let message = |sub: &str, text: &str| of_message(&snapshot, sub, text, None).template;
        assert_eq!(message("shop", "Order 17 ships.").as_deref(), Some("ships"));
        assert_eq!(message("other", "Order 17 ships."), None);
        assert_eq!(message("shop", "{code} is your code"), None);
        let code = |text: &str| of_code(&snapshot, "shop", text, None).template;
        assert_eq!(code("{code} is your code").as_deref(), Some("login"));
        assert_eq!(code("{code} is YOUR code"), None);
    }

    #[test]
    fn a_text_is_looked_at_whatever_its_script() {
        let traits = of_message(&snapshot(), "shop", "Pаypal: bit.ly/x", Some("Shop"));
        assert_eq!(traits.url_hosts, ["bit.ly"]);
        assert!(traits.look_alike.is_some() && traits.unicode);
        assert_eq!(traits.source.as_deref(), Some("Shop"));
    }
}
