//! Several gateways over one throw-away PostgreSQL and one throw-away Redis.

use std::path::Path;
use std::time::{Duration, Instant};

use seawall::serve::{Running, start};
use seawall_store::conformance::server::server;

use crate::common::{Gateway, client, config};
use crate::redis_server::Redis;

/// What nodes share.
pub struct Shared {
    _redis: Redis,
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
        Some(Shared { _redis: redis, database, redis_url, dir })
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
        let dir = self.data_dir();
        let running = self.start(dir.path()).await;
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
