//! Several gateways over one throw-away PostgreSQL and one throw-away Redis.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Gateway, Postgres, Redis};

/// All of them.
pub struct Fleet {
    /// The gateways; the first one made the installation.
    pub nodes: Vec<Gateway>,
    /// What they share.
    pub postgres: Postgres,
    /// What they count in.
    pub redis: Redis,
}

impl Fleet {
    /// Starts so many.
    pub async fn start(binary: &Path, count: usize) -> Result<Self, String> {
        let (postgres, redis) = (Postgres::start()?, Redis::start(None)?);
        let settings = vec![
            ("SEAWALL_STORE__URL", postgres.url()),
            ("SEAWALL_COUNTERS__URL", redis.url()),
            ("SEAWALL_SANDBOX__CLOCK", "false".to_owned()),
        ];
        let mut nodes = vec![Gateway::start_with(binary, None, settings).await?];
        while nodes.len() < count {
            let first = nodes.first().ok_or("there is no first node")?;
            nodes.push(Gateway::join(first).await?);
        }
        Ok(Fleet { nodes, postgres, redis })
    }

    /// The node that this is set up on.
    pub fn first(&self) -> Result<&Gateway, String> {
        self.nodes.first().ok_or_else(|| "there is no node".to_owned())
    }

    /// Waits until what was set up last is in force on all nodes.
    pub async fn in_force(&self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let mut versions = Vec::new();
            for node in &self.nodes {
                versions.push(node.metric("seawall_policy_version").await?);
            }
            versions.dedup();
            if versions.len() == 1 {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(30) {
                return Err("nodes do not agree on what is set up".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
