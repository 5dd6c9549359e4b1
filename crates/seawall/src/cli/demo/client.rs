//! What an app does with the gateway, and what its operator does: over HTTP, like anybody else.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::time::Timestamp;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long a code may take to reach the sandbox phone.
const DELIVERY: Duration = Duration::from_secs(5);

/// A client with the two credentials of a new installation.
pub struct Client {
    http: reqwest::Client,
    /// `http://ADDRESS`
    pub base: String,
    /// The app's API key.
    pub key: String,
    /// The operator's token.
    pub admin_token: String,
}

/// Who wants a code, as far as the app knows.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Address.
    pub ip: Option<String>,
    /// Browser or app.
    pub user_agent: Option<String>,
    /// What else is known of the device.
    pub fingerprint: Option<String>,
    /// What the gateway gave to the device when its number was verified.
    pub device_token: Option<String>,
}

/// What became of a wish for a code.
#[derive(Debug)]
pub enum Asked {
    /// It is on its way; the verification's id.
    Sent(String),
    /// It is not sent.
    Refused(Refused),
}

/// Why not.
#[derive(Debug)]
pub struct Refused {
    /// The reason's code.
    pub code: String,
    /// The reason as a sentence.
    pub sentence: String,
    /// Only because it came sooner after the last code than allowed.
    pub too_early: bool,
}

impl Client {
    /// Talks to the gateway there.
    pub fn new(addr: SocketAddr, key: &str, admin_token: &str) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Only plain loopback is spoken here, yet the library wants a TLS set-up: one that trusts nobody.
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(say)?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(PATIENCE);
        Ok(Client {
            http: builder.build().map_err(say)?,
            base: format!("http://{addr}"),
            key: key.to_owned(),
            admin_token: admin_token.to_owned(),
        })
    }

    /// The app asks for a code.
    pub async fn ask(&self, to: &str, caller: &Caller) -> Result<Asked, String> {
        let body = json!({"to": to, "purpose": "login", "brand": "Acme", "client": {
            "ip": caller.ip, "user_agent": caller.user_agent, "fingerprint": caller.fingerprint,
            "device_token": caller.device_token,
        }});
        let (status, answer) = self.send("POST", "/v1/verifications", &self.key, Some(body)).await?;
        match (status, answer.get("id").and_then(Value::as_str)) {
            (201, Some(id)) => Ok(Asked::Sent(id.to_owned())),
            (403 | 429, _) => Ok(Asked::Refused(refused(&answer))),
            _ => Err(format!("POST /v1/verifications answered {status}: {answer}")),
        }
    }

    /// The user looks at the phone.
    pub async fn read_code(&self, to: &str) -> Result<String, String> {
        let path = format!("/admin/v1/sandbox/messages?limit=1&to={}", to.replace('+', "%2B"));
        let begun = std::time::Instant::now();
        while begun.elapsed() < DELIVERY {
            let (_, answer) = self.send("GET", &path, &self.admin_token, None).await?;
            if let Some(text) = answer.pointer("/data/0/text").and_then(Value::as_str) {
                return code_in(text).ok_or_else(|| "a message without a code arrived".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("no code arrived on the sandbox phone".to_owned())
    }

    /// The app presents what the user typed in; the device's token if that was right.
    pub async fn check(&self, verification: &str, code: &str) -> Result<Option<String>, String> {
        let path = format!("/v1/verifications/{verification}/check");
        let (_, answer) = self.send("POST", &path, &self.key, Some(json!({"code": code}))).await?;
        let right = answer.get("status").and_then(Value::as_str) == Some("verified");
        let token = answer.get("device_token").and_then(Value::as_str).unwrap_or_default();
        Ok(right.then(|| token.to_owned()))
    }

    /// Attacks as the gateway sees them, the first one first.
    pub async fn incidents(&self) -> Result<Vec<Value>, String> {
        let (status, answer) = self.send("GET", "/admin/v1/incidents", &self.admin_token, None).await?;
        let mut all = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        all.reverse();
        if status == 200 {
            Ok(all)
        } else {
            Err(format!("GET /admin/v1/incidents answered {status}: {answer}"))
        }
    }

    /// Moves the sandbox clock. False if that time is over.
    pub async fn set_clock(&self, now: Timestamp) -> Result<bool, String> {
        let body = json!({"now": now.to_rfc3339()});
        let (status, _) = self.send("PUT", "/admin/v1/sandbox/clock", &self.admin_token, Some(body)).await?;
        Ok((200..300).contains(&status))
    }

    /// The operator sets something up.
    pub async fn create(&self, collection: &str, body: Value) -> Result<(), String> {
        let path = format!("/admin/v1/{collection}");
        let (status, answer) = self.send("POST", &path, &self.admin_token, Some(body)).await?;
        if status == 201 { Ok(()) } else { Err(format!("POST {path} answered {status}: {answer}")) }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), String> {
        let method = method.parse::<reqwest::Method>().map_err(say)?;
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(bearer);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(say)?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(say)?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

fn say(error: impl Display) -> String {
    error.to_string()
}

/// The reasons in force of a refusal, the first of them in words.
fn refused(answer: &Value) -> Refused {
    let reasons = answer.get("reasons").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let enforced = |reason: &&Value| reason.get("mode").and_then(Value::as_str) != Some("shadow");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let codes: Vec<String> = reasons.iter().filter(enforced).map(|reason| text(reason.get("code"))).collect();
    let sentence =
        reasons.iter().find(enforced).and_then(|reason| reason.get("detail")).or(answer.get("detail"));
    Refused {
        code: codes.first().cloned().unwrap_or_else(|| text(answer.get("code"))),
        sentence: text(sentence),
        too_early: !codes.is_empty()
            && codes.iter().all(|code| matches!(&**code, "back-off" | "resend-too-early")),
    }
}

/// The last run of four digits or more.
fn code_in(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_digit()).rfind(|run| run.len() >= 4).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_texts() {
        assert_eq!(code_in("Acme 24: Your verification code is 012345.").as_deref(), Some("012345"));
        assert_eq!(code_in("no code"), None);
    }

    #[test]
    fn asking_too_early_is_no_harm() {
        let answer = |codes: &[&str]| {
            let reasons: Vec<Value> =
                codes.iter().map(|c| json!({"code": c, "detail": c, "mode": "enforce"})).collect();
            refused(&json!({"reasons": reasons}))
        };
        assert!(answer(&["back-off"]).too_early);
        assert!(!answer(&["back-off", "limit-exceeded"]).too_early);
        let refused = answer(&["limit-exceeded"]);
        assert_eq!(refused.code, "limit-exceeded");
    }
}
