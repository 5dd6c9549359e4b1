//! Callers that send messages to fresh numbers, each with one request at a time.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::live::{Random, Wire, mobile, request};

/// A load.
#[derive(Clone)]
pub struct Load {
    /// Under which key.
    pub key: String,
    /// For which subaccount.
    pub subaccount: String,
    /// Callers.
    pub connections: usize,
    /// What each waits between two requests.
    pub pause: Duration,
    /// What each waits after a refusal, beside that.
    pub again: Duration,
    /// Chance.
    pub seed: u64,
    /// Numbers of one load are not those of another.
    pub own: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Accepted.
    pub good: u64,
    /// 429 and 503.
    pub refused: u64,
    /// Anything else, and connections that broke.
    pub odd: u64,
    /// A status of those.
    said: Option<u16>,
    /// How long those that were accepted took.
    micros: Vec<u64>,
    took: Duration,
}

impl Outcome {
    /// Adds what came of another stretch of the same load.
    pub fn add(&mut self, more: Outcome) {
        self.good += more.good;
        self.refused += more.refused;
        self.odd += more.odd;
        self.said = self.said.or(more.said);
        self.micros.extend(more.micros);
        self.took += more.took;
    }

    /// Asked a second.
    pub fn offered(&self) -> f64 {
        self.all() as f64 / self.took.as_secs_f64().max(0.001)
    }

    /// Requests.
    pub fn all(&self) -> u64 {
        self.good + self.refused + self.odd
    }

    /// Accepted a second.
    pub fn rate(&self) -> f64 {
        self.good as f64 / self.took.as_secs_f64().max(0.001)
    }

    /// 99 of 100 that were accepted took at most so long.
    pub fn p99(&self) -> Duration {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        Duration::from_micros(sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, p99) = (self.rate(), self.p99());
        write!(
            f,
            "{} accepted ({rate:.0}/s, p99 {p99:?}), {} refused, {} odd",
            self.good, self.refused, self.odd
        )?;
        self.said.map_or(Ok(()), |status| write!(f, " ({status})"))
    }
}

/// The same on a thread of its own: whoever measures must not wait for others of this process.
pub async fn drive_apart(addr: SocketAddr, load: Load, time: Duration) -> Result<Outcome, String> {
    let (send, done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let _ = send.send(runtime.map(|runtime| runtime.block_on(drive(addr, load, time))));
    });
    done.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Drives a load for some time.
pub async fn drive(addr: SocketAddr, load: Load, time: Duration) -> Outcome {
    let begun = Instant::now();
    let callers: Vec<_> = (0..load.connections)
        .map(|n| tokio::spawn(call(addr, load.clone(), n as u64, begun + time)))
        .collect();
    let mut all = Outcome::default();
    for caller in callers {
        if let Ok(one) = caller.await {
            all.good += one.good;
            all.refused += one.refused;
            all.odd += one.odd;
            all.said = all.said.or(one.said);
            all.micros.extend(one.micros);
        }
    }
    all.took = begun.elapsed();
    all
}

async fn call(addr: SocketAddr, load: Load, caller: u64, until: Instant) -> Outcome {
    let mut random = Random::new(load.seed ^ (load.own << 20) ^ caller);
    let (mut outcome, mut wire) = (Outcome::default(), None);
    while Instant::now() < until {
        let body = json!({"to": format!("+{}", mobile(random.next())), "text": "Your parcel arrives today.",
                          "subaccount_id": load.subaccount})
        .to_string();
        let asked = request("POST", "/v1/messages", &load.key, &body);
        if wire.is_none() {
            wire = Wire::open(addr).await.ok();
        }
        let Some(open) = &mut wire else {
            outcome.odd += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let begun = Instant::now();
        match open.exchange(&asked).await.map(|answer| answer.status) {
            Ok(200..=299) => {
                outcome.good += 1;
                outcome.micros.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            Ok(429 | 503) => {
                outcome.refused += 1;
                if !load.again.is_zero() {
                    tokio::time::sleep(load.again).await;
                }
            }
            Ok(status) => {
                outcome.odd += 1;
                outcome.said.get_or_insert(status);
            }
            Err(_) => {
                outcome.odd += 1;
                wire = None;
            }
        }
        if !load.pause.is_zero() {
            tokio::time::sleep(load.pause).await;
        }
    }
    outcome
}
