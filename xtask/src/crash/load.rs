//! Apps that ask for codes and messages while the gateway is killed, and that insist: a request without an
//! answer is asked again under the same idempotency key until it has one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::SEGMENT;
use crate::live::{Random, Wire, mobile, request_with};

/// Numbers that are written to again and again.
const HOT: u64 = 5;
/// How many of a hundred requests are codes.
const CODES: u64 = 60;
/// How many of a hundred messages go to a hot number, to the country whose budget frees again, and to the one
/// whose budget does not.
const TO_HOT: u64 = 10;
const TO_SPAN: u64 = 15;
const TO_DAY: u64 = 10;
/// Before a request without an answer is asked again.
const PAUSE: Duration = Duration::from_millis(5);

/// Whose budget a message is counted by, and how much it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budgeted {
    /// None's.
    No,
    /// The one of money that frees again, in micro-units.
    Span(u64),
    /// The one of messages for a whole day.
    Day,
}

/// A send that the gateway acknowledged.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Whether it is a verification, and not a message.
    pub verification: bool,
    /// Its id, as answered.
    pub id: String,
    /// The id of its message.
    pub message: String,
    /// To whom.
    pub to: String,
    /// Whose budget counts it.
    pub budget: Budgeted,
    /// When the answer came.
    pub at: Instant,
}

/// What the apps saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Everything acknowledged.
    pub acks: Vec<Ack>,
    /// Requests that a limit refused.
    pub refused: u64,
    /// Requests that the budgets refused: the one that frees again, and the one that does not.
    pub over_budget: [u64; 2],
    /// Requests whose first answer was lost, and that were asked again.
    pub asked_again: u64,
    /// Answers that should not be.
    pub odd: Vec<String>,
}

/// What all workers share.
pub struct Load {
    /// Where the gateways listen.
    pub addrs: Vec<SocketAddr>,
    /// An API key.
    pub key: String,
    /// What was seen.
    pub seen: Mutex<Seen>,
    /// No new requests.
    pub over: AtomicBool,
    count: AtomicU64,
    seed: u64,
}

impl Load {
    /// A load that has not begun.
    pub fn new(addrs: Vec<SocketAddr>, key: String, seed: u64) -> Arc<Self> {
        let (seen, over, count) = (Mutex::default(), AtomicBool::new(false), AtomicU64::new(1));
        Arc::new(Load { addrs, key, seen, over, count, seed })
    }

    /// One request after the other, until it is over.
    pub async fn work(self: Arc<Self>, worker: u64) {
        let mut random = Random::new(self.seed.wrapping_add(worker.wrapping_mul(7919)));
        let mut line = Line { at: usize::try_from(worker).unwrap_or(0), wire: None };
        while !self.over.load(Ordering::Relaxed) {
            let wish = self.wish(&mut random);
            self.insist(&mut line, &wish).await;
        }
    }

    fn wish(&self, random: &mut Random) -> Wish {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let verification = random.below(100) < CODES;
        let kind = random.below(100);
        let segments = 1 + random.below(3);
        // The first numbers are the hot ones, and nobody else's.
        let (to, budget) = match kind {
            _ if verification => (format!("+{}", mobile(HOT + count)), Budgeted::No),
            0..TO_HOT => (format!("+{}", mobile(random.below(HOT))), Budgeted::No),
            n if n < TO_HOT + TO_SPAN => {
                (format!("+659{:07}", count % 10_000_000), Budgeted::Span(segments * SEGMENT))
            }
            n if n < TO_HOT + TO_SPAN + TO_DAY => (format!("+44740{:07}", count % 10_000_000), Budgeted::Day),
            _ => (format!("+{}", mobile(HOT + count)), Budgeted::No),
        };
        let long = if matches!(budget, Budgeted::Span(_)) { segments } else { 1 };
        let body = match verification {
            true => json!({"to": to, "purpose": "login"}),
            false => json!({"to": to, "text": text(count, long)}),
        };
        let key = format!("crash-{}-{count}", self.seed);
        Wish { verification, to, budget, body: body.to_string(), key }
    }

    /// Asks until there is an answer; where there are several gateways, the next one each time.
    async fn insist(&self, line: &mut Line, wish: &Wish) {
        let path = if wish.verification { "/v1/verifications" } else { "/v1/messages" };
        let extra = format!("idempotency-key: {}\r\n", wish.key);
        let request = request_with("POST", path, &self.key, &extra, &wish.body);
        let mut lost = false;
        loop {
            let answer = match line.exchange(&self.addrs, &request).await {
                Some((409 | 503, _)) | None => None,
                other => other,
            };
            if let Some((status, answer)) = answer {
                return self.note(wish, status, &answer, lost);
            }
            lost = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&self, wish: &Wish, status: u16, answer: &Value, lost: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.asked_again += u64::from(lost);
        match (status, answer.get("id").and_then(Value::as_str)) {
            (200 | 201, Some(id)) => {
                let message = answer.get("message_id").and_then(Value::as_str).unwrap_or(id).to_owned();
                let (id, to, at) = (id.to_owned(), wish.to.clone(), Instant::now());
                seen.acks.push(Ack {
                    verification: wish.verification,
                    id,
                    message,
                    to,
                    budget: wish.budget,
                    at,
                });
            }
            (429, _) => seen.refused += 1,
            (403, _) if answer.get("code").is_some_and(|code| code == "budget-exceeded") => {
                let [span, day] = &mut seen.over_budget;
                match wish.budget {
                    Budgeted::Span(_) => *span += 1,
                    Budgeted::Day => *day += 1,
                    Budgeted::No => seen.odd.push(format!("a budget refused a message to {}", wish.to)),
                }
            }
            _ => seen.odd.push(format!("{status} {answer}")),
        }
    }
}

/// A text of so many segments.
fn text(count: u64, segments: u64) -> String {
    let first = format!("Parcel {count} arrives today.");
    match segments {
        1 => first,
        more => {
            let length = usize::try_from((more - 1) * 153 + 40).unwrap_or(160);
            format!("{first:.<length$}")
        }
    }
}

struct Wish {
    verification: bool,
    to: String,
    budget: Budgeted,
    body: String,
    key: String,
}

/// A worker's connection.
struct Line {
    /// To which gateway, counted round and round.
    at: usize,
    wire: Option<Wire>,
}

impl Line {
    /// `None` when there is no gateway, or it went away before it answered.
    async fn exchange(&mut self, addrs: &[SocketAddr], request: &[u8]) -> Option<(u16, Value)> {
        if self.wire.is_none() {
            self.wire = Wire::open(*addrs.get(self.at % addrs.len().max(1))?).await.ok();
        }
        if let Some(wire) = &mut self.wire
            && let Ok(answer) = wire.exchange(request).await
        {
            return Some((answer.status, serde_json::from_slice(answer.body).unwrap_or_default()));
        }
        self.wire = None;
        self.at += 1;
        None
    }
}
