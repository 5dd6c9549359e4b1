//! Callers that insist, through whatever happens to the stores: what each of their requests was answered, and how soon.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crash::check::census;
use crate::crash::sink::Sink;
use crate::live::{Gateway, Random, Wire, mobile, request_with};

/// Callers at a time.
const CALLERS: u64 = 16;

/// One answer.
#[derive(Clone, Debug)]
struct Answer {
    began: Instant,
    took: Duration,
    status: u16,
}

#[derive(Default)]
struct Seen {
    answers: Vec<Answer>,
    /// Ids that were acknowledged.
    taken: Vec<String>,
}

/// Callers under way.
pub struct Steady {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Steady {
    /// Begins to send, each message under a key of its own until it is accepted.
    pub fn begin(gateway: &Gateway, seed: u64) -> Self {
        let (over, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Seen>>::default());
        let one = |caller| {
            let (over, seen, addr, key) = (over.clone(), seen.clone(), gateway.addr, gateway.api_key.clone());
            tokio::spawn(insist(addr, key, seed * 1_000 + caller, over, seen))
        };
        let callers = (0..CALLERS).map(one).collect();
        Steady { over, seen, callers }
    }

    /// The longest that somebody waited of those who asked within a span.
    pub fn longest(&self, from: Instant, to: Instant) -> Duration {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let within = seen.answers.iter().filter(|one| one.began >= from && one.began <= to);
        within.map(|one| one.took).max().unwrap_or_default()
    }

    /// Answers by status of those who asked within a span.
    pub fn by_status(&self, from: Instant, to: Instant) -> BTreeMap<u16, u64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = BTreeMap::new();
        let within = seen.answers.iter().filter(|one| one.began >= from && one.began <= to);
        within.for_each(|one| *all.entry(one.status).or_default() += 1);
        all
    }

    /// After this instant, when the first was accepted.
    pub async fn resumes(&self, from: Instant) -> Result<Duration, String> {
        loop {
            let first = {
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let after =
                    seen.answers.iter().filter(|one| one.status == 201 && one.began + one.took > from);
                after.map(|one| (one.began + one.took).duration_since(from)).min()
            };
            match first {
                Some(took) => return Ok(took),
                None if from.elapsed() > Duration::from_secs(60) => {
                    return Err("it does not go on".to_owned());
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Ends them, and says how many of their messages were lost and how many came twice.
    pub async fn settle(self, gateway: &Gateway, sink: &Sink) -> Result<(u64, u64, u64), String> {
        self.over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.map_err(|error| error.to_string())?;
        }
        let taken = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)).taken;
        let begun = Instant::now();
        while census(gateway).await?.waiting() > 0 {
            if begun.elapsed() > Duration::from_secs(60) {
                return Err("messages still wait".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let arrived = sink.by_id(false);
        let census = census(gateway).await?;
        // Each that was taken has left, or its state says why not; a caller that gave up has none.
        let known: HashSet<&String> = taken.iter().collect();
        let left = known.iter().filter(|id| arrived.contains_key(**id)).count() as u64;
        let excused = census.of(&["unknown", "failed", "expired"]);
        let lost = (known.len() as u64).saturating_sub(left + excused);
        let twice = arrived.values().filter(|times| **times > 1).count() as u64;
        let strange = arrived.keys().filter(|id| !known.contains(id)).count() as u64;
        Ok((known.len() as u64, lost, twice + strange))
    }
}

async fn insist(addr: SocketAddr, key: String, caller: u64, over: Arc<AtomicBool>, seen: Arc<Mutex<Seen>>) {
    let (mut random, mut wire) = (Random::new(caller), None);
    for n in 0u64.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let body = json!({"to": format!("+{}", mobile(random.next())), "text": "Your parcel arrives today."});
        let once = format!("idempotency-key: soak-{caller}-{n}\r\n");
        let asked = request_with("POST", "/v1/messages", &key, &once, &body.to_string());
        loop {
            let began = Instant::now();
            let answer = exchange(addr, &mut wire, &asked).await;
            let took = began.elapsed();
            let (status, id) = answer.unwrap_or((0, None));
            {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.answers.push(Answer { began, took, status });
                seen.taken.extend(id);
            }
            if status == 201 || status == 403 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn exchange(addr: SocketAddr, wire: &mut Option<Wire>, asked: &[u8]) -> Option<(u16, Option<String>)> {
    if wire.is_none() {
        *wire = Wire::open(addr).await.ok();
    }
    let open = wire.as_mut()?;
    let Ok(answer) = open.exchange(asked).await else {
        *wire = None;
        return None;
    };
    let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
    let id = body.get("id").and_then(Value::as_str).map(str::to_owned);
    Some((answer.status, id.filter(|_| answer.status == 201)))
}
