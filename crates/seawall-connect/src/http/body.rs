//! The body of a described request: a JSON value, or text of any type.

use reqwest::header::{CONTENT_TYPE, HeaderName};
use serde_json::Value;

use super::settings::example;
use super::template::{Escape, Secrets, Template, placeholder};
use crate::settings::{Reader, class_of};
use crate::{Outgoing, SettingsError};

const DEPTH_AT_MOST: usize = 32;

/// A body with placeholders, and its content type where `headers` does not set one.
pub(super) struct Body {
    content: Content,
    pub(super) content_type: Option<&'static str>,
}

enum Content {
    Text(Template, Escape),
    Json(Node),
}

/// A JSON value whose texts are templates.
enum Node {
    Text(Template),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    Plain(Value),
}

impl Body {
    pub(super) fn read(
        reader: &Reader<'_>,
        headers: &[(HeaderName, Template)],
        secrets: &Secrets,
    ) -> Result<Option<Self>, SettingsError> {
        let Some(value) = reader.value("body") else {
            return Ok(None);
        };
        let error = |problem: String| reader.error("body", problem);
        let given = headers.iter().find(|(name, _)| *name == CONTENT_TYPE);
        let given = given.map(|(_, template)| template.fill(&example(), Escape::None).to_ascii_lowercase());
        let body = match value {
            Value::String(text) => of_text(text, given.as_deref(), secrets).map_err(error)?,
            Value::Object(_) | Value::Array(_) => {
                let content = Content::Json(Node::read(value, secrets, 0).map_err(error)?);
                Body { content, content_type: given.is_none().then_some("application/json") }
            }
            other => {
                return Err(error(format!("must be text, an object or a list, not {}", class_of(other))));
            }
        };
        Ok(Some(body))
    }

    pub(super) fn has_content(&self) -> bool {
        match &self.content {
            Content::Text(template, _) => template.has_content(),
            Content::Json(node) => node.has_content(),
        }
    }

    pub(super) fn fill(&self, message: &Outgoing) -> Vec<u8> {
        match &self.content {
            Content::Text(template, escape) => template.fill(message, *escape).into_bytes(),
            Content::Json(node) => node.fill(message).to_string().into_bytes(),
        }
    }
}

fn of_text(text: &str, given: Option<&str>, secrets: &Secrets) -> Result<Body, String> {
    let start = text.trim_start();
    let looks_like_json = start.starts_with(['{', '[']) && placeholder(start).is_none();
    let content_type = match (given, looks_like_json) {
        (Some(_), _) => None,
        (None, true) => Some("application/json"),
        (None, false) => Some("application/x-www-form-urlencoded"),
    };
    let escape = escape_for(content_type.or(given).unwrap_or_default());
    let template = Template::parse(text, secrets)?;
    let filled = template.fill(&example(), escape);
    if escape == Escape::Json && serde_json::from_str::<Value>(&filled).is_err() {
        return Err("is not JSON once filled in; placeholders belong inside quotes".to_owned());
    }
    Ok(Body { content: Content::Text(template, escape), content_type })
}

fn escape_for(content_type: &str) -> Escape {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.ends_with("json") {
        Escape::Json
    } else if kind.ends_with("xml") {
        Escape::Xml
    } else if kind == "application/x-www-form-urlencoded" {
        Escape::Percent
    } else {
        Escape::None
    }
}

impl Node {
    fn read(value: &Value, secrets: &Secrets, depth: usize) -> Result<Self, String> {
        if depth > DEPTH_AT_MOST {
            return Err(format!("is nested deeper than {DEPTH_AT_MOST}"));
        }
        Ok(match value {
            Value::String(text) => Node::Text(Template::parse(text, secrets)?),
            Value::Array(items) => Node::List(
                items.iter().map(|item| Node::read(item, secrets, depth + 1)).collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => Node::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), Node::read(item, secrets, depth + 1)?)))
                    .collect::<Result<_, String>>()?,
            ),
            plain => Node::Plain(plain.clone()),
        })
    }

    fn has_content(&self) -> bool {
        match self {
            Node::Text(template) => template.has_content(),
            Node::List(items) => items.iter().any(Node::has_content),
            Node::Object(entries) => entries.iter().any(|(_, item)| item.has_content()),
            Node::Plain(_) => false,
        }
    }

    fn fill(&self, message: &Outgoing) -> Value {
        match self {
            Node::Text(template) => Value::String(template.fill(message, Escape::None)),
            Node::List(items) => items.iter().map(|item| item.fill(message)).collect(),
            Node::Object(entries) => {
                entries.iter().map(|(key, item)| (key.clone(), item.fill(message))).collect()
            }
            Node::Plain(value) => value.clone(),
        }
    }
}
