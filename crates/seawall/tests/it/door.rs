//! The door, through real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::{get, post};
use axum::{Extension, Router};
use seawall::config::{Config, Overrides};
use seawall::http::door::{self, CallerIp, PeerAddr};
use seawall::http::extract::Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running door with a small router behind it.
struct Running {
    at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), String>>,
}

fn config(pairs: &[(&str, &str)]) -> Config {
    let env = pairs.iter().map(|(name, value)| (format!("SEAWALL_{name}"), (*value).to_owned()));
    let env: Vec<_> = env.collect();
    Config::load(None, env.into_iter(), Overrides::default()).unwrap()
}

fn routes() -> Router {
    let who = |Extension(CallerIp(ip)): Extension<CallerIp>,
               Extension(PeerAddr(peer)): Extension<PeerAddr>| async move {
        format!("{ip} via {}", peer.ip())
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "done"
    };
    async fn broken() -> &'static str {
        panic!("secret detail")
    }
    async fn echo(Json(value): Json<serde_json::Value>) -> String {
        value.to_string()
    }
    Router::new()
        .route("/who", get(who))
        .route("/slow", get(slow))
        .route("/broken", get(broken))
        .route("/api/v1/broken", get(broken))
        .route("/echo", post(echo))
        .route("/api/v1/thing", post(|| async { "" }))
}

