//! A described lookup provider (HLR, MNP): how it is asked and where in its JSON answer each fact stands are
//! settings, not code. Its deadline is `timeout_seconds`; nothing is asked twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use seawall_core::message::Channel;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use serde_json::Value;

use super::body::Body;
use super::settings::{check_url, read_headers};
use super::template::{Escape, Secrets, Template};
use crate::lookup::{Asked, Depth, Looked, LookupFailure, Network, NumberState};
use crate::settings::{Reader, class_of, pick};
use crate::{Connector, ErrorClass, Health, Outgoing, Secret, SettingsError, Submission, Voice, web};

const KEYS: [&str; 11] = [
    "url",
    "method",
    "headers",
    "body",
    "secrets",
    "timeout_seconds",
    "allow_http",
    "facts",
    "errors",
    "depth",
    "cost_micros",
];

/// Where facts may stand, by the name of the setting.
const FACTS: [&str; 17] = [
    "ported",
    "roaming",
    "reachable",
    "call_forwarding",
    "sim_swapped_at",
    "reassigned_at",
    "operator",
    "mcc",
    "mnc",
    "country",
    "original_operator",
    "original_mcc",
    "original_mnc",
    "roaming_operator",
    "roaming_mcc",
    "roaming_mnc",
    "roaming_country",
];

const WORDS: [(&str, bool); 12] = [
    ("true", true),
    ("yes", true),
    ("1", true),
    ("on", true),
    ("ported", true),
    ("roaming", true),
    ("reachable", true),
    ("false", false),
    ("no", false),
    ("0", false),
    ("off", false),
    ("absent", false),
];

struct Settings {
    url: Template,
    example_url: Url,
    method: Method,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Body>,
    timeout: Duration,
    depth: Depth,
    cost: i64,
    /// JSON pointers by fact.
    facts: BTreeMap<String, String>,
    /// A pointer, and what its values mean.
    errors: Option<(String, BTreeMap<String, LookupFailure>)>,
}

pub(crate) fn check(settings: &Value) -> Result<(), SettingsError> {
    Settings::read(settings, false).map(|_| ())
}

pub(crate) fn build(settings: &Value) -> Result<Arc<dyn Connector>, SettingsError> {
    let settings = Settings::read(settings, true)?;
    let client = web::client(&settings.example_url, settings.timeout)
        .map_err(|problem| SettingsError { key: "url".to_owned(), problem })?;
    Ok(Arc::new(HttpLookup { settings, client }))
}

impl Settings {
    fn read(settings: &Value, resolve: bool) -> Result<Self, SettingsError> {
        let reader = Reader::root(settings, &KEYS)?;
        let secrets = Secrets::read(&reader, resolve)?;
        let url = Template::parse(reader.required_text("url")?, &secrets)
            .map_err(|problem| reader.error("url", problem))?;
        let example_url = check_url(&reader, &url)?;
        let post = reader.choice("method", &[("GET", false), ("POST", true)])?.unwrap_or(false);
        let headers = read_headers(&reader, &secrets)?;
        let body = Body::read(&reader, &headers, &secrets)?;
        if body.is_some() && !post {
            return Err(
                reader.error("body", "cannot be sent with GET; put {to} into url, or set method to POST")
            );
        }
        if !url.has_content() && !body.as_ref().is_some_and(Body::has_content) {
            return Err(reader.error("url", "nor body has {to} or {to_digits}"));
        }
        let depths = [("operator", Depth::Operator), ("live", Depth::Live)];
        Ok(Settings {
            url,
            example_url,
            method: if post { Method::POST } else { Method::GET },
            headers,
            body,
            timeout: reader.seconds("timeout_seconds", 0.05..=30.0, 3.0)?,
            depth: reader.choice("depth", &depths)?.unwrap_or(Depth::Live),
            cost: reader.integer("cost_micros", 0..=1_000_000_000)?.unwrap_or(0).cast_signed(),
            facts: facts(&reader)?,
            errors: errors(&reader)?,
        })
    }
}

/// `{"ported": "/mnp/ported", …}`
fn facts(reader: &Reader<'_>) -> Result<BTreeMap<String, String>, SettingsError> {
    let Some(value) = reader.value("facts") else {
        return Err(reader.error(
            "facts",
            "is required: where in the answer each fact stands, such as {\"ported\": \"/ported\"}",
        ));
    };
    let facts = Reader::new(value, reader.path_of("facts"), &FACTS)?;
    facts.entries().map(|(name, at)| Ok((name.clone(), pointer(&facts, name, at)?))).collect()
}

