//! PostgreSQL and Redis fail under load.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::steady::Steady;
use super::table::Table;
use crate::crash::sink::Sink;
use crate::crash::{drain, set_up_provider};
use crate::live::{Fleet, Gateway, Postgres};

/// Whoever asks is refused within this.
const REFUSED: Duration = Duration::from_secs(2);
/// When the store is back, it goes on within this.
const RESUMED: Duration = Duration::from_secs(5);
/// What callers see of a refusal that was decided in time: the way there and back on a busy machine.
const WAY: Duration = Duration::from_millis(300);

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A gateway over a PostgreSQL of its own, whose connections are killed, stopped, and used up.
pub async fn postgres(binary: &Path, seed: u64, table: &mut Table) -> Result<(), String> {
    let server = Postgres::start()?;
    let gateway = Gateway::start_with(binary, None, vec![("SEAWALL_STORE__URL", server.url())]).await?;
    let (sink, provider) = Sink::open(seed).await?;
    set_up_provider(&gateway, &provider.to_string()).await?;
    let callers = Steady::begin(&gateway, seed);
    sleep(Duration::from_secs(2)).await;
    for (what, long) in [("killed", 3), ("stopped for 10 s", 10), ("its pool exhausted", 6)] {
        let begun = Instant::now();
        let back = match what {
            "killed" => {
                server.crash(long)?;
                let back = begun + Duration::from_secs(u64::from(long));
                sleep(back.duration_since(Instant::now())).await;
                while server.ask("seawall", "SELECT 1").is_err() {
                    sleep(Duration::from_millis(50)).await;
                }
                Instant::now()
            }
            "stopped for 10 s" => {
                server.pause(true)?;
                sleep(Duration::from_secs(u64::from(long))).await;
                server.pause(false)?;
                Instant::now()
            }
            _ => {
                let sql = format!("BEGIN; LOCK TABLE messages; SELECT pg_sleep({long}); COMMIT");
                tokio::task::block_in_place(|| server.ask("seawall", &sql))?;
                Instant::now()
            }
        };
        let resumed = callers.resumes(back).await?;
        let longest = callers.longest(begun, back);
        let during = callers.by_status(begun + Duration::from_millis(500), back);
        println!("     {what}: answers meanwhile {during:?}");
        let holds = longest <= REFUSED + WAY && resumed <= RESUMED;
        let figure = format!("answered within {}, resumed after {}", seconds(longest), seconds(resumed));
        let bar = "503 within 2 s, resumes within 5 s";
        table.row(holds, &format!("PostgreSQL {what}"), bar, figure);
        sleep(Duration::from_secs(2)).await;
    }
    let (all, lost, twice) = callers.settle(&gateway, &sink).await?;
    let figure = format!("{lost} lost, {twice} doubled of {all}");
    table.row(lost + twice == 0 && all > 100, "PostgreSQL: nothing lost or doubled", "0", figure);
    Ok(())
}

/// Two gateways that count in a Redis which is killed, flushed, full and slow.
pub async fn redis(binary: &Path, seed: u64, table: &mut Table) -> Result<(), String> {
    const BUDGET: u64 = 40;
    const QUOTA: u64 = 12;
    let mut fleet = Fleet::start(binary, 2).await?;
    let (sink, provider) = Sink::open(seed).await?;
    set_up_provider(fleet.first()?, &provider.to_string()).await?;
    let budget = json!({"name": "day", "unit": "messages", "amount": BUDGET, "window": "24h"});
    let limit =
        json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": QUOTA, "window": "2h"});
    let out = json!({"msisdn": "+6598765432"});
    for (path, body) in [("budgets", budget), ("limits", limit), ("opt-outs", out)] {
        fleet.first()?.admin("POST", path, Some(body)).await?;
    }
    fleet.in_force().await?;
    for disturbance in ["killed", "FLUSHALL", "CONFIG SET maxmemory 1", "CLIENT PAUSE 2000 ALL"] {
        burst(&fleet, 1).await;
        match disturbance {
            "killed" => fleet.redis.kill()?,
            command => drop(fleet.redis.call(command)?),
        }
        burst(&fleet, 40).await;
        sleep(Duration::from_secs(2)).await;
        match disturbance {
            "killed" => fleet.redis.revive()?,
            _ => drop(fleet.redis.call("CONFIG SET maxmemory 0")?),
        }
        let begun = Instant::now();
        while fleet.first()?.call("GET", "/readyz", "", None).await?.0 != 200 {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(format!("it does not go on after {disturbance}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    // Up to the limit and the budget, and not beyond.
    let begun = Instant::now();
    let mut said = BTreeMap::new();
    while begun.elapsed() < Duration::from_secs(60) && (sink.deliveries().len() as u64) < BUDGET {
        said = burst(&fleet, 30).await;
        sleep(Duration::from_millis(500)).await;
    }
    burst(&fleet, 60).await;
    drain(fleet.first()?).await?;
    println!("     the last answers: {said:?}");
    let all = sink.deliveries();
    let to = |number: &str| all.iter().filter(|one| one.to.ends_with(number)).count() as u64;
    let limits: Vec<u64> = (0..8).map(|n| to(&format!("659123450{n}"))).collect();
    let (most, opted_out, sent) =
        (limits.iter().max().copied().unwrap_or(0), to("6598765432"), all.len() as u64);
    let twice = sink.by_id(false).values().filter(|times| **times > 1).count();
    let what = "Redis killed, flushed, out of memory, slow by 2 s";
    let figure = format!("{sent} of a budget of {BUDGET}, {opted_out} to who opted out, {twice} twice");
    let holds = sent == BUDGET && opted_out == 0 && twice == 0;
    table.row(holds, &format!("{what}: money, codes, opt-outs"), "untouched", figure);
    let figure = format!("at most {most} of a limit of {QUOTA}");
    table.row(most <= QUOTA, &format!("{what}: limits"), "none over (all refuse on loss)", figure);
    Ok(())
}

/// Messages to a few numbers, and to one that wants none, at once and over both nodes.
async fn burst(fleet: &Fleet, count: usize) -> BTreeMap<u16, usize> {
    let one = |n: usize| {
        let number = if n % 7 == 6 { "+6598765432".to_owned() } else { format!("+659123450{}", n % 8) };
        let node = fleet.nodes.get(n % fleet.nodes.len());
        async move {
            let body = json!({"to": number, "text": "Your parcel arrives today."});
            let answer = node?.call("POST", "/v1/messages", &node?.api_key, Some(&body)).await;
            Some(answer.map_or(0, |(status, _)| status))
        }
    };
    let mut said = BTreeMap::new();
    let mut all: Vec<_> = (0..count).map(|n| Box::pin(one(n))).collect();
    // Side by side, in this task.
    std::future::poll_fn(|cx| {
        all.retain_mut(|work| match work.as_mut().poll(cx) {
            std::task::Poll::Ready(status) => {
                *said.entry(status.unwrap_or(0)).or_default() += 1;
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    said
}
