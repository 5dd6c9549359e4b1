//! `cargo xtask soak [--seconds 120] [--seed N]`: a gateway under load for long, with what an operator would watch: memory
//! and file descriptors over time and over restarts, goodput under ten times the load it can take, and what the others
//! feel while one subaccount is attacked.

mod load;
mod watch;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::live::{Gateway, Profile, build};
use load::{Load, Outcome, drive};
use watch::Usage;

/// Connections that keep the gateway busy; an overload has ten times as many.
const BUSY: usize = 16;
/// Memory may grow by so much under ten times the load.
const ROOM: u64 = 256 << 20;
/// After an overload it serves as before within this.
const RECOVERED: Duration = Duration::from_secs(5);

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u64,
    seed: u64,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Options { seconds: 120, seed: 1 };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().and_then(|text| text.parse::<u64>().ok()).filter(|value| *value > 0);
            let value = value.ok_or_else(|| format!("{word} needs a whole number above 0"))?;
            match word.as_str() {
                "--seconds" => options.seconds = value,
                "--seed" => options.seed = value,
                _ => return Err(format!("unknown option {word}: --seconds, --seed")),
            }
        }
        Ok(options)
    }

    fn part(&self, percent: u64) -> Duration {
        Duration::from_millis(self.seconds * percent * 10)
    }
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let options = Options::read(arguments)?;
    let binary = build(Profile::Release, false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let mut gateway = Gateway::start(&binary, None).await?;
        gateway.admin("PATCH", "settings", Some(json!({"detection": {"mode": "off"}}))).await?;
        let mut bad = neighbours(&gateway, &options).await?;
        gateway.lift_rates().await?;
        bad.extend(overload(&gateway, &options).await?);
        bad.extend(steady(&mut gateway, &options).await?);
        if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
    })
}

/// Says whether a bar was reached.
fn bar(bad: &mut Vec<String>, holds: bool, what: String) {
    println!("{} {what}", if holds { "ok  " } else { "FAIL" });
    if !holds {
        bad.push(what);
    }
}

/// One subaccount is attacked at ten times what the gateway can take; the others are served.
async fn neighbours(gateway: &Gateway, options: &Options) -> Result<Vec<String>, String> {
    let mut bad = Vec::new();
    gateway.admin("POST", "subaccounts", Some(json!({"id": "acme_shop"}))).await?;
    let key = json!({"name": "shop", "subaccounts": ["acme_shop"]});
    let key = gateway.admin("POST", "api-keys", Some(key)).await?;
    let key = key.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
    let seed = options.seed;
    let theirs = || Load {
        key: key.clone(),
        connections: 2,
        pause: Duration::from_millis(50),
        seed: seed + 50,
        own: 1,
    };
    let quiet = drive(gateway.addr, theirs(), options.part(10)).await;
    let attack =
        Load { key: gateway.api_key.clone(), connections: BUSY * 10, pause: Duration::ZERO, seed, own: 2 };
    let (flood, others) = tokio::join!(
        drive(gateway.addr, attack, options.part(15)),
        drive(gateway.addr, Load { own: 3, ..theirs() }, options.part(15))
    );
    println!("     quiet: {quiet}\n     attack: {flood}\n     the others meanwhile: {others}");
    let served = others.good as f64 / others.all().max(1) as f64;
    bar(
        &mut bad,
        served >= 0.99,
        format!("neighbour: {:.2} % of the others served (at least 99)", served * 100.0),
    );
    let (before, during) = (quiet.p99(), others.p99());
    let times = during.as_secs_f64() / before.as_secs_f64().max(0.001);
    bar(
        &mut bad,
        times <= 2.0,
        format!("neighbour: p99 {during:?}, {times:.1} times the quiet one (at most 2)"),
    );
    Ok(bad)
}

/// Ten times the load: what is served stays what it was, the rest is refused, and memory is bounded.
async fn overload(gateway: &Gateway, options: &Options) -> Result<Vec<String>, String> {
    let mut bad = Vec::new();
    let load = |connections, own| Load {
        key: gateway.api_key.clone(),
        connections,
        pause: Duration::ZERO,
        seed: options.seed,
        own,
    };
    drive(gateway.addr, load(BUSY, 4), options.part(5)).await;
    let peak = drive(gateway.addr, load(BUSY, 5), options.part(10)).await;
    let before = Usage::of(gateway.pid())?;
    let over = drive(gateway.addr, load(BUSY * 10, 6), options.part(15)).await;
    let during = Usage::of(gateway.pid())?;
    println!("     peak: {peak}\n     overload: {over}");
    let share = over.rate() / peak.rate().max(1.0);
    bar(
        &mut bad,
        share >= 0.9,
        format!("overload: goodput {:.0} % of the peak (at least 90)", share * 100.0),
    );
    bar(&mut bad, over.odd == 0, format!("overload: {} answers but 2xx, 429 and 503 (none)", over.odd));
    let grown = during.memory.saturating_sub(before.memory);
    bar(
        &mut bad,
        grown <= ROOM,
        format!("overload: memory grew by {} MB (at most {})", grown >> 20, ROOM >> 20),
    );
    let begun = Instant::now();
    let mut after = Outcome::default();
    while begun.elapsed() < RECOVERED {
        after =
            drive(gateway.addr, load(BUSY, 7 + begun.elapsed().as_millis() as u64), Duration::from_secs(1))
                .await;
        if after.rate() >= 0.9 * peak.rate() {
            break;
        }
    }
    let share = after.rate() / peak.rate().max(1.0);
    let took = begun.elapsed();
    bar(
        &mut bad,
        share >= 0.9,
        format!("overload: recovered to {:.0} % within {took:?} (90 within 5 s)", share * 100.0),
    );
    Ok(bad)
}

/// Load for long, with restarts: memory and descriptors level off.
async fn steady(gateway: &mut Gateway, options: &Options) -> Result<Vec<String>, String> {
    let mut bad = Vec::new();
    let rounds = 3;
    let (mut first, mut last) = (None, Usage::default());
    for round in 0..rounds {
        let half = options.part(40) / rounds / 2;
        for part in 0..2u64 {
            let own = 1_000_000 + u64::from(round) * 10 + part;
            let load = Load {
                key: gateway.api_key.clone(),
                connections: BUSY,
                pause: Duration::from_millis(2),
                seed: options.seed,
                own,
            };
            let served = drive(gateway.addr, load, half).await;
            last = Usage::of(gateway.pid())?;
            println!("     round {round}.{part}: {served}; {last}");
        }
        first.get_or_insert(last);
        if round + 1 < rounds {
            gateway.kill();
            let ready = gateway.launch().await?;
            println!("     killed; ready again after {} ms", ready.as_millis());
        }
    }
    let first = first.unwrap_or_default();
    let fds = last.descriptors.saturating_sub(first.descriptors);
    bar(&mut bad, fds <= 16, format!("soak: {fds} more descriptors than in the first round (at most 16)"));
    // What is kept in memory about numbers grows with them, and is bounded by its configuration.
    let grown = last.memory.saturating_sub(first.memory);
    bar(
        &mut bad,
        grown <= ROOM,
        format!("soak: memory {last}, {} MB more than in the first round", grown >> 20),
    );
    Ok(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read =
            |text: &str| Options::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("").unwrap(), Options { seconds: 120, seed: 1 });
        let long = read("--seconds 600 --seed 2").unwrap();
        assert_eq!(long.part(10), Duration::from_secs(60));
        assert!(read("--second 3").is_err() && read("--seconds 0").is_err());
    }
}
