//! Several gateways over one throw-away PostgreSQL and one throw-away Redis.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use seawall::serve::{Running, start};
use seawall_store::conformance::server::server;
use serde_json::Value;

use crate::common::{Gateway, client, config};
use crate::redis_server::Redis;

/// What nodes share.
pub struct Shared {
    pub redis: Redis,
    pub database: String,
    redis_url: String,
    /// The directory whose key opens the database.
    pub dir: tempfile::TempDir,
}

impl Shared {
    /// `None`, loudly, where a server is missing.
    pub async fn new() -> Option<Self> {
        let Some(postgres) = server().await.unwrap() else {
            eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
            return None;
        };
        Self::over(postgres.database().await.unwrap())
    }

    /// The same over an empty database that is there.
    pub fn over(database: String) -> Option<Self> {
        let redis = Redis::start()?;
        let (redis_url, dir) = (redis.url(), tempfile::tempdir().unwrap());
        // Opening it makes a key; all nodes have to have the same.
        seawall_store::vault::Vault::open(dir.path(), true).unwrap();
        Some(Shared { redis, database, redis_url, dir })
    }

    /// A directory of a node of its own, with the common key.
    pub fn data_dir(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let key = "installation.key";
        std::fs::copy(self.dir.path().join(key), dir.path().join(key)).unwrap();
        dir
    }

    /// What each node is configured with. Windows go by the server's clock, as they do outside of tests.
    pub fn settings(&self) -> [(&'static str, &str); 3] {
        [
            ("SEAWALL_STORE__URL", &self.database),
            ("SEAWALL_COUNTERS__URL", &self.redis_url),
            ("SEAWALL_SANDBOX__CLOCK", "false"),
        ]
    }

    async fn start(&self, dir: &Path) -> Running {
        start(config(dir, &self.settings())).await.unwrap()
    }

    /// The first node, which makes the installation, and more that join it.
    pub async fn nodes(&self, count: usize) -> Vec<Gateway> {
        let dir = self.data_dir();
        let running = self.start(dir.path()).await;
        let first = running.initialised.clone().expect("an empty database");
        let base = format!("http://{}", running.addr);
        let mut nodes = vec![Gateway { running, first, base, http: client(), dir }];
        while nodes.len() < count {
            let next = self.join(&nodes[0]).await;
            nodes.push(next);
        }
        nodes
    }

    /// One more node.
    pub async fn join(&self, other: &Gateway) -> Gateway {
        self.join_at(&self.database, other).await
    }

    /// One more node, which reaches the database by another URL.
    pub async fn join_at(&self, database: &str, other: &Gateway) -> Gateway {
        let dir = self.data_dir();
        let [_, counters, clock] = self.settings();
        let settings = [("SEAWALL_STORE__URL", database), counters, clock];
        let running = start(config(dir.path(), &settings)).await.unwrap();
        let base = format!("http://{}", running.addr);
        Gateway { running, first: other.first.clone(), base, http: client(), dir }
    }
}

/// Waits for something that will be true. Not a measurement: a busy machine may take its time.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A gateway in a process of its own.
pub struct Process {
    child: Child,
    pub base: String,
}

impl Process {
    /// Starts it, and waits until it is ready.
    pub async fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.args(["serve", "--data-dir"]).arg(dir).args(["--listen", &listen.to_string()]);
        command.envs(settings.iter().copied()).env("SEAWALL_LOG__LEVEL", "warn");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Process { child, base: format!("http://{listen}") };
        eventually("the gateway is ready", async || {
            client().get(format!("{}/readyz", process.base)).send().await.is_ok_and(|a| a.status() == 200)
        })
        .await;
        process
    }

    /// What one says that does not start.
    pub fn refused(dir: &Path, settings: &[(&str, &str)]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.args(["serve", "--data-dir"]).arg(dir).args(["--listen", "127.0.0.1:0"]);
        let ended = command.envs(settings.iter().copied()).output().unwrap();
        assert!(!ended.status.success());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    }