/// Where an answer names its failure, and what each name means.
type Failures = (String, BTreeMap<String, LookupFailure>);

/// `{"pointer": "/status", "values": {"5": "sim-offline"}}`
fn errors(reader: &Reader<'_>) -> Result<Option<Failures>, SettingsError> {
    let Some(value) = reader.value("errors") else { return Ok(None) };
    let errors = Reader::new(value, reader.path_of("errors"), &["pointer", "values"])?;
    let at = errors.value("pointer").ok_or_else(|| errors.error("pointer", "is required"))?;
    let at = pointer(&errors, "pointer", at)?;
    let values = errors.value("values").ok_or_else(|| errors.error("values", "is required"))?;
    let values = Reader::open(values, errors.path_of("values"))?;
    let one = |(seen, word): (&String, &Value)| {
        let word = word.as_str().ok_or_else(|| values.error(seen, "must be text"))?;
        let failure = pick(word, LookupFailure::ALL).map_err(|problem| values.error(seen, problem))?;
        Ok((seen.clone(), failure))
    };
    Ok(Some((at, values.entries().map(one).collect::<Result<_, _>>()?)))
}

fn pointer(reader: &Reader<'_>, key: &str, value: &Value) -> Result<String, SettingsError> {
    let text =
        value.as_str().ok_or_else(|| reader.error(key, format!("must be text, not {}", class_of(value))))?;
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(reader.error(key, "must be a JSON pointer such as \"/data/ported\""))
}

/// The connector of a described lookup provider. It carries no messages.
struct HttpLookup {
    settings: Settings,
    client: Client,
}

#[async_trait]
impl Connector for HttpLookup {
    async fn submit(&self, _: &Outgoing) -> Submission {
        let detail = "this provider looks numbers up and carries no messages".to_owned();
        Submission::Refused { class: ErrorClass::InvalidFormat, detail }
    }

    fn health(&self) -> Health {
        Health::Up
    }

    fn looks_up(&self) -> Option<Depth> {
        Some(self.settings.depth)
    }

    fn lookup_cost(&self) -> i64 {
        self.settings.cost
    }

    async fn look_up(&self, asked: &Asked) -> Looked {
        let request = self.request(asked).ok_or(LookupFailure::Internal)?;
        let response = self.client.execute(request).await.map_err(|error| match error.is_timeout() {
            true => LookupFailure::Timeout,
            false => LookupFailure::Provider,
        })?;
        let status = response.status();
        let body = web::read_body(response).await.map_err(|_| LookupFailure::Provider)?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        if let Some(failure) = json.as_ref().and_then(|json| self.said(json)) {
            return Err(failure);
        }
        match (status.as_u16(), json) {
            (200..=299, Some(json)) => Ok(self.state(&json)),
            (402, _) => Err(LookupFailure::Balance),
            _ => Err(LookupFailure::Provider),
        }
    }
}

impl HttpLookup {
    fn request(&self, asked: &Asked) -> Option<Request> {
        let filled = outgoing(asked.number.clone());
        let url = Url::parse(&self.settings.url.fill(&filled, Escape::Percent)).ok()?;
        let mut request = Request::new(self.settings.method.clone(), url);
        let mut headers = HeaderMap::new();
        if let Some(content_type) = self.settings.body.as_ref().and_then(|body| body.content_type) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, template) in &self.settings.headers {
            let mut value = HeaderValue::from_str(&template.fill(&filled, Escape::None)).ok()?;
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
        *request.headers_mut() = headers;
        *request.body_mut() = self.settings.body.as_ref().map(|body| body.fill(&filled).into());
        Some(request)
    }

    /// The provider's own word for what went wrong.
    fn said(&self, json: &Value) -> Option<LookupFailure> {
        let (at, values) = self.settings.errors.as_ref()?;
        values.get(&scalar(json.pointer(at)?)?).copied()
    }

