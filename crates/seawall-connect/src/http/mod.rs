//! A described HTTP provider: its request, its answers and its callbacks are settings, not code.

mod body;
pub(crate) mod lookup;
mod outcome;
mod receipts;
mod records;
mod settings;
mod template;

#[cfg(test)]
mod callback_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Request, Url};
use serde_json::Value;

use crate::{
    Callback, Connector, Echo, ErrorClass, Health, Outgoing, SettingsError, Submission, Surroundings, web,
};
use outcome::Answer;
use settings::Settings;
use template::Escape;

/// Checks settings without resolving secrets.
pub(crate) fn check(settings: &Value) -> Result<(), SettingsError> {
    Settings::read(settings, false).map(|_| ())
}

pub(crate) fn build(settings: &Value, around: Surroundings) -> Result<Arc<dyn Connector>, SettingsError> {
    let settings = Settings::read(settings, true)?;
    let client = web::client(&settings.example_url, settings.timeout)
        .map_err(|problem| SettingsError { key: "url".to_owned(), problem })?;
    Ok(Arc::new(Http { name: around.name, settings, client }))
}

/// The connector of a described provider.
struct Http {
    name: String,
    settings: Settings,
    client: Client,
}

#[async_trait]
impl Connector for Http {
    async fn submit(&self, message: &Outgoing) -> Submission {
        if message.channel != self.settings.channel {
            let detail = "this provider does not carry the channel".to_owned();
            return Submission::Refused { class: ErrorClass::InvalidFormat, detail };
        }
        let Some(request) = self.request(message) else {
            let detail = "the request could not be formed".to_owned();
            return Submission::Refused { class: ErrorClass::InvalidFormat, detail };
        };
        match self.client.execute(request).await {
            Ok(response) => self.outcome(response).await,
            Err(error) => web::failure(&error),
        }
    }

    fn health(&self) -> Health {
        Health::Up
    }

    fn callback(&self, callback: &Callback) -> Result<Vec<Echo>, String> {
        self.settings.callbacks.understand(callback, &self.name)
    }
}

impl Http {
    fn request(&self, message: &Outgoing) -> Option<Request> {
        let url = Url::parse(&self.settings.url.fill(message, Escape::Percent)).ok()?;
        let mut request = Request::new(self.settings.method.clone(), url);
        *request.headers_mut() = self.headers(message)?;
        *request.body_mut() = self.settings.body.as_ref().map(|body| body.fill(message).into());
        Some(request)
    }

    fn headers(&self, message: &Outgoing) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = self.settings.body.as_ref().and_then(|body| body.content_type) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, template) in &self.settings.headers {
            let mut value = HeaderValue::from_str(&template.fill(message, Escape::None)).ok()?;
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
        Some(headers)
    }

    async fn outcome(&self, response: reqwest::Response) -> Submission {
        let (status, headers) = (response.status(), response.headers().clone());
        match web::read_body(response).await {
            Ok(body) => Answer { status, headers, body }
                .outcome(&self.settings.rules, self.settings.message_id.as_ref()),
            // The status came, but what the provider says about the message did not.
            Err(problem) if status.is_success() || status.is_server_error() => {
                Submission::Unknown { detail: format!("HTTP {}, but {problem}", status.as_u16()) }
            }
            Err(_) => Answer { status, headers, body: Vec::new() }.outcome(&self.settings.rules, None),
        }
    }
}

/// Any text as a template: what is filled in is bounded, and a JSON string stays one.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_template(text: &str, message: &crate::Outgoing) -> Result<u64, String> {
    let value = serde_json::json!({"secrets": {"a": "b"}});
    let secrets = crate::settings::Reader::open(&value, String::new())
        .and_then(|reader| template::Secrets::read(&reader, false))
        .map_err(|e| e.to_string())?;
    let Ok(parsed) = template::Template::parse(text, &secrets) else { return Ok(0) };
    let filled = parsed.fill(message, template::Escape::Json);
    // The shortest placeholder is `{id}`; nothing that fills one is longer than 200 bytes, escaped.
    if filled.len() > text.len() * 60 + 200 {
        return Err(format!("{} bytes became {}", text.len(), filled.len()));
    }
    Ok(1 + u64::from(parsed.has_content()) + 2 * (filled != text) as u64)
}
