//! A provider that outlives the gateway and remembers everything that reached it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::live::Random;

/// A message that reached the provider.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The gateway's id of the message.
    pub id: String,
    /// To whom.
    pub to: String,
    /// Whether it holds a code.
    pub code: bool,
    /// When.
    pub at: Instant,
}

/// Everything that reached the provider so far.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<Vec<Delivery>>>);

impl Sink {
    /// Opens it; it goes on as long as this process does.
    pub async fn open(seed: u64) -> Result<(Self, SocketAddr), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let addr = listener.local_addr().map_err(|error| error.to_string())?;
        let sink = Sink::default();
        let own = sink.clone();
        tokio::spawn(async move {
            let mut random = Random::new(seed);
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(own.clone(), stream, random.next()));
            }
        });
        Ok((sink, addr))
    }

    /// What reached it so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often each message reached it, codes or all others.
    pub fn by_id(&self, code: bool) -> HashMap<String, usize> {
        count(self.deliveries().into_iter().filter(|one| one.code == code).map(|one| one.id))
    }

    /// How many codes reached each number.
    pub fn codes_by_number(&self) -> HashMap<String, usize> {
        count(self.deliveries().into_iter().filter(|one| one.code).map(|one| one.to))
    }

    fn take(&self, message: &Value) {
        let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let code = text("text").contains("verification code");
        let delivery = Delivery { id: text("id"), to: text("to"), code, at: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    }
}

fn count(all: impl Iterator<Item = String>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}

/// Takes each message at once and answers after some milliseconds, so that a kill finds many under way.
async fn serve(sink: Sink, mut stream: TcpStream, seed: u64) {
    let mut random = Random::new(seed);
    let mut buffer = Vec::new();
    while let Some(body) = next_body(&mut stream, &mut buffer).await {
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        sink.take(&message);
        tokio::time::sleep(Duration::from_millis(random.below(20))).await;
        let answer = json!({"id": message.get("id")}).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        if stream.write_all(format!("{head} {}\r\n\r\n{answer}", answer.len()).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The body of the next whole request; a request that broke off never arrived.
async fn next_body(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some((from, to)) = extent(buffer)
            && buffer.len() >= to
        {
            let body = buffer.get(from..to)?.to_vec();
            buffer.drain(..to);
            return Some(body);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Where the body of the first request begins and ends, once its head is there.
fn extent(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(bytes.get(..end)?).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some((end, end + length.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_found_by_their_length() {
        assert_eq!(extent(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), Some((38, 40)));
        assert_eq!(extent(b"POST / HTTP/1.1\r\nContent-"), None);
    }
}
