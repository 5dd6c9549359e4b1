//! Three nodes over one PostgreSQL and one Redis, all on this machine, load included: what they do together, what
//! a request asks of the two servers, whether a limit is exact, and how soon a killed node's work is taken.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::{Next, Outcome, Plan, drive};
use super::report::{Bar, Row, number};
use super::scenes::{CONNECTIONS, decisions, detect, next_number, room_for_everything, said, sessions};
use super::server::Floor;
use super::{Scale, cpu};
use crate::live::{Fleet, Gateway, Wire, request};

/// Nodes.
const NODES: usize = 3;
/// What the limit admits whose exactness is looked at.
const QUOTA: u64 = 500;

/// Everything.
pub async fn all(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let floor = Floor::start(binary, false).await?;
    let floor = drive(floor.addr, floor.pid(), scale.plan(CONNECTIONS), decisions("none")).await?;
    if !cpu::roam() {
        println!("taskset is missing: nodes and servers may share fewer cores than there are");
    }
    let mut fleet = Fleet::start(binary, NODES).await?;
    let first = fleet.first()?;
    room_for_everything(first).await?;
    let mut rows = Vec::new();
    for mode in ["off", "shadow"] {
        detect(first, mode).await?;
        fleet.in_force().await?;
        rows.extend(deciding(&fleet, scale, &floor, said(mode)).await?);
    }
    rows.extend(sending(&fleet, scale).await?);
    rows.extend(alone(&fleet, scale).await?);
    rows.push(exact(&fleet).await?);
    rows.push(taking_over(&mut fleet).await?);
    Ok(rows)
}

/// What all did, and what it asked of the servers.
struct Together {
    per_second: f64,
    answers: f64,
    nodes: Duration,
    postgres: Duration,
    redis: Duration,
    load: Duration,
    transactions: u64,
    scripts: u64,
}

fn spent(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| cpu::time(*pid).ok()).sum()
}

/// All servers run on the cores of the load too.
fn shared(scale: Scale, connections: usize) -> Plan {
    Plan { own_core: false, ..scale.plan(connections) }
}

/// Drives all nodes at once, over so many connections each. What the servers did includes the warm-up, so figures of a request are too high by up to
/// a fifth.
async fn together(
    fleet: &Fleet,
    scale: Scale,
    connections: usize,
    next: impl Fn(&Gateway) -> Next,
) -> Result<Together, String> {
    let (postgres, redis, load) = (fleet.postgres.pids(), [fleet.redis.pid()], [std::process::id()]);
    let nodes: Vec<u32> = fleet.nodes.iter().map(Gateway::pid).collect();
    let (transactions, scripts) = (fleet.postgres.transactions()?, fleet.redis.calls()?);
    let before = (spent(&nodes), spent(&postgres), spent(&redis), spent(&load));
    let plan = shared(scale, connections);
    let drives = fleet.nodes.iter().map(|node| tokio::spawn(drive(node.addr, node.pid(), plan, next(node))));
    let drives: Vec<_> = drives.collect();
    let (mut per_second, mut refused) = (0.0, 0.0f64);
    for one in drives {
        let one: Outcome = one.await.map_err(|error| error.to_string())??;
        per_second += one.per_second;
        refused = refused.max(one.refused);
    }
    if refused > 0.01 {
        return Err(format!(
            "the gateways refused {:.1} % of the load: not what is measured",
            refused * 100.0
        ));
    }
    let whole = scale.time.as_secs_f64() * 1.25;
    Ok(Together {
        per_second,
        answers: per_second * whole,
        nodes: spent(&nodes).saturating_sub(before.0),
        postgres: spent(&postgres).saturating_sub(before.1),
        redis: spent(&redis).saturating_sub(before.2),
        load: spent(&load).saturating_sub(before.3),
        transactions: fleet.postgres.transactions()?.saturating_sub(transactions),
        scripts: fleet.redis.calls()?.saturating_sub(scripts),
    })
}

impl Together {
    fn micros(&self, of: Duration) -> String {
        format!("{:.0}", of.as_secs_f64() * 1e6 / self.answers.max(1.0))
    }

    fn each(&self, count: u64) -> f64 {
        count as f64 / self.answers.max(1.0)
    }

    fn costs(&self, what: &str) -> Row {
        let value = format!(
            "CPU us: nodes {}, PostgreSQL {}, Redis {}, this load {}",
            self.micros(self.nodes),
            self.micros(self.postgres),
            self.micros(self.redis),
            self.micros(self.load)
        );
        let floor = format!("{:.2} transactions", self.each(self.transactions));
        let name = format!("{what}, what one costs");
        Row { name, value, floor, result: self.each(self.scripts), unit: " scripts", bar: Bar::None }
    }
}

async fn deciding(fleet: &Fleet, scale: Scale, floor: &Outcome, said: &str) -> Result<Vec<Row>, String> {
    let done = together(fleet, scale, CONNECTIONS, |node| decisions(&node.api_key)).await?;
    let per_cpu = done.answers / done.nodes.as_secs_f64().max(0.01);
    let rate = Row {
        name: format!("decisions, {NODES} nodes{said}"),
        value: format!("{}/CPU-s ({}/s)", number(per_cpu), number(done.per_second)),
        floor: format!("{}/CPU-s", number(floor.per_cpu_second)),
        result: per_cpu / floor.per_cpu_second,
        unit: "x",
        bar: Bar::None,
    };
    Ok(vec![rate, done.costs(&format!("decision{said}"))])
}

