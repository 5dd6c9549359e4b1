//! `cargo xtask soak [PART…] [--seconds 120] [--seed N] [--binary FILE]`: a gateway under load for long, with what an operator would watch: memory
//! and file descriptors over time and over restarts, goodput under ten times the load it can take, what the others feel
//! while one subaccount is attacked, and what becomes of everything while PostgreSQL and Redis fail. `--binary FILE`
//! takes a gateway that is built already.

mod flood;
mod load;
mod steady;
mod stores;
mod table;
mod watch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::live::{Gateway, Profile, build, median, open_files};
use crate::simulation::test;
use flood::{Answers, Flood};
use load::{Load, Outcome, drive, drive_apart};
use table::Table;
use watch::Usage;

/// Connections that keep the gateway busy; an overload has ten times as many.
const BUSY: usize = 16;
/// Callers of an attack on one subaccount. Each asks again as soon as it is answered, and is answered late: together they
/// ask several times as often as the subaccount may.
const ATTACKERS: usize = 6_400;
/// Files that are left for everything else.
const SPARE: u64 = 500;
/// What an attack needs until all of them have come.
const GATHERING: Duration = Duration::from_millis(2_500);
/// Times that a neighbour is measured, quiet and attacked in turns; the middle one of each counts.
const ROUNDS: u64 = 5;
/// Memory may grow by so much under ten times the load.
const ROOM: u64 = 256 << 20;
/// After an overload it serves as before within this.
const RECOVERED: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

/// What can be asked for alone.
const PARTS: [&str; 6] = ["neighbours", "overload", "long", "postgres", "redis", "clocks"];

#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// Parts that are asked for; none: all.
    parts: Vec<String>,
    seconds: u64,
    seed: u64,
    /// A gateway that is built already.
    binary: Option<PathBuf>,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Options { parts: Vec::new(), seconds: 120, seed: 1, binary: None };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if PARTS.contains(&word.as_str()) {
                options.parts.push(word.clone());
                continue;
            }
            if word == "--binary" {
                options.binary = Some(words.next().ok_or("--binary needs a path")?.into());
                continue;
            }
            let value = words.next().and_then(|text| text.parse::<u64>().ok()).filter(|value| *value > 0);
            let value = value.ok_or_else(|| format!("{word} needs a whole number above 0"))?;
            match word.as_str() {
                "--seconds" => options.seconds = value,
                "--seed" => options.seed = value,
                _ => {
                    let parts = PARTS.join(", ");
                    return Err(format!("unknown option {word}: --seconds, --seed, --binary; {parts}"));
                }
            }
        }
        Ok(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    fn part(&self, percent: u64) -> Duration {
        Duration::from_millis(self.seconds * percent * 10)
    }
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    if let Some(("--flood", words)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return Flood::drive(words);
    }
    let options = Options::read(arguments)?;
    let binary = options.binary.clone().map_or_else(|| build(Profile::Release, false), Ok)?;
    let mut table = Table::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        if options.wants("neighbours") || options.wants("long") {
            under_load(&binary, &options, &mut table).await?;
        }
        if options.wants("overload") {
            overload(&binary, &options, &mut table).await?;
        }
        if options.wants("postgres") {
            stores::postgres(&binary, options.seed, &mut table).await?;
        }
        if options.wants("redis") {
            stores::redis(&binary, options.seed, &mut table).await?;
        }
        Ok::<_, String>(())
    })?;
    if options.wants("clocks") {
        clocks(&options, &mut table);
    }
    table.finish()
}

/// One gateway that is attacked, and then has much to do for long.
async fn under_load(binary: &Path, options: &Options, table: &mut Table) -> Result<(), String> {
    let mut gateway = Gateway::start(binary, None).await?;
    gateway.admin("PATCH", "settings", Some(json!({"detection": {"mode": "off"}}))).await?;
    if options.wants("neighbours") {
        neighbours(&gateway, options, table).await?;
    }
    gateway.lift_rates().await?;
    if options.wants("long") {
        long(&mut gateway, options, table).await?;
    }
    Ok(())
}

