//! What is asked of the gateway, request by request: decisions and codes.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Next, Outcome, Plan, drive};
use super::report::{Bar, Row, number};
use super::server::Floor;
use super::{LOAD_CORE, SERVER_CORE, Scale};
use crate::live::{Gateway, Random, Redis, address, median, mobile};

/// Connections of the throughput measurements.
pub const CONNECTIONS: usize = 64;
/// No number is used twice in one run.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// A number that this run has not used yet.
pub fn next_number() -> u64 {
    mobile(NUMBERS.fetch_add(1, Ordering::Relaxed))
}

fn post(out: &mut Vec<u8>, path: &str, key: &str, body: &str) {
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// Decisions about fresh numbers from any address.
pub fn decisions(key: &str) -> Next {
    let key = key.to_owned();
    Arc::new(move |out| {
        let number = next_number();
        let ip = address(&mut Random::new(number));
        let body = format!("{{\"to\":\"+{number}\",\"purpose\":\"login\",\"client\":{{\"ip\":\"{ip}\"}}}}");
        post(out, "/v1/decisions", &key, &body);
    })
}

/// Codes to fresh numbers.
pub fn sessions(key: &str, subaccount: &str) -> Next {
    let (key, path) = (key.to_owned(), format!("/api/v2/subaccounts/{subaccount}/sessions"));
    Arc::new(move |out| post(out, &path, &key, &format!("{{\"destination\":\"+{}\"}}", next_number())))
}

/// Medians of several measurements, floor and gateway in turns.
struct Pair {
    gateway: Vec<Outcome>,
    floor: Vec<Outcome>,
}

impl Pair {
    async fn measure(
        gateway: &Gateway,
        floor: &Floor,
        plan: Plan,
        repeats: usize,
        next: Next,
    ) -> Result<Self, String> {
        let mut pair = Pair { gateway: Vec::new(), floor: Vec::new() };
        for _ in 0..repeats {
            pair.floor.push(drive(floor.addr, floor.pid(), plan, next.clone()).await?);
            pair.gateway.push(drive(gateway.addr, gateway.pid(), plan, next.clone()).await?);
        }
        let refused = median(pair.gateway.iter().map(|outcome| outcome.refused).collect());
        if refused > 0.01 {
            return Err(format!(
                "the gateway refused {:.1} % of the load: not what is measured",
                refused * 100.0
            ));
        }
        Ok(pair)
    }

    fn medians(&self, of: impl Fn(&Outcome) -> f64) -> (f64, f64) {
        (median(self.gateway.iter().map(&of).collect()), median(self.floor.iter().map(&of).collect()))
    }

    fn throughput(&self, name: &str, bar: Bar) -> Row {
        let (gateway, floor) = self.medians(|outcome| outcome.per_cpu_second);
        let (wall, _) = self.medians(|outcome| outcome.per_second);
        Row {
            name: name.to_owned(),
            value: format!("{}/CPU-s ({}/s)", number(gateway), number(wall)),
            floor: format!("{}/CPU-s", number(floor)),
            result: gateway / floor,
            unit: "x",
            bar,
        }
    }

    fn latency(&self, name: &str, of: impl Fn(&Outcome) -> Duration, bar: Bar) -> Row {
        let (gateway, floor) = self.medians(|outcome| of(outcome).as_secs_f64() * 1e6);
        Row {
            name: name.to_owned(),
            value: format!("{gateway:.0} us"),
            floor: format!("{floor:.0} us"),
            result: gateway / floor.max(1.0),
            unit: "x",
            bar,
        }
    }
}

/// A gateway whose limits are three exact windows with room for everything.
pub async fn with_three_windows(binary: &Path) -> Result<Gateway, String> {
    three_windows(binary, Vec::new()).await
}

async fn three_windows(binary: &Path, settings: Vec<(&'static str, String)>) -> Result<Gateway, String> {
    let gateway = Gateway::start_with(binary, Some(SERVER_CORE), settings).await?;
    room_for_everything(&gateway).await?;
    Ok(gateway)
}

/// Makes its limits three exact windows with room for everything.
pub async fn room_for_everything(gateway: &Gateway) -> Result<(), String> {
    gateway.lift_rates().await?;
    let built_in = gateway.admin("GET", "limits?limit=200", None).await?;
    for limit in built_in.get("data").and_then(Value::as_array).into_iter().flatten() {
        let id = limit.get("id").and_then(Value::as_str).unwrap_or_default();
        gateway.admin("DELETE", &format!("limits/{id}"), None).await?;
    }
    for per in ["client_ip", "msisdn", "number_range"] {
        let limit = json!({"name": format!("bench {per}"), "per": per, "applies_to": ["verify.start", "sms.send"],
                           "quota": 1_000_000, "window": "30m", "counts": "sends", "mode": "enforce"});
        gateway.admin("POST", "limits", Some(limit)).await?;
    }
    Ok(())
}

/// Decisions without a send: number and address facts and windows alone, and with detection.
pub async fn decision(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (detection, bar) in [("off", Bar::AtLeast(0.50)), ("shadow", Bar::None)] {
        let gateway = with_three_windows(binary).await?;
        detect(&gateway, detection).await?;
        let floor = Floor::start(binary, false).await?;
        let next = decisions(&gateway.api_key);
        let pair = Pair::measure(&gateway, &floor, scale.plan(CONNECTIONS), scale.repeats, next).await?;
        rows.push(pair.throughput(&format!("decision, 3 exact windows{}", said(detection)), bar));
    }
    Ok(rows)
}

/// The same with windows in Redis, which runs on the core of the load: what the gateway does for its own CPU time.
pub async fn redis(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let redis = Redis::start(Some(LOAD_CORE))?;
    let settings =
        vec![("SEAWALL_COUNTERS__URL", redis.url()), ("SEAWALL_SANDBOX__CLOCK", "false".to_owned())];
    let gateway = three_windows(binary, settings).await?;
    detect(&gateway, "off").await?;
    let floor = Floor::start(binary, false).await?;
    let next = decisions(&gateway.api_key);
    let plan = Plan { own_core: false, ..scale.plan(CONNECTIONS) };
    let pair = Pair::measure(&gateway, &floor, plan, scale.repeats, next).await?;
    let refused = json!({"name": "bench account", "per": "account", "applies_to": ["verify.start"], "quota": 1,
                         "window": "1h", "counts": "sends", "mode": "enforce"});
    gateway.admin("POST", "limits", Some(refused)).await?;
    let next = decisions(&gateway.api_key);
    let before = redis.calls()?;
    let flood = drive(gateway.addr, gateway.pid(), plan, next).await?;
    let asked = redis.calls()?.saturating_sub(before);
    let answers = flood.per_second * scale.time.as_secs_f64();
    Ok(vec![
        pair.throughput("decision in Redis mode", Bar::AtLeast(0.35)),
        Row {
            name: "refused in Redis mode".to_owned(),
            value: format!("{}/CPU-s ({}/s)", number(flood.per_cpu_second), number(flood.per_second)),
            floor: format!("{asked} calls of Redis"),
            #[allow(clippy::cast_precision_loss, reason = "a count of calls")]
            result: asked as f64 / answers.max(1.0),
            unit: " calls each",
            bar: Bar::AtMost(0.01),
        },
    ])
}

/// A load of which nobody confirms a code is a campaign: detection is off, or only watches.
pub async fn detect(gateway: &Gateway, mode: &str) -> Result<(), String> {
    gateway.admin("PATCH", "settings", Some(json!({"detection": {"mode": mode}}))).await.map(|_| ())
}

/// How a row names its mode of detection.
pub fn said(detection: &str) -> &'static str {
    if detection == "off" { "" } else { ", with detection" }
}

/// The same over one connection: how long one takes.
pub async fn latency(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let gateway = with_three_windows(binary).await?;
    let floor = Floor::start(binary, false).await?;
    let next = decisions(&gateway.api_key);
    let pair = Pair::measure(&gateway, &floor, scale.plan(1), scale.repeats, next).await?;
    Ok(vec![
        pair.latency("decision, 1 connection, p50", |outcome| outcome.median, Bar::AtMost(2.0)),
        pair.latency("decision, 1 connection, p99", |outcome| outcome.p99, Bar::None),
    ])
}

/// Codes, durable before the answer, and carried to the sandbox phone meanwhile.
pub async fn send(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (detection, bar) in [("off", Bar::AtLeast(0.45)), ("shadow", Bar::AtLeast(0.40))] {
        let gateway = Gateway::start(binary, Some(SERVER_CORE)).await?;
        gateway.lift_rates().await?;
        detect(&gateway, detection).await?;
        let floor = Floor::start(binary, true).await?;
        let next = sessions(&gateway.api_key, &gateway.subaccount);
        let pair = Pair::measure(&gateway, &floor, scale.plan(CONNECTIONS), scale.repeats, next).await?;
        rows.push(pair.throughput(&format!("durable code and its delivery{}", said(detection)), bar));
    }
    Ok(rows)
}