async fn start(pairs: &[(&str, &str)]) -> Running {
    let config = config(pairs);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = door::finish(routes(), &config, Arc::default());
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(async move {
        door::serve(listener, router, &config, async move { drop(stopped.await) }).await
    });
    Running { at, stop: Some(stop), served }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// Sends bytes and reads until the other side closes.
    async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    async fn ask(&self, head: &str, body: &str) -> String {
        let length = body.len();
        self.exchange(&format!(
            "{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ =
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("the connection should have ended");
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

fn json(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn the_caller_is_found_right_to_left_and_only_behind_a_trusted_proxy() {
    let untrusted = start(&[]).await;
    let answer = untrusted.ask("GET /who HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9", "").await;
    assert!(answer.ends_with("127.0.0.1 via 127.0.0.1"), "{answer}");
    let trusted = start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8")]).await;
    let head = "GET /who HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9, 10.0.0.7";
    let answer = trusted.ask(head, "").await;
    assert!(answer.ends_with("203.0.113.9 via 127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn every_answer_carries_an_id_and_is_not_cached() {
    let door = start(&[]).await;
    let answer = door.ask("GET /who HTTP/1.1", "").await;
    assert!(header(&answer, "x-request-id").unwrap().starts_with("req_"), "{answer}");
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
    let answer = door.ask("GET /who HTTP/1.1\r\nX-Request-Id: mine-1", "").await;
    assert_eq!(header(&answer, "x-request-id"), Some("mine-1"));
}

#[tokio::test]
async fn refusals_speak_the_dialect_of_their_path() {
    let door = start(&[]).await;
    let answer = door.ask("GET /nothing?code=123456 HTTP/1.1", "").await;
    let body = json(&answer);
    assert_eq!((status(&answer), &body["code"]), ("404", &"not-found".into()));
    assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    assert_eq!(body["request_id"].as_str(), header(&answer, "x-request-id"));
    assert!(!answer.contains("123456"), "a query is never repeated: {answer}");

    let answer = door.ask("DELETE /who HTTP/1.1", "").await;
    assert_eq!((status(&answer), header(&answer, "allow")), ("405", Some("GET,HEAD")), "{answer}");
    assert_eq!(json(&answer)["code"], "method-not-allowed");

    let answer = door.ask("GET /api/v1/nothing HTTP/1.1", "").await;
    let body = json(&answer);
    assert_eq!((status(&answer), &body["code"]), ("404", &1300.into()));
    assert_eq!(body["errorId"].as_str().unwrap().len(), 36);
    assert!(body["timestamp"].as_str().unwrap().starts_with("20"), "{body}");

    let answer = door.ask("GET /api/v1/thing HTTP/1.1", "").await;
    assert_eq!((status(&answer), header(&answer, "allow")), ("405", Some("POST")), "{answer}");
}

#[tokio::test]
async fn a_panic_is_an_answer_without_detail() {
    let door = start(&[]).await;
    for path in ["/broken", "/api/v1/broken"] {
        let answer = door.ask(&format!("GET {path} HTTP/1.1"), "").await;
        assert_eq!(status(&answer), "500");
        assert!(!answer.contains("secret") && header(&answer, "x-request-id").is_some(), "{answer}");
    }
    assert_eq!(status(&door.ask("GET /who HTTP/1.1", "").await), "200");
}

#[tokio::test]
async fn bodies_are_bounded_in_kind_size_and_time() {
    let door = start(&[("SERVER__MAX_BODY", "1024"), ("LIMITS__REQUEST_TIMEOUT", "1s")]).await;
    let post = "POST /echo HTTP/1.1\r\nContent-Type: application/json";
    assert_eq!(status(&door.ask(post, "{\"a\":1}").await), "200");
    assert_eq!(status(&door.ask(post, "{\"a\":").await), "400");
    assert_eq!(status(&door.ask("POST /echo HTTP/1.1", "{}").await), "415");
    assert_eq!(status(&door.ask(post, &format!("\"{}\"", "x".repeat(1100))).await), "413");
    let answer = door.exchange(&format!("{post}\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{")).await;
    assert_eq!((status(&answer), &json(&answer)["code"]), ("408", &"body-too-slow".into()));
}

#[tokio::test]
async fn headers_are_bounded_in_number_size_and_time() {
    let door = start(&[("LIMITS__HEADER_TIMEOUT", "200ms")]).await;
    let headers = |count: usize| (0..count).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    let with = |headers: &str| format!("GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    assert_eq!(status(&door.exchange(&with(&headers(98))).await), "200");
    assert_eq!(status(&door.exchange(&with(&headers(99))).await), "431");
    let long = |length: usize| format!("X-Long: {}\r\n", "x".repeat(length));
    assert_eq!(status(&door.exchange(&with(&long(15 * 1024))).await), "200");
    assert_eq!(status(&door.exchange(&with(&long(17 * 1024))).await), "431");

    for start_of_head in ["", "GET /who HT"] {
        let began = Instant::now();
        assert_eq!(status(&door.exchange(start_of_head).await), "closed");
        assert!((150..2000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let limits = [("LIMITS__HEADER_TIMEOUT", "100ms"), ("LIMITS__IDLE_TIMEOUT", "500ms")];
    let door = start(&limits).await;
    let mut stream = door.connect().await;
    let began = Instant::now();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("done"), "{answer}");
    assert!(
        (750..3000).contains(&began.elapsed().as_millis()),
        "300 ms busy, then 500 idle: {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn slow_and_broken_clients_do_not_hurt_others() {
    let door = start(&[("LIMITS__MAX_CONNECTIONS", "300"), ("LIMITS__HEADER_TIMEOUT", "300ms")]).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = door.connect().await;
        stream.write_all(b"GET /").await.unwrap();
        slow.push(stream);
    }
    for _ in 0..50 {
        assert_eq!(status(&door.ask("GET /who HTTP/1.1", "").await), "200");
        let junk = door.exchange("\u{16}\u{3}\u{1}junk\r\n\r\n").await;
        assert!(junk.is_empty() || status(&junk) == "400", "{junk}");
    }
    for mut stream in slow {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn the_number_of_connections_is_bounded() {
    let door = start(&[("LIMITS__MAX_CONNECTIONS", "2")]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = door.connect().await;
        stream.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    let mut third = door.connect().await;
    assert_eq!(status(&rest(&mut third).await), "closed");
    held.clear();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(status(&door.ask("GET /who HTTP/1.1", "").await), "200");
}

#[tokio::test]
async fn shutting_down_finishes_what_is_under_way() {
    let mut door = start(&[]).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    door.stop.take().unwrap().send(()).unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("done"), "{answer}");
    tokio::time::timeout(Duration::from_secs(2), &mut door.served).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(door.at).await.is_err(), "no new connections");
}
