//! Registered texts, of codes and of notifications.

use seawall_core::id::IdKind;
use seawall_core::message::Channel;
use seawall_core::text::template;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{Template, TemplateKind, collection};
use super::around::Around;
use super::shapes::{ChannelShape, TemplateKindShape};
use super::subaccounts::{label, short};
use super::{Collection, Wrong};

/// Characters of a text: ten segments of GSM 7-bit hold 1530.
const LONGEST: usize = 1530;

/// A template as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateInput {
    /// The key that requests name; the same for all languages of one text.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// For one subaccount; absent: for all.
    pub subaccount_id: Option<String>,
    /// For one channel; absent: for both.
    #[schema(value_type = Option<ChannelShape>)]
    pub channel: Option<Channel>,
    /// For one language (BCP 47, such as `de` or `pt-BR`); absent: for all others.
    #[schema(pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    pub language: Option<String>,
    /// `code` (the default) or `notification`.
    #[schema(value_type = Option<TemplateKindShape>)]
    pub kind: Option<TemplateKind>,
    /// For codes: with `{code}` and, if you like, `{brand}` and `{not_me}`. For notifications: with placeholders of your own,
    /// each filled by 1 to 120 characters without a link, unless its name begins with `url`.
    #[schema(min_length = 1, max_length = 1530, example = "{code} is your {brand} code.")]
    pub text: String,
    /// Used when a request names none; false when absent.
    pub default: Option<bool>,
}

/// A template as it is shown.
#[derive(Serialize, ToSchema)]
pub struct TemplateView {
    /// `tpl_…`
    pub id: String,
    /// The key that requests name.
    pub name: String,
    /// For one subaccount; `null`: for all.
    pub subaccount_id: Option<String>,
    /// For one channel; `null`: for both.
    #[schema(value_type = Option<ChannelShape>)]
    pub channel: Option<Channel>,
    /// For one language; `null`: for all others.
    pub language: Option<String>,
    /// `code` or `notification`.
    #[schema(value_type = TemplateKindShape)]
    pub kind: TemplateKind,
    /// With its placeholders.
    pub text: String,
    /// Used when a request names none.
    pub default: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Templates;

fn check_text(kind: TemplateKind, text: &str) -> Result<(), Wrong> {
    if text.chars().count() > LONGEST {
        return Err(Wrong::field("text", format!("is longer than {LONGEST} characters")));
    }
    if kind == TemplateKind::Notification {
        let problem = "needs placeholders such as {order}, 1 to 32 letters, digits and `_`, with some text between two of them";
        return if template::well_formed(text) && !text.trim().is_empty() {
            Ok(())
        } else {
            Err(Wrong::field("text", problem))
        };
    }
    if !text.contains("{code}") {
        return Err(Wrong::field("text", "has no {code}; write where the code goes"));
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(Wrong::field(
                "text",
                "has a `{` without its `}`; there are {code}, {brand} and {not_me}",
            ));
        };
        if !["code", "brand", "not_me"].contains(&name) {
            return Err(Wrong::field(
                "text",
                format!("knows no {{{}}}; there are {{code}}, {{brand}} and {{not_me}}", short(name)),
            ));
        }
        rest = behind;
    }
    Ok(())
}

fn check_language(language: Option<&str>) -> Result<(), Wrong> {
    let Some(language) = language else { return Ok(()) };
    let mut parts = language.split('-');
    let first = parts
        .next()
        .is_some_and(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    let others = parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    if first && others && language.len() <= 35 {
        return Ok(());
    }
    Err(Wrong::field("language", format!("`{}` is not a tag such as \"de\" or \"pt-BR\"", short(language))))
}

fn build(id: String, at: Timestamp, input: TemplateInput, around: &Around) -> Result<Template, Wrong> {
    label("name", Some(&input.name))?;
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    check_language(input.language.as_deref())?;
    let kind = input.kind.unwrap_or_default();
    check_text(kind, &input.text)?;
    if kind == TemplateKind::Notification && input.default == Some(true) {
        return Err(Wrong::field("default", "belongs to templates of codes; leave it out"));
    }
    Ok(Template {
        id,
        name: input.name,
        subaccount_id: input.subaccount_id,
        channel: input.channel,
        language: input.language,
        kind,
        text: input.text,
        default: input.default.unwrap_or_default(),
        created_at: at,
    })
}

impl Collection for Templates {
    const NAME: &'static str = collection::TEMPLATES;
    type Input = TemplateInput;
    type Entity = Template;
    type View = TemplateView;

    fn make(app: &App, input: TemplateInput, around: &Around) -> Result<(Template, Option<String>), Wrong> {
        let id = app.ids.next(around.now)?.show(IdKind::Template);
        Ok((build(id, around.now, input, around)?, None))
    }

    fn input(entity: &Template) -> TemplateInput {
        TemplateInput {
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            channel: entity.channel,
            language: entity.language.clone(),
            kind: Some(entity.kind),
            text: entity.text.clone(),
            default: Some(entity.default),
        }
    }

    fn change(_app: &App, entity: &mut Template, input: TemplateInput, around: &Around) -> Result<(), Wrong> {
        *entity = build(entity.id.clone(), entity.created_at, input, around)?;
        Ok(())
    }

    fn view(entity: &Template, _around: &Around, _once: Option<String>) -> TemplateView {
        TemplateView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            channel: entity.channel,
            language: entity.language.clone(),
            kind: entity.kind,
            text: entity.text.clone(),
            default: entity.default,
            created_at: entity.created_at,
        }
    }

    fn id(entity: &Template) -> String {
        entity.id.clone()
    }

    /// The name alone, or with what the text is for: one text for each.
    fn unique(entity: &Template) -> Option<String> {
        let parts = [
            entity.subaccount_id.as_deref(),
            entity.channel.map(Channel::as_str),
            entity.language.as_deref(),
        ];
        if parts.iter().all(Option::is_none) {
            return Some(entity.name.clone());
        }
        let parts: Vec<&str> = parts.into_iter().map(|part| part.unwrap_or("*")).collect();
        Some(format!("{} ({})", entity.name, parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_code_and_nothing_unknown() {
        assert!(check_text(TemplateKind::Code, "{code} is your {brand} code").is_ok());
        for text in ["your code", "{code} {name}", "{code", "{code} {"] {
            assert!(check_text(TemplateKind::Code, text).is_err(), "{text}");
        }
        assert!(check_text(TemplateKind::Notification, "Order {number} ships.").is_ok());
        for text in ["", " ", "{a}{b}", "{no name}", "{open"] {
            assert!(check_text(TemplateKind::Notification, text).is_err(), "{text}");
        }
    }

    #[test]
    fn languages_are_tags() {
        assert!(check_language(Some("pt-BR")).is_ok() && check_language(None).is_ok());
        for tag in ["", "d", "de_DE", "de-", "german-language-tag-that-goes-on-and-on-for-ever"] {
            assert!(check_language(Some(tag)).is_err(), "{tag}");
        }
    }
}
