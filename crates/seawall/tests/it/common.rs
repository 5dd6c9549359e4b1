//! A real gateway on a free port, with an installation in a temporary directory, and a client for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use seawall::config::{Config, Overrides};
use seawall::serve::{Initialised, Running, start};
use serde_json::{Value, json};

/// A running gateway with its first credentials.
pub struct Gateway {
    pub running: Running,
    pub first: Initialised,
    pub base: String,
    pub http: reqwest::Client,
    pub dir: tempfile::TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text))
    }

    /// The body, after making sure of the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
}

/// Configuration for a gateway in `dir`, with more settings as `(SEAWALL_SECTION__KEY, value)`.
pub fn config(dir: &Path, settings: &[(&str, &str)]) -> Config {
    let mut env = vec![
        ("SEAWALL_SANDBOX__CLOCK".to_owned(), "true".to_owned()),
        ("SEAWALL_WEBHOOKS__ALLOW_PRIVATE".to_owned(), "true".to_owned()),
        ("SEAWALL_WEBHOOKS__ALLOW_HTTP".to_owned(), "true".to_owned()),
    ];
    // Everything holds with counters elsewhere, too: `SEAWALL_TEST_COUNTERS=redis://127.0.0.1:6379 cargo test …`.
    env.extend(std::env::var("SEAWALL_TEST_COUNTERS").map(|url| ("SEAWALL_COUNTERS__URL".to_owned(), url)));
    env.extend(settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let flags = Overrides { data_dir: Some(dir.to_owned()), listen: Some("127.0.0.1:0".to_owned()) };
    Config::load(None, env.into_iter(), flags).unwrap()
}

/// An HTTP client without surprises: no redirects, no proxies.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Gateway {
    /// A new installation.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A new installation that does not detect: for traffic that is a campaign by any measure, such as two
    /// hundred neighbouring numbers from one address, and tests something else.
    pub async fn without_detection() -> Self {
        let gateway = Self::new().await;
        let off = json!({"detection": {"mode": "off"}});
        gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
        gateway
    }

    /// A new installation with settings.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = start(config(dir.path(), settings)).await.unwrap();
        let first = running.initialised.clone().unwrap();
        let base = format!("http://{}", running.addr);
        Gateway { running, first, base, http: client(), dir }
    }

    /// Stops it and starts it again on the same data.
    pub async fn restart(self) -> Self {
        let Gateway { running, first, http, dir, .. } = self;
        running.stop().await;
        let running = start(config(dir.path(), &[])).await.unwrap();
        let base = format!("http://{}", running.addr);
        Gateway { running, first, base, http, dir }
    }

    /// The first subaccount.
    pub fn sub(&self) -> &str {
        &self.first.subaccount_id
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let read = |v: &reqwest::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(n, v)| (n.to_string(), read(v))).collect();
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    /// A request with the first API key.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, Some(&self.first.api_key), body.map(|b| b.to_string()), &[]).await
    }

    /// A request with the first API key and more headers.
    pub async fn api_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.send(method, path, Some(&self.first.api_key), body.map(|b| b.to_string()), headers).await
    }

    /// A request with the admin token.
    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, Some(&self.first.admin_token), body.map(|b| b.to_string()), &[]).await
    }

    /// A request with any token and body.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.send(method, path, token, body.map(str::to_owned), headers).await
    }

    /// What the sandbox phone received for a number, newest first, once there are `count` messages.
    pub async fn phone(&self, to: &str, count: usize) -> Vec<Value> {
        let path = format!("/admin/v1/sandbox/messages?to={}", to.replace('+', "%2B"));
        for _ in 0..200 {
            let data = self.admin("GET", &path, None).await.expect(200)["data"].as_array().unwrap().clone();
            if data.len() >= count {
                return data;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the phone did not receive {count} message(s) for {to}");
    }

    /// The code in the newest message to a number.
    pub async fn code(&self, to: &str, count: usize) -> String {
        let text = self.phone(to, count).await[0]["text"].as_str().unwrap().to_owned();
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .rfind(|word| word.chars().any(|c| c.is_ascii_digit()))
            .unwrap_or_else(|| panic!("no code in `{text}`"))
            .to_owned()
    }

    /// Moves the sandbox clock ahead.
    pub async fn advance(&self, by: &str) {
        self.admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"advance": by}))).await.expect(200);
    }

    /// Waits until a message is in a state, and gives it.
    pub async fn message_in(&self, id: &str, state: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.admin("GET", &format!("/admin/v1/messages/{id}"), None).await.expect(200);
            if last["state"] == state {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("message {id} did not become {state}: {last}");
    }
}

/// The command line against the running gateway: what it printed, and with which exit code it ended.
pub async fn seawall(gateway: &Gateway, words: &[&str]) -> (String, String, Option<i32>) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"));
    command
        .args(words)
        .env("SEAWALL_URL", &gateway.base)
        .env("SEAWALL_ADMIN_TOKEN", &gateway.first.admin_token);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}
