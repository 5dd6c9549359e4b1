//! A gateway in a process of its own that logs everything, and what was planted in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::needles::{Canary, Needles};
use crate::cluster::eventually;
use crate::common::{Answer, client};

/// The process, its credentials, and everything that was planted.
pub struct World {
    pub dir: tempfile::TempDir,
    pub base: String,
    pub sub: String,
    pub account: String,
    pub key: String,
    pub admin: String,
    /// A provider that repeats in an error whatever it was sent.
    pub echo: MockServer,
    logs: tempfile::TempDir,
    process: Option<Child>,
    planted: Mutex<Vec<Canary>>,
    /// Bodies and headers of errors.
    errors: Mutex<Vec<String>>,
    /// What was answered in another way than it should have been: nothing was planted there.
    pub unexpected: Mutex<Vec<String>>,
    count: Mutex<u64>,
}

fn gateway(dir: &Path, settings: &[(&str, &str)], words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.args(words).arg("--data-dir").arg(dir).envs(settings.iter().copied());
    command
}

impl World {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let first = gateway(dir.path(), settings, &["init", "--json"]).output().unwrap();
        let first: Value = serde_json::from_slice(&first.stdout).unwrap();
        let text = |name: &str| first[name].as_str().unwrap().to_owned();
        let mut world = World {
            base: String::new(),
            sub: text("subaccount_id"),
            account: text("account_id"),
            key: text("api_key"),
            admin: text("admin_token"),
            echo: MockServer::start().await,
            dir,
            logs: tempfile::tempdir().unwrap(),
            process: None,
            planted: Mutex::default(),
            errors: Mutex::default(),
            unexpected: Mutex::default(),
            count: Mutex::default(),
        };
        let repeat = |request: &Request| ResponseTemplate::new(400).set_body_bytes(request.body.clone());
        Mock::given(wiremock::matchers::any()).respond_with(repeat).mount(&world.echo).await;
        for (label, secret) in [("first API key", world.key.clone()), ("admin token", world.admin.clone())] {
            world.known(label, &secret);
        }
        world.run(settings).await;
        world
    }

    /// Starts the process.
    pub async fn run(&mut self, settings: &[(&str, &str)]) {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = gateway(self.dir.path(), settings, &["serve", "--listen", &listen.to_string()]);
        for (key, value) in [
            ("SEAWALL_LOG__LEVEL", "debug"),
            ("SEAWALL_WEBHOOKS__ALLOW_PRIVATE", "true"),
            ("SEAWALL_WEBHOOKS__ALLOW_HTTP", "true"),
        ] {
            command.env(key, value);
        }
        let log =
            |name: &str| File::options().append(true).create(true).open(self.logs.path().join(name)).unwrap();
        command.stdout(Stdio::from(log("out"))).stderr(Stdio::from(log("err")));
        self.process = Some(command.spawn().unwrap());
        self.base = format!("http://{listen}");
        eventually("the gateway is ready", async || {
            client().get(format!("{}/readyz", self.base)).send().await.is_ok_and(|a| a.status() == 200)
        })
        .await;
    }

    /// Ends the process as an operator does, and waits for it.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let pid = process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        process.wait().unwrap();
    }

    /// A number that was never seen before, `+4915…`.
    pub fn number(&self, label: &str) -> String {
        self.of("49", format!("151{:08}", (self.next() * 7_654_321) % 90_000_000 + 10_000_000), label)
    }

    /// The same in Austria, `+43664…`: routes tell it from the others.
    pub fn austrian(&self, label: &str) -> String {
        self.of("43", format!("664{:07}", (self.next() * 654_321) % 9_000_000 + 1_000_000), label)
    }

    fn of(&self, country: &str, national: String, label: &str) -> String {
        let number = format!("{country}{national}");
        let label = label.to_owned();
        self.planted.lock().unwrap().push(Canary { label, text: national, number: number.parse().ok() });
        format!("+{number}")
    }

    /// A word that was never seen before: letters and digits.
    pub fn secret(&self, label: &str) -> String {
        let mixed = self.next().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let secret = format!("qk{mixed:016x}");
        self.known(label, &secret);
        secret
    }

    /// Something that the gateway made and nobody else may find.
    pub fn known(&self, label: &str, secret: &str) {
        let canary = Canary { label: label.to_owned(), text: secret.to_owned(), number: None };
        self.planted.lock().unwrap().push(canary);
    }

    fn next(&self) -> u64 {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        *count
    }

    pub fn planted(&self) -> Vec<Canary> {
        self.planted.lock().unwrap().clone()
    }

    /// A request; an error's headers and body are kept.
    pub async fn call(&self, token: &str, method: &str, path: &str, body: Said<'_>) -> Answer {
        let mut request = client().request(method.parse().unwrap(), format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        for (name, value) in body.headers {
            request = request.header(*name, *value);
        }
        if let Some(text) = body.text {
            request = request.body(text);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let read = |v: &reqwest::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers: BTreeMap<String, String> =
            response.headers().iter().map(|(n, v)| (n.to_string(), read(v))).collect();
        let answer = Answer { status, headers, text: response.text().await.unwrap() };
        if status >= 400 {
            self.errors
                .lock()
                .unwrap()
                .push(format!("{method} {path}\u{0}{:?}\n{}", answer.headers, answer.text));
        }
        answer
    }

    /// A request with the API key and JSON that must be answered with a status of this class: 2 or 4.
    pub async fn api(&self, class: u16, method: &str, path: &str, body: Value) -> Value {
        self.with(&self.key, class, method, path, body).await
    }

    /// The same with the admin token.
    pub async fn admin(&self, class: u16, method: &str, path: &str, body: Value) -> Value {
        self.with(&self.admin, class, method, &format!("/admin/v1/{path}"), body).await
    }

    async fn with(&self, token: &str, class: u16, method: &str, path: &str, body: Value) -> Value {
        let text = (!body.is_null()).then(|| body.to_string());
        let said = Said { text, headers: &[("content-type", "application/json")] };
        let answer = self.call(token, method, path, said).await;
        if answer.status / 100 != class {
            let said = format!("{} {method} {path} {body}: {}", answer.status, answer.text);
            self.unexpected.lock().unwrap().push(said);
        }
        serde_json::from_str(&answer.text).unwrap_or_default()
    }

    /// What answers an error said, without the path that was asked for.
    pub fn errors(&self) -> Vec<(String, String)> {
        let split = |error: &String| {
            let (what, answer) = error.split_once('\u{0}').unwrap();
            (what.to_owned(), answer.to_owned())
        };
        self.errors.lock().unwrap().iter().map(split).collect()
    }

    /// Each file of the data directory and of the log, with what stands in it.
    pub fn found_on_disk(&self, needles: &Needles) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![self.dir.path().to_owned(), self.logs.path().to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else if let Ok(bytes) = std::fs::read(&path) {
                    found.extend(
                        needles.within(&bytes).iter().map(|label| format!("{}: {label}", path.display())),
                    );
                }
            }
        }
        found
    }

    /// How many bytes were logged.
    pub fn logged(&self) -> u64 {
        std::fs::metadata(self.logs.path().join("err")).unwrap().len()
    }

    /// Sends nothing but what a route says, and refuses nothing for its rate.
    pub async fn calm(&self) {
        for kind in ["limits"] {
            let all = self.admin(2, "GET", &format!("{kind}?limit=200"), Value::Null).await;
            for one in all["data"].as_array().unwrap() {
                self.admin(2, "DELETE", &format!("{kind}/{}", one["id"].as_str().unwrap()), Value::Null)
                    .await;
            }
        }
        let settings = json!({"verification_backoff": {"mode": "off"}, "detection": {"mode": "off"},
            "api_rates": {"per_subaccount": 1_000_000, "per_caller_ip": 1_000_000}});
        self.admin(2, "PATCH", "settings", settings).await;
        let open = json!({"country_policy": {"default": "open"}});
        self.admin(2, "PATCH", &format!("subaccounts/{}", self.sub), open).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The body and headers of a request.
#[derive(Default)]
pub struct Said<'a> {
    pub text: Option<String>,
    pub headers: &'a [(&'a str, &'a str)],
}