    /// SIGSTOP: it does nothing any more, and everybody who talks to it waits.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on where it stood, as if no time had passed.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A provider that remembers how often each message reached it.
#[derive(Clone, Default)]
pub struct Sink(Arc<Mutex<HashMap<String, usize>>>);

impl Sink {
    /// Opens it; it goes on as long as the test does.
    pub async fn open() -> (Self, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let sink = Sink::default();
        let own = sink.clone();
        let take = move |body: axum::Json<Value>| {
            let id = body.0["id"].as_str().unwrap_or_default().to_owned();
            *own.0.lock().unwrap().entry(id.clone()).or_default() += 1;
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                axum::Json(serde_json::json!({"id": id}))
            }
        };
        let app = axum::Router::new().route("/send", axum::routing::post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (sink, addr)
    }

    /// What a provider that leads here is set up with.
    pub fn provider(addr: SocketAddr) -> Value {
        serde_json::json!({"name": "sink", "kind": "http", "enabled": true, "settings": {
            "url": format!("http://{addr}/send"), "method": "POST", "allow_http": true,
            "body": {"id": "{id}", "to": "{to}", "text": "{text}"}}})
    }

    /// Messages that reached it more than once.
    pub fn twice(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(_, times)| **times > 1).map(|(id, _)| id.clone()).collect()
    }

    /// How many messages reached it.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// An API key, an admin token, and where to use them.
#[derive(Clone)]
pub struct Access {
    pub http: reqwest::Client,
    pub key: String,
    pub admin: String,
}

impl Access {
    /// What `serve` left in the directory of the node that made the installation.
    pub fn read(dir: &Path) -> Option<Self> {
        let first = std::fs::read_to_string(dir.join("first-key.json")).ok()?;
        let first: Value = serde_json::from_str(&first).unwrap();
        let text = |name: &str| first[name].as_str().unwrap().to_owned();
        Some(Access { http: client(), key: text("api_key"), admin: text("admin_token") })
    }

    /// A request; `None` when nobody answers.
    pub async fn call(
        &self,
        token: &str,
        method: &str,
        url: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        self.call_with(token, method, url, body, None).await
    }

    /// The same under an idempotency key.
    pub async fn call_with(
        &self,
        token: &str,
        method: &str,
        url: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> Option<(u16, Value)> {
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// A request to the admin API that must succeed.
    pub async fn admin(&self, base: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{base}/admin/v1/{path}");
        let (status, answer) = self.call(&self.admin, method, &url, body.as_ref()).await.unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Only the sink is left as a provider; there are no limits, and detection does not interfere.
    pub async fn bare(&self, base: &str, sink: SocketAddr) {
        for kind in ["limits", "routes"] {
            let all = self.admin(base, "GET", &format!("{kind}?limit=200"), None).await;
            for one in all["data"].as_array().unwrap() {
                self.admin(base, "DELETE", &format!("{kind}/{}", one["id"].as_str().unwrap()), None).await;
            }
        }
        self.admin(base, "POST", "providers", Some(Sink::provider(sink))).await;
        let route = serde_json::json!({"match": {}, "providers": ["sink"]});
        self.admin(base, "POST", "routes", Some(route)).await;
        let settings = serde_json::json!({"verification_backoff": {"mode": "off"}, "detection": {"mode": "off"},
            "api_rates": {"per_subaccount": 1_000_000, "per_caller_ip": 1_000_000}});
        self.admin(base, "PATCH", "settings", Some(settings)).await;
    }

    /// How many messages are in each state.
    pub async fn census(&self, base: &str) -> HashMap<String, u64> {
        let overview = self.admin(base, "GET", "stats/overview", None).await;
        serde_json::from_value(overview["messages"]["by_state"].clone()).unwrap()
    }
}

/// Sends until told to stop; what nobody answered is asked again, of the next node, under the same key.
pub async fn insist(
    access: Access,
    bases: Vec<String>,
    worker: u64,
    over: Arc<std::sync::atomic::AtomicBool>,
) -> Vec<String> {
    let mut taken = Vec::new();
    let mut at = usize::try_from(worker).unwrap();
    for n in 0.. {
        if over.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let to = format!("+65{}", 80_000_000 + worker * 100_000 + n);
        let (body, once) = (serde_json::json!({"to": to, "text": "hello"}), format!("k-{worker}-{n}"));
        loop {
            let url = format!("{}/v1/messages", bases[at % bases.len()]);
            match access.call_with(&access.key, "POST", &url, Some(&body), Some(&once)).await {
                Some((200 | 201, answer)) => break taken.push(answer["id"].as_str().unwrap().to_owned()),
                None | Some((409 | 503, _)) => at += 1,
                Some((status, answer)) => panic!("{status} {answer}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    taken
}
