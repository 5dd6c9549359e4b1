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
    /// Callers.
    pub connections: usize,
    /// What each waits between two requests.
    pub pause: Duration,
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
    /// How long those that were accepted took.
    micros: Vec<u64>,
    took: Duration,
}

impl Outcome {
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
        )
    }
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
        let body = json!({"to": format!("+{}", mobile(random.next())), "text": "Your parcel arrives today."})
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
            Ok(429 | 503) => outcome.refused += 1,
            Ok(_) => outcome.odd += 1,
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
