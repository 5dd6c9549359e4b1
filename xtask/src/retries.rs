//! `cargo xtask retries [--keys 1000] [--workers 20] [--seed N]`: callers that retry under idempotency keys, hang
//! up in the middle, and live through a SIGKILL. Every key has exactly one effect and one answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::live::{Gateway, Profile, Random, Wire, build, mobile, request_with};

/// A key that is not answered after so many tries will never be.
const TRIES: u32 = 600;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, PartialEq, Eq)]
struct Options {
    keys: u64,
    workers: u64,
    seed: u64,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Options { keys: 1000, workers: 20, seed: 1 };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().and_then(|text| text.parse::<u64>().ok()).filter(|value| *value > 0);
            let value = value.ok_or_else(|| format!("{word} needs a whole number above 0"))?;
            match word.as_str() {
                "--keys" => options.keys = value,
                "--workers" => options.workers = value,
                "--seed" => options.seed = value,
                _ => return Err(format!("unknown option {word}: --keys, --workers, --seed")),
            }
        }
        Ok(options)
    }
}

/// What callers share.
struct Callers {
    addr: std::net::SocketAddr,
    api_key: String,
    keys: u64,
    /// The first answer to each key.
    answers: Mutex<HashMap<u64, Vec<u8>>>,
    answered: AtomicU64,
    hung_up: AtomicU64,
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let options = Options::read(arguments)?;
    let binary = build(Profile::Dev, false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(retry(&binary, &options))
}

async fn retry(binary: &std::path::Path, options: &Options) -> Result<(), String> {
    let mut gateway = Gateway::start(binary, None).await?;
    gateway.lift_rates().await?;
    let callers = Arc::new(Callers {
        addr: gateway.addr,
        api_key: gateway.api_key.clone(),
        keys: options.keys,
        answers: Mutex::default(),
        answered: AtomicU64::new(0),
        hung_up: AtomicU64::new(0),
    });
    let work = |worker| tokio::spawn(callers.clone().work(options.seed.wrapping_mul(1000) + worker));
    let workers: Vec<_> = (0..options.workers).map(work).collect();
    let half = options.keys * options.workers / 2;
    while callers.answered.load(Ordering::Relaxed) < half && workers.iter().any(|w| !w.is_finished()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gateway.kill();
    gateway.launch().await?;
    for worker in workers {
        worker.await.map_err(|error| error.to_string())??;
    }
    let effects = effects(&gateway).await?;
    let (answers, hung_up) =
        (callers.answered.load(Ordering::Relaxed), callers.hung_up.load(Ordering::Relaxed));
    println!(
        "{} keys, {answers} answers, {hung_up} callers hung up, one kill: {effects} effects",
        options.keys
    );
    match effects == options.keys {
        true => Ok(()),
        false => Err(format!("{effects} messages for {} keys", options.keys)),
    }
}

impl Callers {
    /// Asks for every key until it is answered, in an order of its own.
    async fn work(self: Arc<Self>, seed: u64) -> Result<(), String> {
        let mut random = Random::new(seed);
        let begin = random.below(self.keys);
        for n in 0..self.keys {
            // Near each other, so that many callers use the same key at a time.
            let key = (begin / 8 + n + random.below(4)) % self.keys;
            self.ask(key, &mut random).await?;
        }
        Ok(())
    }

    async fn ask(&self, key: u64, random: &mut Random) -> Result<(), String> {
        let body = json!({"to": format!("+{}", mobile(key)), "text": format!("order {key}")}).to_string();
        let headers = format!("idempotency-key: order-{key}\r\n");
        let ask = request_with("POST", "/v1/messages", &self.api_key, &headers, &body);
        for _ in 0..TRIES {
            if random.below(5) == 0 {
                self.hang_up(&ask).await;
                continue;
            }
            match self.exchange(&ask).await {
                Some((201, answer)) => return self.compare(key, answer),
                // Under way by another caller, or the gateway is starting.
                Some((409 | 429 | 503, _)) | None => tokio::time::sleep(PAUSE).await,
                Some((status, answer)) => {
                    return Err(format!("key {key}: {status} {}", String::from_utf8_lossy(&answer)));
                }
            }
        }
        Err(format!("key {key} was not answered in {TRIES} tries"))
    }

    async fn exchange(&self, ask: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut wire = Wire::open(self.addr).await.ok()?;
        let answer = wire.exchange(ask).await.ok()?;
        Some((answer.status, answer.body.to_vec()))
    }

    /// Sends the request and does not wait for its answer.
    async fn hang_up(&self, ask: &[u8]) {
        if let Ok(mut stream) = TcpStream::connect(self.addr).await {
            let _ = stream.write_all(ask).await;
            self.hung_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn compare(&self, key: u64, answer: Vec<u8>) -> Result<(), String> {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let first = answers.entry(key).or_insert_with(|| answer.clone());
        match *first == answer {
            true => Ok(()),
            false => Err(format!("key {key} has two answers: {}", String::from_utf8_lossy(&answer))),
        }
    }
}

/// How many messages there are; two of one number are an error.
async fn effects(gateway: &Gateway) -> Result<u64, String> {
    let (mut seen, mut cursor) = (HashMap::<String, u64>::new(), String::new());
    loop {
        let page = gateway.admin("GET", &format!("messages?limit=200{cursor}"), None).await?;
        for message in page.get("data").and_then(Value::as_array).into_iter().flatten() {
            let to = message.get("to").and_then(Value::as_str).unwrap_or_default().to_owned();
            *seen.entry(to).or_default() += 1;
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(seen.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read =
            |text: &str| Options::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("--keys 5").unwrap(), Options { keys: 5, workers: 20, seed: 1 });
        assert!(read("--keys 0").is_err() && read("--loud 1").is_err());
    }
}