/// Somebody sets clocks, in simulated time: see the test.
fn clocks(options: &Options, table: &mut Table) {
    let seeds = options.seconds * 10;
    let done = test("simulation::clocks::a_gateway", "SEAWALL_SIMULATION", &format!("0..{seeds}"), false);
    let figure = format!("{} in {seeds} seeds", if done.is_ok() { "0 violations" } else { "violations" });
    let bar = "0 overshoot, no code 1 s longer";
    table.row(done.is_ok(), "clocks set by −1 h, +1 h, ±3 d", bar, figure);
}

/// One subaccount is attacked; the others are served.
async fn neighbours(gateway: &Gateway, options: &Options, table: &mut Table) -> Result<(), String> {
    gateway.admin("POST", "subaccounts", Some(json!({"id": "acme_shop"}))).await?;
    let key = json!({"name": "shop", "subaccounts": ["acme_shop"]});
    let key = gateway.admin("POST", "api-keys", Some(key)).await?;
    let key = key.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
    let theirs = |own| Load {
        key: key.clone(),
        subaccount: "acme_shop".to_owned(),
        connections: 8,
        pause: Duration::from_millis(20),
        again: Duration::ZERO,
        seed: options.seed + 50,
        own,
    };
    let files = open_files();
    let needed = ATTACKERS as u64 + SPARE;
    if files < needed {
        return Err(format!("{ATTACKERS} attackers need {needed} open files, and ulimit -Hn is {files}"));
    }
    let (mut quiet, mut others, mut flood) = (Outcome::default(), Outcome::default(), Answers::default());
    let mut p99s = (Vec::new(), Vec::new());
    // In turns, so that what else happens on the machine happens to both.
    for round in 0..ROUNDS {
        let calm = drive_apart(gateway.addr, theirs(10 + round), options.part(3)).await?;
        p99s.0.push(calm.p99());
        quiet.add(calm);
        let attack = Flood {
            addr: gateway.addr,
            key: gateway.api_key.clone(),
            subaccount: gateway.subaccount.clone(),
            connections: ATTACKERS,
            time: GATHERING + options.part(3) + SECOND / 2,
            seed: options.seed + round,
        };
        let meanwhile = async {
            tokio::time::sleep(GATHERING).await;
            drive_apart(gateway.addr, theirs(20 + round), options.part(3)).await
        };
        let (attacked, meanwhile) = tokio::join!(attack.run(), meanwhile);
        let (attacked, meanwhile) = (attacked?, meanwhile?);
        p99s.1.push(meanwhile.p99());
        others.add(meanwhile);
        flood.good += attacked.good;
        flood.refused += attacked.refused;
        flood.odd += attacked.odd;
    }
    println!("     quiet: {quiet}\n     attack: {flood:?}\n     the others meanwhile: {others}");
    let served = others.good as f64 * 100.0 / others.all().max(1) as f64;
    table.row(served >= 99.0, "a neighbour: others served", "≥ 99 %", format!("{served:.2} %"));
    println!("     p99 of each round: {:.1?} quiet, {:.1?} meanwhile", p99s.0, p99s.1);
    let (before, during) = (median(p99s.0), median(p99s.1));
    let times = during.as_secs_f64() / before.as_secs_f64().max(0.001);
    let figure = format!("{during:.1?}, {times:.1} times");
    table.row(times <= 2.0, "a neighbour: p99 of the others", "≤ 2 × quiet", figure);
    Ok(())
}

