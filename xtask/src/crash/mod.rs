//! `cargo xtask crash [--nodes 1] [--kills 25] [--seconds S] [--seed N]`: the gateway is killed (SIGKILL) again and
//! again under load, and afterwards its ledger must agree with what its callers and its provider saw. Of several nodes
//! over PostgreSQL and Redis one is killed at a time, and the others go on.

pub(crate) mod check;
mod load;
pub(crate) mod sink;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::live::{Fleet, Gateway, Postgres, Profile, Random, Redis, build};
use check::Run;
use load::Load;
use sink::Sink;

/// Requests under way at a time.
const WINDOW: u64 = 32;
/// Messages that a number may receive in [`LIMIT_WINDOW`].
pub(crate) const QUOTA: u32 = 5;
/// See [`QUOTA`].
pub(crate) const LIMIT_WINDOW: Duration = Duration::from_secs(600);
/// What a segment to Singapore costs, in micro-units.
pub(crate) const SEGMENT: u64 = 40_000;
/// What may be spent there in [`BUDGET_SPAN`].
pub(crate) const BUDGET: u64 = 50 * SEGMENT;
/// See [`BUDGET`].
pub(crate) const BUDGET_SPAN: Duration = Duration::from_secs(10);
/// Messages to Britain in a day: used up in the first seconds, and every kill could forgive some.
pub(crate) const DAY_BUDGET: u64 = 40;
/// How long what was accepted may take to leave, after the last start.
const DRAIN: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, Eq)]
struct Options {
    nodes: usize,
    kills: u32,
    seconds: Option<u64>,
    seed: u64,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Options { nodes: 1, kills: 25, seconds: None, seed: 1 };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().and_then(|text| text.parse::<u64>().ok());
            let value = value.ok_or_else(|| format!("{word} needs a whole number"))?;
            match word.as_str() {
                "--nodes" => {
                    options.nodes = usize::try_from(value).map_err(|error| error.to_string())?.max(1)
                }
                "--kills" => options.kills = u32::try_from(value).map_err(|error| error.to_string())?,
                "--seconds" => options.seconds = Some(value),
                "--seed" => options.seed = value,
                _ => return Err(format!("unknown option {word}: --nodes, --kills, --seconds, --seed")),
            }
        }
        Ok(options)
    }

    /// From one start to the next kill, on average.
    fn life(&self) -> Duration {
        self.seconds
            .map_or(Duration::from_millis(1500), |seconds| Duration::from_secs(seconds) / self.kills.max(1))
    }
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let options = Options::read(arguments)?;
    let binary = build(Profile::Dev, false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let run = punish(&binary, &options).await?;
        check::everything(&run).await
    })
}

/// The gateways, and what they share.
struct Site {
    nodes: Vec<Gateway>,
    servers: Option<(Postgres, Redis)>,
}

impl Site {
    async fn start(binary: &std::path::Path, nodes: usize) -> Result<Self, String> {
        if nodes == 1 {
            return Ok(Site { nodes: vec![Gateway::start(binary, None).await?], servers: None });
        }
        let Fleet { nodes, postgres, redis } = Fleet::start(binary, nodes).await?;
        Ok(Site { nodes, servers: Some((postgres, redis)) })
    }

    fn first(&self) -> Result<&Gateway, String> {
        self.nodes.first().ok_or_else(|| "there is no gateway".to_owned())
    }
}

