//! The settings of a described HTTP provider.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::body::Body;
use super::outcome::{MessageId, Rules};
use super::receipts::Callbacks;
use super::template::{Escape, Secrets, Template};
use crate::settings::{Reader, class_of};
use crate::{Outgoing, Secret, SettingsError, web};
use seawall_core::message::Channel;
use seawall_core::segments::Encoding;

const KEYS: [&str; 13] = [
    "url",
    "method",
    "headers",
    "body",
    "message_id",
    "errors",
    "receipts",
    "inbound",
    "secret",
    "secrets",
    "timeout_seconds",
    "allow_http",
    "channel",
];
const HEADERS_AT_MOST: usize = 50;

/// Checked settings; templates hold secrets only when they were resolved.
pub(super) struct Settings {
    pub(super) url: Template,
    /// The URL as it would be for an example, for the client.
    pub(super) example_url: Url,
    pub(super) method: Method,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Option<Body>,
    pub(super) message_id: Option<MessageId>,
    pub(super) rules: Rules,
    pub(super) callbacks: Callbacks,
    pub(super) timeout: Duration,
    pub(super) channel: Channel,
}

impl Settings {
    /// Reads settings. `resolve` looks secrets up; without it only their form is checked.
    pub(super) fn read(settings: &Value, resolve: bool) -> Result<Self, SettingsError> {
        let reader = Reader::root(settings, &KEYS)?;
        let secrets = Secrets::read(&reader, resolve)?;
        let url = Template::parse(reader.required_text("url")?, &secrets)
            .map_err(|problem| reader.error("url", problem))?;
        let example_url = check_url(&reader, &url)?;
        let methods = [("POST", Method::POST), ("GET", Method::GET), ("PUT", Method::PUT)];
        let names: Vec<(&str, usize)> =
            methods.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        let method = reader.choice("method", &names)?.and_then(|at| methods.get(at)).map(|(_, m)| m.clone());
        let method = method.unwrap_or(Method::POST);
        let headers = read_headers(&reader, &secrets)?;
        let body = Body::read(&reader, &headers, &secrets)?;
        if body.is_some() && method == Method::GET {
            return Err(reader.error("body", "cannot be sent with GET; put the placeholders into url"));
        }
        let addressed = body.as_ref().is_some_and(Body::has_content) || url.has_content();
        if !addressed {
            return Err(reader.error("body", "neither body nor url has {to}, {to_digits} or {text}"));
        }
        let channels = [("sms", Channel::Sms), ("call", Channel::Call)];
        Ok(Settings {
            url,
            example_url,
            method,
            headers,
            body,
            message_id: MessageId::read(&reader)?,
            rules: Rules::read(&reader)?,
            callbacks: Callbacks::read(&reader, resolve)?,
            timeout: reader.seconds("timeout_seconds", 0.05..=60.0, 10.0)?,
            channel: reader.choice("channel", &channels)?.unwrap_or(Channel::Sms),
        })
    }
}

pub(super) fn check_url(reader: &Reader<'_>, url: &Template) -> Result<Url, SettingsError> {
    let filled = url.fill(&example(), Escape::Percent);
    let parsed =
        Url::parse(&filled).map_err(|_| reader.error("url", "is not a URL such as https://host/path"))?;
    let allowed = reader.boolean("allow_http", false)?;
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if allowed || web::is_loopback(&parsed) => Ok(parsed),
        "http" => Err(reader.error("url", "must be https, or set allow_http to true to send codes in clear")),
        _ => Err(reader.error("url", "must be https")),
    }
}

pub(super) fn read_headers(
    reader: &Reader<'_>,
    secrets: &Secrets,
) -> Result<Vec<(HeaderName, Template)>, SettingsError> {
    let Some(value) = reader.value("headers") else {
        return Ok(Vec::new());
    };
    let headers = Reader::open(value, reader.path_of("headers"))?;
    if headers.entries().count() > HEADERS_AT_MOST {
        return Err(reader.error("headers", format!("must be at most {HEADERS_AT_MOST}")));
    }
    let one = |(name, value): (&String, &Value)| {
        let header: HeaderName = name.parse().map_err(|_| headers.error(name, "is not a header name"))?;
        let text = value
            .as_str()
            .ok_or_else(|| headers.error(name, format!("must be text, not {}", class_of(value))))?;
        let template = header_value(text, secrets).map_err(|problem| headers.error(name, problem))?;
        Ok((header, template))
    };
    headers.entries().map(one).collect()
}

/// A whole value may be a reference, and a template may embed them.
fn header_value(text: &str, secrets: &Secrets) -> Result<Template, String> {
    let reference = text.starts_with("env:") || text.starts_with("file:");
    let template = if reference {
        Template::parse(&format!("{{{text}}}"), secrets)?
    } else {
        Template::parse(text, secrets)?
    };
    if template.has_content() {
        return Err("cannot carry number, sender or text; only {id} and secrets".to_owned());
    }
    let filled = template.fill(&example(), Escape::None);
    HeaderValue::from_str(&filled).map_err(|_| "cannot be sent as a header".to_owned())?;
    Ok(template)
}

/// A message that needs all the escaping there is, to check templates with.
pub(super) fn example() -> Outgoing {
    Outgoing {
        id: "msg_example".to_owned(),
        to: Secret::new("+6591234567"),
        from: Some("A\"&<b".to_owned()),
        text: Secret::new("\"\\&<{}%\n"),
        steps: Vec::new(),
        encoding: Encoding::Ucs2,
        channel: Channel::Sms,
        voice: crate::Voice::default(),
        validity: None,
    }
}
