//! One try of one webhook delivery: whom it concerns now, how it is authorised and signed, and what the
//! answer means.
//!
//! Standard Webhooks: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with one `v1,…` for each
//! active secret. A URL that came with a request (`dlrCallbackUrl`, `callbackUrl`) is signed with the
//! secrets of the webhook of its subaccount (or `*`); without one it goes unsigned. Such a URL never gets
//! the webhook's `Authorization`, which was meant for another host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use ring::hmac;
use seawall_core::id::Id;
use seawall_store::records::HookDelivery;

use crate::app::App;
use crate::app::entities::{Webhook, WebhookOauth};
use crate::app::hooks::event_id;
use crate::app::secrets::hash_hex;
use crate::jobs::egress::{self, Rules};

/// What became of a try.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Done,
    /// Worth another try.
    Failed(String),
    /// Not worth one.
    Over(String),
}

/// Access tokens of receivers, by webhook and its settings.
#[derive(Default)]
pub(super) struct Tokens {
    held: Mutex<HashMap<String, (String, Instant)>>,
    /// One fetch at a time for each receiver: deliveries that wait for it find its token.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Tokens kept; a reset costs one request each.
const TOKENS: usize = 1_000;

/// What one call needs.
pub(super) struct Call<'a> {
    pub app: &'a App,
    pub client: &'a Client,
    pub rules: Rules,
    pub tokens: &'a Tokens,
}

/// Scheme, host and port: what shares connections, and what may be logged.
pub(super) fn endpoint(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    parsed.map_or_else(|| "invalid".to_owned(), |url| url.origin().ascii_serialization())
}

impl Call<'_> {
    /// Makes one try.
    pub async fn make(&self, hook: &HookDelivery) -> Outcome {
        let snapshot = self.app.snapshot.load_full();
        let own = hook.webhook.as_ref().map(|id| snapshot.webhook_of_id(id));
        let (url, webhook) = match own {
            Some(None) => return Outcome::Over("the webhook was deleted or switched off".to_owned()),
            // Where it points now, not when the event happened.
            Some(Some(webhook)) => (webhook.url.as_str(), Some(webhook)),
            None => (hook.url.as_str(), None),
        };
        if !snapshot.subaccounts.contains_key(&hook.subaccount) {
            return Outcome::Over("the subaccount was deleted".to_owned());
        }
        // What the operator set up may use any port; what came with a request only those of web servers.
        let rules = if webhook.is_some() { self.rules.any_port() } else { self.rules };
        let signer = webhook.or_else(|| snapshot.webhook(&hook.subaccount));
        let url = match egress::check_url(url, rules) {
            Ok(url) => url,
            Err(problem) => return Outcome::Over(problem.to_owned()),
        };
        match self.authorization(webhook).await {
            Ok(authorization) => self.post(hook, url, signer, authorization, webhook).await,
            Err(problem) => Outcome::Failed(problem),
        }
    }

    async fn post(
        &self,
        hook: &HookDelivery,
        url: Url,
        signer: Option<&Webhook>,
        authorization: Option<String>,
        webhook: Option<&Webhook>,
    ) -> Outcome {
        let Some(headers) = headers(self.app, hook.id, &hook.body, signer, authorization) else {
            return Outcome::Over("the Authorization value cannot stand in a header".to_owned());
        };
        let sent = self.client.post(url).headers(headers).body(hook.body.clone()).send().await;
        match sent {
            Ok(response) => {
                if response.status() == StatusCode::UNAUTHORIZED
                    && let Some(oauth) = webhook.and_then(|w| w.oauth.as_ref())
                {
                    self.tokens.forget(&token_key(oauth));
                }
                judge(response).await
            }
            Err(error) => Outcome::Failed(words(&error)),
        }
    }

    /// The `Authorization` header: a token of the receiver's own issuer, or the fixed value.
    async fn authorization(&self, webhook: Option<&Webhook>) -> Result<Option<String>, String> {
        let Some(webhook) = webhook else { return Ok(None) };
        match &webhook.oauth {
            Some(oauth) => self.token(oauth).await.map(|token| Some(format!("Bearer {token}"))),
            None => Ok(webhook.authorization.clone()),
        }
    }

    async fn token(&self, oauth: &WebhookOauth) -> Result<String, String> {
        let key = token_key(oauth);
        let turn = self.tokens.turn(&key);
        let _turn = turn.lock().await;
        if let Some(token) = self.tokens.get(&key) {
            return Ok(token);
        }
        let url = egress::check_url(&oauth.url, self.rules.any_port())
            .map_err(|p| format!("the token URL: {p}"))?;
        let (body, basic) = token_request(oauth);
        let mut request =
            self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = request.send().await.map_err(|e| format!("the token URL: {}", words(&e)))?;
        let status = response.status();
        let body = read(response).await;
        if !status.is_success() {
            return Err(format!("the token URL answered {}", status.as_u16()));
        }
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = answer
            .get("access_token")
            .and_then(|t| t.as_str())
            .ok_or("the token URL gave no access_token")?;
        let seconds = answer.get("expires_in").and_then(serde_json::Value::as_u64).unwrap_or(300).min(3600);
        self.tokens.keep(key, token, Duration::from_secs(seconds.saturating_sub(30)));
        Ok(token.to_owned())
    }
}