/// Ten times the callers that keep a gateway busy, with room for twice of those: what is served stays what it was, the
/// rest is refused, and memory is bounded.
async fn overload(binary: &Path, options: &Options, table: &mut Table) -> Result<(), String> {
    let room = vec![("SEAWALL_LIMITS__MAX_REQUESTS", (BUSY * 4).to_string())];
    let gateway = Gateway::start_with(binary, None, room).await?;
    gateway.lift_rates().await?;
    gateway.admin("PATCH", "settings", Some(json!({"detection": {"mode": "off"}}))).await?;
    let load = |connections, own| Load {
        key: gateway.api_key.clone(),
        subaccount: gateway.subaccount.clone(),
        connections,
        pause: Duration::ZERO,
        // Sooner than they are told to.
        again: Duration::from_millis(50),
        seed: options.seed,
        own,
    };
    drive(gateway.addr, load(BUSY, 100), options.part(3)).await;
    let before = Usage::of(gateway.pid())?;
    let (mut peak, mut over, mut memory) = (Outcome::default(), Outcome::default(), before.memory);
    let (mut slowest, mut after) = (Duration::ZERO, Outcome::default());
    for round in 0..3u64 {
        peak.add(drive(gateway.addr, load(BUSY, 200 + round), options.part(5)).await);
        over.add(drive(gateway.addr, load(BUSY * 10, 300 + round), options.part(5)).await);
        memory = memory.max(Usage::of(gateway.pid())?.memory);
        let begun = Instant::now();
        while begun.elapsed() < RECOVERED {
            after = drive(gateway.addr, load(BUSY, 1_000 + begun.elapsed().as_millis() as u64), SECOND).await;
            if after.rate() >= 0.9 * peak.rate() {
                break;
            }
        }
        slowest = slowest.max(begun.elapsed());
    }
    println!("     peak: {peak}\n     overload: {over}");
    println!("     offered {:.1} times the peak", over.offered() / peak.rate().max(1.0));
    let share = over.rate() * 100.0 / peak.rate().max(1.0);
    table.row(share >= 90.0, "overload: goodput", "≥ 90 % of peak", format!("{share:.0} %"));
    let said = format!("{} refused, {} other", over.refused, over.odd);
    table.row(over.odd == 0 && over.refused > 0, "overload: the rest", "429 or 503", said);
    let grown = memory.saturating_sub(before.memory);
    table.row(grown <= ROOM, "overload: memory", "bounded (256 MB more)", format!("{} MB more", grown >> 20));
    let back = after.rate() * 100.0 / peak.rate().max(1.0);
    let figure = format!("{back:.0} % after {:.1} s", slowest.as_secs_f64());
    table.row(back >= 90.0, "overload: recovered", "within 5 s", figure);
    Ok(())
}

/// Load for long, with restarts: memory and descriptors level off.
async fn long(gateway: &mut Gateway, options: &Options, table: &mut Table) -> Result<(), String> {
    let rounds = 3;
    let (mut first, mut last) = (None, Usage::default());
    for round in 0..rounds {
        let half = options.part(40) / rounds / 2;
        for part in 0..2u64 {
            let own = 1_000_000 + u64::from(round) * 10 + part;
            let load = Load {
                key: gateway.api_key.clone(),
                subaccount: gateway.subaccount.clone(),
                connections: BUSY,
                pause: Duration::from_millis(2),
                again: Duration::ZERO,
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
    table.row(
        fds <= 16,
        "soak: descriptors",
        "flat (16 more)",
        format!("{fds} more than in the first round"),
    );
    // What is kept in memory about numbers grows with them, and is bounded by its configuration.
    let grown = last.memory.saturating_sub(first.memory);
    let figure = format!("{last}, {} MB more than in the first round", grown >> 20);
    table.row(grown <= ROOM, "soak: memory", "bounded (256 MB more)", figure);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read =
            |text: &str| Options::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = Options { parts: Vec::new(), seconds: 120, seed: 1, binary: None };
        assert!(all.wants("redis"));
        assert_eq!(read("").unwrap(), all);
        let long = read("long --seconds 600 --seed 2").unwrap();
        assert_eq!(long.part(10), Duration::from_secs(60));
        assert!(long.wants("long") && !long.wants("redis"));
        assert!(read("--second 3").is_err() && read("--seconds 0").is_err());
    }
}
