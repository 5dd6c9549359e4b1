//! `cargo xtask waf [--gateway FILE]`: the reference firewall of `deploy/waf` as a throw-away instance in front
//! of a throw-away gateway. What clients send has to come out as it does without a firewall; attacks have to be
//! stopped, and not one of their bytes may reach the gateway.

mod attacks;
mod corpus;
mod http;
mod nginx;
mod tap;
mod traffic;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::live::{Gateway, Profile, build, free_address};
use nginx::Nginx;
use tap::Tap;

pub use nginx::ready;

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let binary = match arguments {
        [] => build(Profile::Dev, false)?,
        [name, file] if name == "--gateway" => PathBuf::from(file),
        _ => return Err("unknown option: --gateway FILE".to_owned()),
    };
    ready()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(both(&binary))
}

/// Everything that is running.
struct Stage {
    /// A gateway without a firewall.
    plain: Gateway,
    /// The gateway behind it.
    guarded: Gateway,
    tap: Tap,
    nginx: Nginx,
}

async fn both(binary: &Path) -> Result<(), String> {
    let stage = set_up(binary).await?;
    let passed = traffic::play(&stage).await?;
    let stopped = attacks::play(&stage).await?;
    let mut wrong = [passed.wrong, stopped.wrong].concat();
    wrong.extend(forwarding(&stage).await?);
    wrong.extend(stage.nginx.leaks(&secrets(&stage)));
    wrong.iter().for_each(|line| println!("waf: {line}"));
    println!(
        "waf: {} of {} legitimate passed, {} of {} attacks stopped",
        passed.good, passed.all, stopped.good, stopped.all
    );
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} things are not as they should be", wrong.len())) }
}

/// How a part went.
#[derive(Default)]
struct Tally {
    good: usize,
    all: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn count(&mut self, about: &str, outcome: Result<(), String>) {
        self.all += 1;
        match outcome {
            Ok(()) => self.good += 1,
            Err(why) => self.wrong.push(format!("{about}: {why}")),
        }
    }
}

async fn set_up(binary: &Path) -> Result<Stage, String> {
    let plain = gateway(binary).await?;
    let guarded = gateway(binary).await?;
    let tap = Tap::open(guarded.addr).await?;
    let nginx = Nginx::start(free_address()?, tap.addr).await?;
    Ok(Stage { plain, guarded, tap, nginx })
}

async fn gateway(binary: &Path) -> Result<Gateway, String> {
    let on = || "true".to_owned();
    let settings = vec![
        ("SEAWALL_SERVER__TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
        ("SEAWALL_WEBHOOKS__ALLOW_PRIVATE", on()),
        ("SEAWALL_WEBHOOKS__ALLOW_HTTP", on()),
    ];
    let gateway = Gateway::start_with(binary, None, settings).await?;
    // Many numbers, many texts, one caller: what is wanted here is that everything is sent.
    gateway.admin("PATCH", "settings", Some(json!({"detection": {"mode": "off"}}))).await?;
    let price = json!({"country": "SG", "mcc": "525", "mnc": "01", "amount": 41_000, "currency": "USD"});
    gateway.admin("POST", "prices", Some(price)).await?;
    Ok(gateway)
}

/// The address of the caller arrives: appended behind what the caller claims, and believed from the right.
async fn forwarding(stage: &Stage) -> Result<Vec<String>, String> {
    let body = json!({"destination": "+6591239876", "text": "x"}).to_string();
    let path = format!("/api/v1/subaccounts/{}/messages", stage.guarded.subaccount);
    let headers = [("X-Forwarded-For", "203.0.113.9"), ("Content-Type", "application/json")];
    let request = http::request("POST", &path, &stage.guarded.api_key, &headers, body.as_bytes());
    let answer = http::ask(stage.nginx.addr, &request).await?;
    let head = stage.tap.last().to_ascii_lowercase();
    let mut wrong = Vec::new();
    if !head.contains("x-forwarded-for: 203.0.113.9, 127.0.0.2\r\n") {
        wrong.push(format!("the caller's address is not appended:\n{head}"));
    }
    if answer.status != 200 {
        wrong.push(format!("a caller behind other proxies gets {}", answer.status));
        return Ok(wrong);
    }
    let id = answer.headers.get("seawall-decision-id").cloned().unwrap_or_default();
    let decision = stage.guarded.admin("GET", &format!("decisions/{id}"), None).await?;
    let caller = decision.get("caller_ip").and_then(Value::as_str).unwrap_or("nobody");
    if caller != "127.0.0.2" {
        wrong.push(format!("the gateway took another caller: {caller}"));
    }
    Ok(wrong)
}

/// What must not be in a log of nginx.
fn secrets(stage: &Stage) -> Vec<String> {
    let given = [&stage.guarded.api_key, &stage.guarded.admin_token].map(Clone::clone);
    given.into_iter().chain(["code=", "6591239876", "smuggled"].map(str::to_owned)).collect()
}
