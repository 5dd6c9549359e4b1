//! Which text a code is sent in.

use seawall_core::message::Channel;

use super::read::{bounded, invalid};
use crate::app::Refusal;
use crate::app::entities::{Template, TemplateKind};

const LENGTH_AT_MOST: usize = 1600;

/// What the choice goes by.
pub struct Wanted<'a> {
    /// Text in the request.
    pub text: Option<String>,
    /// Name of a saved template in the request.
    pub key: Option<&'a str>,
    /// BCP 47.
    pub locale: Option<&'a str>,
    /// SMS or call.
    pub channel: Channel,
    /// Whose.
    pub subaccount: &'a str,
    /// Whether there is something to fill `{brand}` with.
    pub branded: bool,
}

/// The text given, or the saved one that is named, or the saved default, or ours.
pub fn choose(mut wanted: Wanted<'_>, saved: &[Template]) -> Result<String, Refusal> {
    match (wanted.text.take(), wanted.key) {
        (Some(_), Some(_)) => Err(invalid("template_key", "send `template` or `template_key`, not both")),
        (Some(text), None) => given(text),
        (None, key) => match (best(&wanted, saved, key), key) {
            (Some(template), _) => Ok(template.text.clone()),
            (None, Some(_)) => {
                let fix = "no saved template has this name for the subaccount, channel and language";
                Err(invalid("template_key", fix))
            }
            (None, None) if wanted.branded => Ok("{brand}: Your verification code is {code}".to_owned()),
            (None, None) => Ok("Your verification code is {code}".to_owned()),
        },
    }
}

fn given(text: String) -> Result<String, Refusal> {
    let text = bounded("template", Some(text), LENGTH_AT_MOST)?.unwrap_or_default();
    if text.contains("{code}") {
        Ok(text)
    } else {
        Err(invalid("template", "`template` has no place for `{code}`; add it"))
    }
}

/// The most specific one: of the subaccount before of all, of the language before of all, …
fn best<'a>(wanted: &Wanted<'_>, saved: &'a [Template], key: Option<&str>) -> Option<&'a Template> {
    let named = |t: &&Template| t.kind == TemplateKind::Code && key.map_or(t.default, |key| t.name == key);
    let spoken =
        |t: &Template| t.language.as_deref().is_none_or(|l| wanted.locale.is_some_and(|w| covers(l, w)));
    let fits = |t: &&Template| {
        t.subaccount_id.as_deref().is_none_or(|s| s == wanted.subaccount)
            && t.channel.is_none_or(|c| c == wanted.channel)
            && spoken(t)
    };
    let weight = |t: &&Template| {
        let length = t.language.as_deref().map_or(0, str::len);
        (t.subaccount_id.is_some(), length, t.channel.is_some())
    };
    saved.iter().filter(named).filter(fits).max_by_key(weight)
}

/// `en` covers `en-SG`.
fn covers(language: &str, locale: &str) -> bool {
    let same = |a: &str| a.eq_ignore_ascii_case(language);
    same(locale) || locale.split_once('-').is_some_and(|(primary, _)| same(primary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(name: &str, language: Option<&str>, default: bool) -> Template {
        let text = format!("{name} {} {{code}}", language.unwrap_or("any"));
        let mut value = serde_json::json!({"id": "tpl_1", "name": name, "text": text, "default": default,
            "created_at": "2026-01-01T00:00:00Z"});
        if let Some(language) = language {
            value["language"] = language.into();
        }
        serde_json::from_value(value).unwrap()
    }

    fn chosen(text: Option<&str>, key: Option<&str>, locale: Option<&str>) -> Result<String, &'static str> {
        let saved = [
            template("login", None, true),
            template("login", Some("de"), false),
            template("pay", None, false),
        ];
        let text = text.map(str::to_owned);
        let wanted =
            Wanted { text, key, locale, channel: Channel::Sms, subaccount: "acme_hq", branded: true };
        choose(wanted, &saved).map_err(|refusal| match refusal {
            Refusal::Invalid { field, .. } => field,
            _ => "another refusal",
        })
    }

    #[test]
    fn the_most_specific_text_is_chosen() {
        assert_eq!(chosen(Some("{code}!"), None, None).unwrap(), "{code}!");
        assert_eq!(chosen(None, Some("login"), Some("de-AT")).unwrap(), "login de {code}");
        assert_eq!(chosen(None, Some("login"), Some("en")).unwrap(), "login any {code}");
        assert_eq!(chosen(None, None, None).unwrap(), "login any {code}");
        assert_eq!(chosen(None, Some("nope"), None), Err("template_key"));
        assert_eq!(chosen(Some("no place"), None, None), Err("template"));
        assert_eq!(chosen(Some("{code}"), Some("login"), None), Err("template_key"));
    }

    #[test]
    fn ours_stands_in() {
        let wanted = |branded| Wanted {
            text: None,
            key: None,
            locale: None,
            channel: Channel::Sms,
            subaccount: "a",
            branded,
        };
        assert_eq!(choose(wanted(true), &[]).unwrap(), "{brand}: Your verification code is {code}");
        assert_eq!(choose(wanted(false), &[]).unwrap(), "Your verification code is {code}");
    }
}
