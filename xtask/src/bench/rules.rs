//! What lists and rules cost a decision, and how fast a draft is tested over recorded traffic.

use std::path::Path;

use serde_json::{Value, json};

use super::batches::{BATCH, fill, later, settle};
use super::load::{Next, Outcome, drive};
use super::report::{Bar, Row, number};
use super::scenes::{CONNECTIONS, decisions, with_three_windows};
use super::{SERVER_CORE, Scale, cpu};
use crate::live::{Gateway, Wire, median, request};

/// Entries over all lists.
const ENTRIES: usize = 10_000;
/// Entries of one import.
const IMPORT: usize = 1_000;
/// Makes the value of an entry from its number.
type Maker = fn(usize) -> String;

/// Kinds of lists, and how the n-th entry of each is spelled.
const LISTS: [(&str, Maker); 6] = [
    ("deny-msisdn", |n| format!("+4474{n:08}")),
    ("deny-number_range", |n| format!("+4475{n:05}")),
    ("deny-ip", |n| format!("192.{}.{}.0/24", n / 250 % 250, n % 250)),
    ("deny-asn", |n| format!("{}", 400_000 + n)),
    ("deny-user", |n| format!("user-{n}")),
    ("deny-device", |n| format!("device-{n}")),
];

/// The n-th rule: what operators write, and nothing that matches the load.
fn condition(n: usize) -> String {
    match n % 10 {
        0 => format!("number.country == \"UZ\" && client.asn == {n}"),
        1 => format!("client.hosting && number.type == \"voip\" && request.price > {n}"),
        2 => format!("number.range.startsWith(\"+99893{n}\")"),
        3 => format!("ip_in(client.ip, \"198.{}.0.0/16\") && !number.known", n % 250),
        4 => format!("client.user_agent.matches(\"(?i)python|curl/{n}\")"),
        5 => format!("number.country in [\"UZ\", \"TJ\", \"KG\", \"AZ\"] && request.segments > {}", n % 5),
        6 => format!("message.url_hosts.exists(h, h.endsWith(\".top{n}\"))"),
        7 => format!("client.country != number.country && client.vpn && request.purpose == \"signup{n}\""),
        8 => format!("in_list(\"deny-user\") && client.user == \"u{n}\""),
        _ => format!(
            "request.hour < 0 || request.price * 3 > {} || client.headers[\"x-app\"] == \"{n}\"",
            n + 10_000_000
        ),
    }
}

async fn with_rules(binary: &Path, rules: usize) -> Result<Gateway, String> {
    let gateway = with_three_windows(binary).await?;
    for (list, entry) in LISTS {
        for from in (0..ENTRIES / LISTS.len()).step_by(IMPORT) {
            let until = (from + IMPORT).min(ENTRIES / LISTS.len());
            let rows: Vec<String> = (from..until).map(entry).collect();
            import(&gateway, list, &format!("value\n{}\n", rows.join("\n"))).await?;
        }
    }
    for n in 0..rules {
        let rule = json!({"name": format!("bench {n}"), "action": "block", "when": condition(n)});
        gateway.admin("POST", "rules", Some(rule)).await?;
    }
    Ok(gateway)
}

async fn import(gateway: &Gateway, list: &str, table: &str) -> Result<(), String> {
    let path = format!("/admin/v1/lists/{list}/entries/import");
    let mut wire = Wire::open(gateway.addr).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&request("POST", &path, &gateway.admin_token, table)).into_owned();
    let text = text.replace("application/json", "text/csv");
    let answer = wire.exchange(text.as_bytes()).await.map_err(|error| error.to_string())?;
    match answer.status {
        200..300 => Ok(()),
        status => Err(format!("{path}: {status} {}", String::from_utf8_lossy(answer.body))),
    }
}

/// Decisions with and without lists and rules, in turns.
pub async fn rules(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let plain = with_three_windows(binary).await?;
    let mut rows = Vec::new();
    for (rules, bar) in [(20, 1.2), (200, 2.0)] {
        let full = with_rules(binary, rules).await?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..scale.repeats {
            without.push(measured(&plain, scale, decisions(&plain.api_key)).await?.per_cpu_second);
            with.push(measured(&full, scale, decisions(&full.api_key)).await?.per_cpu_second);
        }
        let (with, without) = (median(with), median(without));
        let each = (1e6 / with - 1e6 / without) / f64::from(u16::try_from(rules).unwrap_or(1));
        rows.push(Row {
            name: format!(
                "decision with {} list entries and {rules} rules ({each:.2} us a rule)",
                number(ENTRIES as f64)
            ),
            value: format!("{}/CPU-s", number(with)),
            floor: format!("{}/CPU-s", number(without)),
            result: without / with,
            unit: "x",
            bar: Bar::AtMost(bar),
        });
    }
    Ok(rows)
}

async fn measured(gateway: &Gateway, scale: Scale, next: Next) -> Result<Outcome, String> {
    let outcome = drive(gateway.addr, gateway.pid(), scale.plan(CONNECTIONS), next).await?;
    match outcome.refused {
        refused if refused > 0.01 => {
            Err(format!("{:.1} % of the load was refused: not what is measured", refused * 100.0))
        }
        _ => Ok(outcome),
    }
}

/// A draft over a ledger full of messages: recorded requests for a second of CPU time.
pub async fn backtest(binary: &Path, scale: Scale) -> Result<Vec<Row>, String> {
    let gateway = Gateway::start(binary, Some(SERVER_CORE)).await?;
    gateway.lift_rates().await?;
    let later = later(&gateway).await?;
    fill(&gateway, scale.fill, Some(&*later)).await?;
    settle(&gateway).await?;
    let drafts = [
        (
            "back-test, 3 comparisons, few matches",
            "number.country == \"UZ\" && client.hosting && request.price > 100000",
        ),
        ("back-test that matches everything", "request.segments >= 1"),
    ];
    let mut rows = Vec::new();
    for (name, when) in drafts {
        let mut speeds = Vec::new();
        for _ in 0..scale.repeats {
            let before = cpu::time(gateway.pid())?;
            let draft = json!({"when": when, "since": "1d"});
            let report = gateway.admin("POST", "rules/backtest", Some(draft)).await?;
            let spent = cpu::time(gateway.pid())?.saturating_sub(before).as_secs_f64();
            let requests = report.get("requests").and_then(Value::as_f64).unwrap_or_default();
            if requests < (scale.fill * BATCH) as f64 {
                return Err(format!("a back-test saw {requests} requests only"));
            }
            speeds.push(requests / spent.max(0.01));
        }
        let speed = median(speeds);
        let (name, value) = (name.to_owned(), format!("{} requests/CPU-s", number(speed)));
        let bar = Bar::AtLeast(200_000.0);
        rows.push(Row { name, value, floor: "-".to_owned(), result: speed, unit: "", bar });
    }
    Ok(rows)
}
