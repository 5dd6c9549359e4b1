//! Calls through an 8x8-style call flow: codes and texts that are spoken, and calls of several steps.

mod answer;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Url};
use seawall_core::callflow::Step;
use seawall_core::message::Channel;
use seawall_core::time::Timestamp;
use serde_json::{Value, json};

use crate::settings::{Reader, resolve};
use crate::{
    CallAsked, Callback, Connector, Echo, ErrorClass, Health, Outgoing, Secret, SettingsError, SpeechProfile,
    Submission, Surroundings, web,
};

const KEYS: [&str; 7] =
    ["url", "subaccount", "api_key", "source", "voice_profile", "timeout_seconds", "allow_http"];
const TEXT_AT_MOST: usize = 3000;

struct Settings {
    url: Url,
    api_key: String,
    source: String,
    voice_profile: Option<String>,
    timeout: Duration,
}

pub(crate) fn check(settings: &Value) -> Result<(), SettingsError> {
    read(settings).map(|_| ())
}

pub(crate) fn build(settings: &Value, _around: Surroundings) -> Result<Arc<dyn Connector>, SettingsError> {
    let settings = read(settings)?;
    let api_key = resolve("api_key", &settings.api_key)?;
    let client = web::client(&settings.url, settings.timeout)
        .map_err(|problem| SettingsError { key: "url".to_owned(), problem })?;
    Ok(Arc::new(Callflow { settings, api_key, client }))
}

fn read(settings: &Value) -> Result<Settings, SettingsError> {
    let reader = Reader::root(settings, &KEYS)?;
    let mut url = Url::parse(reader.required_text("url")?)
        .map_err(|_| reader.error("url", "is not a URL such as https://voice.example"))?;
    let plain = url.scheme() == "http" && (web::is_loopback(&url) || reader.boolean("allow_http", false)?);
    if url.scheme() != "https" && !plain {
        return Err(reader.error("url", "must be https, or set allow_http to true to send codes in clear"));
    }
    url.path_segments_mut().map_err(|()| reader.error("url", "must be https"))?.pop_if_empty().extend([
        "api",
        "v1",
        "subaccounts",
        reader.required_text("subaccount")?,
        "callflows",
    ]);
    Ok(Settings {
        url,
        api_key: reader.required_text("api_key")?.to_owned(),
        source: reader.required_text("source")?.to_owned(),
        voice_profile: reader.text("voice_profile")?.map(str::to_owned),
        timeout: reader.seconds("timeout_seconds", 0.05..=60.0, 10.0)?,
    })
}

/// The connector.
struct Callflow {
    settings: Settings,
    api_key: Secret,
    client: Client,
}

#[async_trait]
impl Connector for Callflow {
    async fn submit(&self, message: &Outgoing) -> Submission {
        if message.channel != Channel::Call {
            let detail = "this provider carries calls only".to_owned();
            return Submission::Refused { class: ErrorClass::InvalidFormat, detail };
        }
        let text = spoken(message.text.reveal());
        if message.steps.is_empty() && text.chars().count() > TEXT_AT_MOST {
            let detail = format!("the spoken text is longer than {TEXT_AT_MOST} characters");
            return Submission::Refused { class: ErrorClass::InvalidFormat, detail };
        }
        let request = self
            .client
            .post(self.settings.url.clone())
            .bearer_auth(self.api_key.reveal())
            .json(&self.body(message, &text))
            .send();
        match request.await {
            Ok(response) => answer::outcome(response).await,
            Err(error) => web::failure(&error),
        }
    }

    fn health(&self) -> Health {
        Health::Up
    }

    fn callback(&self, callback: &Callback) -> Result<Vec<Echo>, String> {
        answer::summary(&callback.body)
    }

    fn carries_steps(&self) -> bool {
        true
    }

    async fn voices(&self) -> Option<Result<Vec<SpeechProfile>, String>> {
        let mut url = self.settings.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push("speech-profiles");
        }
        let request = self.client.get(url).bearer_auth(self.api_key.reveal()).send();
        Some(match request.await {
            Ok(response) if response.status().is_success() => match web::read_body(response).await {
                Ok(body) => steps::voices(&body),
                Err(problem) => Err(problem.to_owned()),
            },
            Ok(response) => Err(format!("HTTP {}", response.status().as_u16())),
            Err(error) => Err(error.without_url().to_string()),
        })
    }

    fn asked(&self, callback: &Callback) -> Option<CallAsked> {
        steps::asked(&callback.body)
    }

    fn told(&self, asked: &CallAsked, steps: &[Step]) -> Value {
        steps::told(asked, steps)
    }
}