    fn state(&self, json: &Value) -> NumberState {
        let at = |fact: &str| json.pointer(self.settings.facts.get(fact)?).and_then(scalar);
        let flag = |fact: &str| {
            let word = at(fact)?.to_ascii_lowercase();
            WORDS.iter().find(|(known, _)| *known == word).map(|(_, truth)| *truth)
        };
        let network = |[name, mcc, mnc, country]: [&str; 4]| {
            let digits = |text: Option<String>, most: usize| {
                text.filter(|t| (2..=most).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
            };
            let network = Network {
                name: at(name).filter(|name| (1..=100).contains(&name.chars().count())),
                mcc: digits(at(mcc), 3),
                mnc: digits(at(mnc), 3),
                country: at(country).filter(|c| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase())),
            };
            Some(network).filter(|network| !network.is_empty())
        };
        NumberState {
            ported: flag("ported"),
            original_operator: network(["original_operator", "original_mcc", "original_mnc", "-"]),
            operator: network(["operator", "mcc", "mnc", "country"]),
            roaming: flag("roaming"),
            roaming_operator: network(["roaming_operator", "roaming_mcc", "roaming_mnc", "roaming_country"]),
            reachable: flag("reachable"),
            sim_swapped_at: at("sim_swapped_at").as_deref().and_then(Timestamp::parse),
            reassigned_at: at("reassigned_at").as_deref().and_then(Timestamp::parse),
            call_forwarding: flag("call_forwarding"),
        }
    }
}

/// Text, a number or a truth value, as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Templates are filled from a message; of this one only the number counts.
fn outgoing(to: Secret) -> Outgoing {
    Outgoing {
        id: String::new(),
        to,
        from: None,
        text: Secret::new(""),
        steps: Vec::new(),
        encoding: Encoding::Gsm7,
        channel: Channel::Sms,
        voice: Voice::default(),
        validity: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wiremock::matchers::{header, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn settings(url: &str) -> Value {
        json!({
            "url": format!("{url}/hlr?n={{to_digits}}"), "headers": {"X-Key": "{secret:key}"},
            "secrets": {"key": "s3cr3t"}, "timeout_seconds": 0.3, "cost_micros": 4000,
            "facts": {"ported": "/mnp/ported", "mcc": "/net/mcc", "mnc": "/net/mnc", "operator": "/net/name",
                "reachable": "/live", "sim_swapped_at": "/swap"},
            "errors": {"pointer": "/status", "values": {"5": "sim-offline"}},
        })
    }

    async fn asked(answer: ResponseTemplate) -> Looked {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/hlr"))
            .and(query_param("n", "6591234567"))
            .and(header("x-key", "s3cr3t"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let provider = build(&settings(&server.uri())).unwrap();
        assert_eq!((provider.looks_up(), provider.lookup_cost()), (Some(Depth::Live), 4000));
        provider.look_up(&Asked { number: Secret::new("+6591234567"), depth: Depth::Live }).await
    }

    #[tokio::test]
    async fn facts_are_found_where_settings_say() {
        let body = json!({"mnp": {"ported": 1}, "net": {"mcc": "525", "mnc": 1, "name": "M1"}, "live": "absent",
            "status": 0, "swap": "2026-01-05T10:00:00Z"});
        let state = asked(ResponseTemplate::new(200).set_body_json(body)).await.unwrap();
        assert_eq!((state.ported, state.reachable, state.roaming), (Some(true), Some(false), None));
        let operator = state.operator.unwrap();
        assert_eq!((operator.name.as_deref(), operator.mcc.as_deref()), (Some("M1"), Some("525")));
        assert_eq!(operator.mnc, None, "a network code has two digits");
        assert!(state.sim_swapped_at.is_some());
    }

    #[tokio::test]
    async fn failures_have_names() {
        let json = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
        assert_eq!(asked(json(200, json!({"status": 5}))).await, Err(LookupFailure::SimOffline));
        assert_eq!(asked(json(500, json!({}))).await, Err(LookupFailure::Provider));
        assert_eq!(asked(json(402, json!({}))).await, Err(LookupFailure::Balance));
        assert_eq!(
            asked(ResponseTemplate::new(200).set_body_string("<ok>")).await,
            Err(LookupFailure::Provider)
        );
        let slow = json(200, json!({})).set_delay(Duration::from_secs(2));
        assert_eq!(asked(slow).await, Err(LookupFailure::Timeout));
    }

    #[test]
    fn settings_are_checked() {
        let wrong = |change: &dyn Fn(&mut Value)| {
            let mut settings = settings("https://hlr.example");
            change(&mut settings);
            check(&settings).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(wrong(&|_| {}), "");
        assert!(wrong(&|s| s["url"] = json!("https://hlr.example/")).contains("settings.url"));
        assert!(wrong(&|s| s["facts"] = json!({"portd": "/x"})).contains("did you mean \"ported\"?"));
        assert!(wrong(&|s| s["facts"] = json!({"ported": "x"})).contains("JSON pointer"));
        assert!(wrong(&|s| s["errors"]["values"]["5"] = json!("sim-off")).contains("sim-offline"));
        assert!(wrong(&|s| s["url"] = json!("http://hlr.example/{to}")).contains("https"));
    }
}
