//! What clients send, to a gateway without and to one with a firewall: both have to say the same.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::corpus::{Known, expanded, filled, read, text};
use super::http::{Answer, HOST, ask, request};
use super::{Stage, Tally};
use crate::live::Gateway;

/// Headers that belong to a connection or to whoever answers on it.
const OF_THE_HOP: [&str; 6] =
    ["connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"];

/// One of the two ways, and what was learned on it.
struct Way<'s> {
    gateway: &'s Gateway,
    to: SocketAddr,
    known: Known,
}

/// Plays every line on both ways.
pub async fn play(stage: &Stage) -> Result<Tally, String> {
    let mut plain = Way::new(&stage.plain, stage.plain.addr)?;
    let mut guarded = Way::new(&stage.guarded, stage.nginx.addr)?;
    let mut tally = Tally::default();
    for line in read("traffic.jsonl")? {
        let about = text(&line, "about");
        let wrong = |error: String| format!("{about}: {error}");
        if line.get("method").is_none() {
            plain.prepare(&line).await.map_err(wrong)?;
            guarded.prepare(&line).await.map_err(wrong)?;
            continue;
        }
        let (without, with) =
            (plain.step(&line).await.map_err(wrong)?, guarded.step(&line).await.map_err(wrong)?);
        tally.count(about, same(&line, &without, &with));
    }
    Ok(tally)
}

impl<'s> Way<'s> {
    fn new(gateway: &'s Gateway, to: SocketAddr) -> Result<Self, String> {
        let known = [
            ("sub", gateway.subaccount.clone()),
            ("account", "acme".to_owned()),
            ("ahead1", ahead("1 hour")?),
            ("ahead2", ahead("2 hours")?),
        ];
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Way { gateway, to, known })
    }

    /// What is done beside requests: the clock is moved, the phone is read.
    async fn prepare(&mut self, line: &Value) -> Result<(), String> {
        if let Some(by) = line.get("advance") {
            self.gateway.admin("PUT", "sandbox/clock", Some(json!({"advance": by}))).await?;
            return Ok(());
        }
        let path = format!("sandbox/messages?to={}", text(line, "code").replace('+', "%2B"));
        for _ in 0..200 {
            let phone = self.gateway.admin("GET", &path, None).await?;
            let said = phone.pointer("/data/0/text").and_then(Value::as_str).unwrap_or_default();
            let is_code = |word: &&str| word.len() >= 4 && word.bytes().all(|b| b.is_ascii_digit());
            if let Some(code) = said.split(|c: char| !c.is_ascii_digit()).find(is_code) {
                self.known.insert(text(line, "keep").to_owned(), code.to_owned());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err("the phone received no code".to_owned())
    }

    /// One request, repeated until it has come to what the line waits for.
    async fn step(&mut self, line: &Value) -> Result<Answer, String> {
        let bytes = self.bytes(line);
        let mut answer = ask(self.to, &bytes).await?;
        for _ in 0..200 {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let waits = line.get("until").and_then(Value::as_object).into_iter().flatten();
            if waits.clone().all(|(place, wanted)| body.pointer(place) == Some(wanted)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
            answer = ask(self.to, &bytes).await?;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        for (name, place) in line.get("keep").and_then(Value::as_object).into_iter().flatten() {
            let found = place.as_str().and_then(|place| body.pointer(place)).and_then(Value::as_str);
            let found = found.ok_or_else(|| format!("{} without {place}: {body}", answer.status))?;
            let found = found.strip_prefix(&format!("http://{HOST}")).unwrap_or(found);
            self.known.insert(name.clone(), found.to_owned());
        }
        Ok(answer)
    }

    fn bytes(&self, line: &Value) -> Vec<u8> {
        let bearer = match text(line, "as") {
            "nobody" => "",
            "operator" => self.gateway.admin_token.as_str(),
            _ => self.gateway.api_key.as_str(),
        };
        let body = match (line.get("body"), line.get("raw").and_then(Value::as_str)) {
            (Some(body), _) => expanded(body, &self.known).to_string(),
            (None, raw) => raw.unwrap_or_default().to_owned(),
        };
        let mut headers = Vec::new();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        if line.get("chunked").is_some() {
            headers.push(("Transfer-Encoding", "chunked"));
        }
        for (name, value) in line.get("headers").and_then(Value::as_object).into_iter().flatten() {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name, value.as_str().unwrap_or_default()));
        }
        let path = filled(text(line, "path"), &self.known);
        request(text(line, "method"), &path, bearer, &headers, body.as_bytes())
    }
}

/// RFC 3339, some time from now.
fn ahead(by: &str) -> Result<String, String> {
    let said = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", by]).output();
    let said = said.map_err(|error| format!("cannot start date: {error}"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Whether a firewall made no difference.
fn same(line: &Value, without: &Answer, with: &Answer) -> Result<(), String> {
    let wanted = line.get("status").and_then(Value::as_u64);
    if wanted.is_some_and(|wanted| wanted != u64::from(without.status)) {
        let body = String::from_utf8_lossy(&without.body);
        return Err(format!("the gateway alone says {} instead of {wanted:?}: {body}", without.status));
    }
    if with.status != without.status {
        let body = String::from_utf8_lossy(&with.body);
        return Err(format!("{} instead of {}: {body}", with.status, without.status));
    }
    let of = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let (with_body, without_body) = (of(with), of(without));
    if with_body.get("code") != without_body.get("code") {
        return Err(format!("{with_body} instead of {without_body}"));
    }
    if line.get("by_nginx").is_some() {
        return Ok(());
    }
    let fields = |body: &Value| body.as_object().map(|body| body.keys().cloned().collect::<Vec<_>>());
    if fields(&with_body) != fields(&without_body) {
        return Err(format!("{with_body} instead of {without_body}"));
    }
    let names = |answer: &Answer| -> BTreeSet<String> {
        answer.headers.keys().filter(|name| !OF_THE_HOP.contains(&name.as_str())).cloned().collect()
    };
    let (with, without) = (names(with), names(without));
    if with == without { Ok(()) } else { Err(format!("headers {with:?} instead of {without:?}")) }
}