impl Callflow {
    fn body(&self, message: &Outgoing, text: &str) -> Value {
        let voice = &message.voice;
        let source = message.from.as_deref().filter(|from| is_number(from)).unwrap_or(&self.settings.source);
        // A language stands where no voice was chosen: the API takes either.
        let configured = self.settings.voice_profile.as_deref();
        let profile = voice.profile.as_deref().or(configured).unwrap_or(&voice.language);
        let call =
            json!({"action": "makeCall", "params": {"source": source, "destination": message.to.reveal()}});
        let mut flow = vec![call];
        if message.steps.is_empty() {
            flow.push(json!({"action": "say", "params": {
                "text": text,
                "voiceProfile": profile,
                "repetition": voice.repetition.clamp(1, 3),
                "speed": if voice.speed.is_finite() { voice.speed.clamp(0.5, 2.0) } else { 1.0 },
            }}));
            flow.push(json!({"action": "hangup"}));
        } else {
            flow.extend(message.steps.iter().map(steps::action));
        }
        let mut body = json!({"clientRequestId": message.id, "callflow": flow});
        if let (Some(until), Some(body)) = (message.validity.and_then(valid_until), body.as_object_mut()) {
            body.insert("validUntil".to_owned(), Value::String(until.to_rfc3339()));
        }
        body
    }
}

/// The one reading of a clock here: the API wants an instant, and the gateway gives a span.
fn valid_until(validity: Duration) -> Option<Timestamp> {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).ok()?);
    Some(now.plus(validity))
}

fn is_number(from: &str) -> bool {
    let digits = from.strip_prefix('+').unwrap_or(from);
    digits.len() > 6 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Runs of four or more digits with commas between, so that a voice reads them one by one.
fn spoken(text: &str) -> String {
    let mut spoken = String::with_capacity(text.len() * 2);
    let mut run = Vec::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            run.push(character.to_string());
            continue;
        }
        spoken.push_str(&run.join(if run.len() >= 4 { ", " } else { "" }));
        run.clear();
        spoken.push(character);
    }
    // The mark that ended the last run.
    spoken.pop();
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{message, surroundings};
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn settings(url: &str) -> Value {
        json!({"url": url, "subaccount": "Sea_wall", "api_key": "k3y", "source": "+6512341234"})
    }

    fn call() -> Outgoing {
        Outgoing { channel: Channel::Call, ..message("Your code is 1234. In 10 minutes it ends") }
    }

    async fn submit(answer: ResponseTemplate, outgoing: Outgoing) -> (Submission, Option<Value>) {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/api/v1/subaccounts/Sea_wall/callflows"))
            .and(header("authorization", "Bearer k3y"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let connector = build(&settings(&server.uri()), surroundings().0).unwrap();
        let submission = connector.submit(&outgoing).await;
        let requests = server.received_requests().await.unwrap();
        (submission, requests.first().map(|request| request.body_json().unwrap()))
    }

    #[tokio::test]
    async fn calls_and_says_digits_one_by_one() {
        let answer = ResponseTemplate::new(200).set_body_json(json!({"sessionId": "s1", "statusCode": 1}));
        let (submission, body) = submit(answer, call()).await;
        assert_eq!(submission, Submission::Accepted { reference: Some("s1".to_owned()), delivered: false });
        let body = body.unwrap();
        assert_eq!(body["callflow"][0]["params"]["destination"], "+6591234567");
        assert_eq!(
            body["callflow"][0]["params"]["source"], "+6512341234",
            "an alphanumeric sender cannot call"
        );
        assert_eq!(body["callflow"][1]["params"]["text"], "Your code is 1, 2, 3, 4. In 10 minutes it ends");
        assert_eq!(body["callflow"][1]["params"]["speed"], 0.8);
        assert_eq!(body["callflow"][2]["action"], "hangup");
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        for (status, code, expected) in [
            (422, -1017, Some(ErrorClass::InvalidDestination)),
            (400, -1014, Some(ErrorClass::InvalidSource)),
            (401, -1, Some(ErrorClass::Denied)),
            (500, -9999, None),
            (200, -1002, Some(ErrorClass::InvalidFormat)),
        ] {
            let answer = ResponseTemplate::new(status).set_body_json(json!({"statusCode": code}));
            match (submit(answer, call()).await.0, expected) {
                (Submission::Refused { class, .. }, Some(expected)) => assert_eq!(class, expected, "{code}"),
                (Submission::Unknown { .. }, None) => {}
                (other, _) => panic!("{status} {code}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_sms_is_refused_without_a_request() {
        let (submission, body) = submit(ResponseTemplate::new(200), message("hi")).await;
        assert!(matches!(submission, Submission::Refused { class: ErrorClass::InvalidFormat, .. }));
        assert!(body.is_none());
    }

    #[test]
    fn settings_are_checked() {
        assert!(check(&settings("https://voice.example/")).is_ok());
        assert!(check(&settings("http://voice.example")).unwrap_err().to_string().contains("allow_http"));
        assert!(
            check(&json!({"url": "https://voice.example"})).unwrap_err().to_string().contains("subaccount")
        );
    }

    #[test]
    fn only_longer_numbers_are_spelled() {
        assert_eq!(spoken("12 minutes, 123456"), "12 minutes, 1, 2, 3, 4, 5, 6");
        assert_eq!(spoken(""), "");
    }
}