async fn sending(fleet: &Fleet, scale: Scale) -> Result<Vec<Row>, String> {
    let done = together(fleet, scale, CONNECTIONS, |node| sessions(&node.api_key, &node.subaccount)).await?;
    let rate = Row {
        name: format!("durable codes, {NODES} nodes"),
        value: format!("{}/s", number(done.per_second)),
        floor: "-".to_owned(),
        result: done.per_second,
        unit: "/s",
        bar: Bar::AtLeast(5_000.0),
    };
    Ok(vec![rate, done.costs("durable code and its delivery")])
}

/// What one costs that finds nobody to share a trip with: one connection a node.
async fn alone(fleet: &Fleet, scale: Scale) -> Result<Vec<Row>, String> {
    let sent = together(fleet, scale, 1, |node| sessions(&node.api_key, &node.subaccount)).await?;
    detect(fleet.first()?, "off").await?;
    fleet.in_force().await?;
    let decided = together(fleet, scale, 1, |node| decisions(&node.api_key)).await?;
    Ok(vec![decided.costs("decision that comes alone"), sent.costs("durable code that comes alone")])
}

async fn in_states(node: &Gateway, states: &[&str]) -> Result<u64, String> {
    let overview = node.admin("GET", "stats/overview", None).await?;
    let count =
        |state: &str| overview.pointer(&format!("/messages/by_state/{state}")).and_then(Value::as_u64);
    Ok(states.iter().filter_map(|state| count(state)).sum())
}

const STATES: [&str; 10] = [
    "queued",
    "scheduled",
    "submitting",
    "sent",
    "delivered",
    "failed",
    "expired",
    "unknown",
    "canceled",
    "rejected",
];

/// All nodes at once against one limit; what they acknowledged is what the ledger has.
async fn exact(fleet: &Fleet) -> Result<Row, String> {
    let first = fleet.first()?;
    let limit = json!({"name": "exact", "per": "msisdn", "applies_to": ["sms.send"], "quota": QUOTA,
                       "window": "1h", "counts": "sends", "mode": "enforce"});
    first.admin("POST", "limits", Some(limit)).await?;
    fleet.in_force().await?;
    let before = in_states(first, &STATES).await?;
    let body = json!({"to": format!("+{}", next_number()), "text": "hi"}).to_string();
    let taken = Arc::new(AtomicU64::new(0));
    let mut all = Vec::new();
    for connection in 0..NODES * CONNECTIONS {
        let node = fleet.nodes.get(connection % NODES).ok_or("a node is missing")?;
        let (addr, body, taken) =
            (node.addr, request("POST", "/v1/messages", &node.api_key, &body), taken.clone());
        all.push(tokio::spawn(async move {
            let mut wire = Wire::open(addr).await?;
            for _ in 0..12 {
                if wire.exchange(&body).await?.status == 201 {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok::<_, std::io::Error>(())
        }));
    }
    for one in all {
        one.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    let taken = taken.load(Ordering::Relaxed);
    let kept = in_states(first, &STATES).await?.saturating_sub(before);
    let value = format!("{taken} acknowledged, {kept} in the ledger");
    let off = taken.abs_diff(QUOTA).max(kept.abs_diff(QUOTA));
    let name = format!("a limit of {QUOTA}, {} connections", NODES * CONNECTIONS);
    Ok(Row { name, value, floor: "-".to_owned(), result: off as f64, unit: " off", bar: Bar::AtMost(0.0) })
}

/// A provider that takes messages and never answers; a node is killed with some on their way there.
async fn taking_over(fleet: &mut Fleet) -> Result<Row, String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let first = fleet.first()?;
    let settings = json!({"url": format!("http://{addr}/send"), "method": "POST", "allow_http": true,
                          "body": {"id": "{id}", "to": "{to}", "text": "{text}"}});
    let provider = json!({"name": "mute", "kind": "http", "enabled": true, "settings": settings});
    first.admin("POST", "providers", Some(provider)).await?;
    let routes = first.admin("GET", "routes", None).await?;
    for route in routes.get("data").and_then(Value::as_array).into_iter().flatten() {
        let id = route.get("id").and_then(Value::as_str).unwrap_or_default();
        first.admin("DELETE", &format!("routes/{id}"), None).await?;
    }
    first.admin("POST", "routes", Some(json!({"match": {}, "providers": ["mute"]}))).await?;
    fleet.in_force().await?;
    let last = fleet.nodes.last_mut().ok_or("there is no node")?;
    for _ in 0..50 {
        let body = json!({"to": format!("+{}", next_number()), "text": "hi"});
        let (status, answer) = last.call("POST", "/v1/messages", &last.api_key, Some(&body)).await?;
        if status != 201 {
            return Err(format!("a message was not accepted: {status} {answer}"));
        }
    }
    last.kill();
    let begun = Instant::now();
    let first = fleet.first()?;
    while in_states(first, &["submitting", "queued"]).await? > 0 {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("nobody takes the work of a killed node".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = begun.elapsed().as_secs_f64();
    let name = "a killed node's work is taken".to_owned();
    let value = format!("{taken:.1} s, {} unknown", in_states(first, &["unknown"]).await?);
    Ok(Row { name, value, floor: "-".to_owned(), result: taken, unit: " s", bar: Bar::AtMost(5.0) })
}