async fn punish(binary: &std::path::Path, options: &Options) -> Result<Run, String> {
    let mut site = Site::start(binary, options.nodes).await?;
    let (sink, provider) = Sink::open(options.seed).await?;
    set_up(site.first()?, &provider.to_string()).await?;
    // What is set up is in force everywhere within a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let addrs = site.nodes.iter().map(|node| node.addr).collect();
    let load = Load::new(addrs, site.first()?.api_key.clone(), options.seed);
    let workers: Vec<_> = (0..WINDOW).map(|worker| tokio::spawn(load.clone().work(worker))).collect();
    let mut random = Random::new(options.seed);
    for kill in 1..=options.kills {
        // From a tenth of the average to nearly twice: kills meet starts, bursts and the steady state.
        tokio::time::sleep(options.life().mul_f64(0.1 + 1.8 * random.below(1000) as f64 / 1000.0)).await;
        let which = usize::try_from(random.below(site.nodes.len() as u64)).unwrap_or(0);
        let alone = site.nodes.len() == 1;
        let node = site.nodes.get_mut(which).ok_or("a node is missing")?;
        node.kill();
        if !alone {
            // Long enough that the others find out.
            tokio::time::sleep(options.life()).await;
        }
        let ready = node.launch().await?;
        let acks = load.seen.lock().map(|seen| seen.acks.len()).unwrap_or_default();
        println!("kill {kill}: ready again after {} ms; {acks} sends acknowledged so far", ready.as_millis());
    }
    tokio::time::sleep(options.life()).await;
    load.over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.map_err(|error| error.to_string())?;
    }
    drain(site.first()?).await?;
    let seen = Arc::into_inner(load).ok_or("a worker is still there")?.seen;
    let seen = seen.into_inner().map_err(|error| error.to_string())?;
    let gateway = site.nodes.swap_remove(0);
    Ok(Run { gateway, others: site.nodes, servers: site.servers, sink, seen, kills: options.kills })
}

/// The sink becomes the only provider, and what is tested is not detection: an attack would be refused for other reasons.
pub(crate) async fn set_up_provider(gateway: &Gateway, provider: &str) -> Result<(), String> {
    gateway.lift_rates().await?;
    let settings = json!({"url": format!("http://{provider}/send"), "method": "POST", "allow_http": true,
                          "body": {"id": "{id}", "to": "{to}", "text": "{text}"}});
    let sink = json!({"name": "sink", "kind": "http", "enabled": true, "settings": settings});
    gateway.admin("POST", "providers", Some(sink)).await?;
    let routes = gateway.admin("GET", "routes", None).await?;
    for route in routes.get("data").and_then(Value::as_array).into_iter().flatten() {
        let id = route.get("id").and_then(Value::as_str).unwrap_or_default();
        gateway.admin("DELETE", &format!("routes/{id}"), None).await?;
    }
    gateway.admin("POST", "routes", Some(json!({"match": {}, "providers": ["sink"]}))).await?;
    gateway.admin("PATCH", "settings", Some(json!({"detection": {"mode": "off"}}))).await.map(|_| ())
}

/// The same, with limits and budgets.
async fn set_up(gateway: &Gateway, provider: &str) -> Result<(), String> {
    set_up_provider(gateway, provider).await?;
    let limit = json!({"name": "crash", "per": "msisdn", "applies_to": ["sms.send"], "quota": QUOTA,
                       "window": "10m", "counts": "sends", "mode": "enforce"});
    gateway.admin("POST", "limits", Some(limit)).await?;
    let price = json!({"country": "SG", "amount": SEGMENT, "currency": "USD"});
    gateway.admin("POST", "prices", Some(price)).await?;
    let span = json!({"name": "span", "country": "SG", "amount": BUDGET, "currency": "USD",
                      "window": format!("{}s", BUDGET_SPAN.as_secs())});
    gateway.admin("POST", "budgets", Some(span)).await?;
    let day =
        json!({"name": "day", "country": "GB", "unit": "messages", "amount": DAY_BUDGET, "window": "24h"});
    gateway.admin("POST", "budgets", Some(day)).await.map(|_| ())
}

/// Waits until nothing is queued or under way.
pub(crate) async fn drain(gateway: &Gateway) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let census = check::census(gateway).await?;
        if census.waiting() == 0 {
            return Ok(());
        }
        if begun.elapsed() > DRAIN {
            return Err(format!(
                "messages still wait {} s after the last start: {census:?}",
                DRAIN.as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read =
            |text: &str| Options::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("").unwrap(), Options { nodes: 1, kills: 25, seconds: None, seed: 1 });
        let short = read("--kills 3 --seconds 6 --seed 9 --nodes 3").unwrap();
        assert_eq!((short.life(), short.seed, short.nodes), (Duration::from_secs(2), 9, 3));
        assert!(read("--kill 3").is_err() && read("--kills").is_err());
    }
}