/// The headers of a webhook: its id, its time, signatures with the secrets of `signer`, and how it is authorised. `None`:
/// the authorisation cannot stand in a header.
pub fn headers(
    app: &App,
    event: Id,
    body: &str,
    signer: Option<&Webhook>,
    authorization: Option<String>,
) -> Option<HeaderMap> {
    let (id, at) = (event_id(event), app.now().as_secs().to_string());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let signed = signer.map(|w| signatures(&w.secrets, &id, &at, body)).filter(|s| !s.is_empty());
    if let Some(signatures) = signed {
        headers.insert("webhook-signature", HeaderValue::from_str(&signatures).ok()?);
    }
    headers.insert("webhook-id", HeaderValue::from_str(&id).ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from_str(&at).ok()?);
    if let Some(text) = authorization {
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Some(headers)
}

/// All settings together: a changed secret needs a new token.
fn token_key(oauth: &WebhookOauth) -> String {
    let all = [&oauth.url, &oauth.client_id, &oauth.client_secret, &oauth.credentials_location];
    let joined = all.map(String::as_str).join("\u{1f}") + oauth.scope.as_deref().unwrap_or_default();
    hash_hex(&joined)
}

/// Body and, if the credentials go into the header, its value (RFC 6749 §2.3.1).
fn token_request(oauth: &WebhookOauth) -> (String, Option<String>) {
    let mut form = vec![("grant_type", "client_credentials")];
    if let Some(scope) = &oauth.scope {
        form.push(("scope", scope));
    }
    let in_body = oauth.credentials_location == "body";
    if in_body {
        form.extend([
            ("client_id", oauth.client_id.as_str()),
            ("client_secret", oauth.client_secret.as_str()),
        ]);
    }
    let basic = (!in_body).then(|| {
        let escape = |text: &str| encode(&[("", text)]).trim_start_matches('=').to_owned();
        let pair = format!("{}:{}", escape(&oauth.client_id), escape(&oauth.client_secret));
        format!("Basic {}", STANDARD.encode(pair))
    });
    (encode(&form), basic)
}

/// `application/x-www-form-urlencoded`.
fn encode(pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("https://form.invalid/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

impl Tokens {
    fn turn(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= TOKENS {
            turns.clear();
        }
        turns.entry(key.to_owned()).or_default().clone()
    }

    fn get(&self, key: &str) -> Option<String> {
        let tokens = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(key).filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone())
    }

    fn keep(&self, key: String, token: &str, valid: Duration) {
        let mut tokens = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS {
            tokens.clear();
        }
        tokens.insert(key, (token.to_owned(), Instant::now() + valid));
    }

    fn forget(&self, key: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// One signature for each secret, over `id.timestamp.body`. A secret that cannot be read signs nothing.
pub(super) fn signatures(secrets: &[String], id: &str, at: &str, body: &str) -> String {
    let sign = |secret: &String| {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
            .ok()
            .filter(|k| !k.is_empty())?;
        let tag =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), format!("{id}.{at}.{body}").as_bytes());
        Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
    };
    secrets.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

async fn judge(response: Response) -> Outcome {
    let status = response.status();
    // Read to its end, so that the connection can be used again.
    read(response).await;
    match status {
        status if status.is_success() => Outcome::Done,
        StatusCode::GONE => Outcome::Over("the receiver answered 410".to_owned()),
        status => Outcome::Failed(format!("the receiver answered {}", status.as_u16())),
    }
}

/// What of a body fits; a failure half-way reads as a short body.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > egress::BODY_AT_MOST {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    body
}

/// Why a request failed, without its URL.
fn words(error: &reqwest::Error) -> String {
    let root = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source()).last();
    let root = root.map(ToString::to_string).unwrap_or_default();
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time".to_owned(),
        (false, true) => format!("cannot connect: {root}"),
        (false, false) => "the connection broke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // The example of the Standard Webhooks specification.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = r#"{"test": 2432232314}"#;
        let one =
            signatures(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signatures(&[secret, "whsec_AAAA".to_owned()], "a", "1", "{}");
        assert_eq!(two.split(' ').filter(|s| s.starts_with("v1,")).count(), 2);
        assert_eq!(signatures(&["whsec_".to_owned(), "whsec_!".to_owned()], "a", "1", "{}"), "");
    }

    #[test]
    fn credentials_go_where_the_issuer_wants_them() {
        let mut oauth = WebhookOauth {
            url: "https://issuer.example/token".to_owned(),
            client_id: "a b".to_owned(),
            client_secret: "s:&=".to_owned(),
            credentials_location: "body".to_owned(),
            scope: Some("x y".to_owned()),
        };
        let (body, basic) = token_request(&oauth);
        assert_eq!(body, "grant_type=client_credentials&scope=x+y&client_id=a+b&client_secret=s%3A%26%3D");
        assert_eq!(basic, None);
        oauth.credentials_location = "header".to_owned();
        let (body, basic) = token_request(&oauth);
        assert_eq!(body, "grant_type=client_credentials&scope=x+y");
        assert_eq!(basic, Some(format!("Basic {}", STANDARD.encode("a+b:s%3A%26%3D"))));
    }

    #[test]
    fn only_the_origin_of_a_url_is_named() {
        assert_eq!(endpoint("https://u:p@e.com:8443/x?token=1"), "https://e.com:8443");
        assert_eq!(endpoint("junk"), "invalid");
    }
}
