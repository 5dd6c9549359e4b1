//! The gateway's process: initialised in a scratch directory, started, killed, started again.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::build::Scratch;
use super::wire::{Wire, request};

/// Longer than this to become ready is a failure.
const READY_AT_MOST: Duration = Duration::from_secs(120);

/// An address that was free a moment ago.
pub fn free_address() -> Result<SocketAddr, String> {
    let found = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    found.map_err(|error| format!("no free port: {error}"))
}

/// A gateway that can be killed and started again on the same data.
pub struct Gateway {
    binary: PathBuf,
    /// Where its data and its log are.
    pub scratch: Scratch,
    core: Option<u32>,
    settings: Vec<(&'static str, String)>,
    child: Option<Child>,
    /// Where it listens.
    pub addr: SocketAddr,
    /// For the APIs.
    pub api_key: String,
    /// For the admin API.
    pub admin_token: String,
    /// The one that `init` made.
    pub subaccount: String,
}

impl Gateway {
    /// Initialises a data directory and starts the gateway on it, pinned to a core if asked.
    pub async fn start(binary: &Path, core: Option<u32>) -> Result<Self, String> {
        Self::start_with(binary, core, Vec::new()).await
    }

    /// The same with settings: `("SEAWALL_SECTION__KEY", value)`.
    pub async fn start_with(
        binary: &Path,
        core: Option<u32>,
        settings: Vec<(&'static str, String)>,
    ) -> Result<Self, String> {
        let scratch = Scratch::new()?;
        let made = initialise(binary, &scratch.0, &settings)?;
        let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut gateway = Gateway {
            binary: binary.to_path_buf(),
            addr: free_address()?,
            api_key: text("api_key"),
            admin_token: text("admin_token"),
            subaccount: text("subaccount_id"),
            scratch,
            core,
            settings,
            child: None,
        };
        gateway.launch().await?;
        Ok(gateway)
    }

    /// One more gateway over what another one shares, with the same key.
    pub async fn join(other: &Gateway) -> Result<Self, String> {
        let scratch = Scratch::new()?;
        let (from, to) = (other.scratch.0.join("data"), scratch.0.join("data"));
        let copied = std::fs::create_dir_all(&to)
            .and_then(|()| std::fs::copy(from.join("installation.key"), to.join("installation.key")));
        copied.map_err(|error| format!("the key cannot be copied: {error}"))?;
        let mut gateway = Gateway {
            binary: other.binary.clone(),
            addr: free_address()?,
            api_key: other.api_key.clone(),
            admin_token: other.admin_token.clone(),
            subaccount: other.subaccount.clone(),
            scratch,
            core: other.core,
            settings: other.settings.clone(),
            child: None,
        };
        gateway.launch().await?;
        Ok(gateway)
    }

    /// A figure that it tells of itself.
    pub async fn metric(&self, name: &str) -> Result<u64, String> {
        let failed = |error: std::io::Error| format!("GET /metrics: {error}");
        let mut wire = Wire::open(self.addr).await.map_err(failed)?;
        let answer = wire.exchange(&request("GET", "/metrics", "", "")).await.map_err(failed)?;
        let text = String::from_utf8_lossy(answer.body).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| format!("/metrics has no {name}"))
    }

    /// Starts the process; says how long it took until `/readyz` answered 200.
    pub async fn launch(&mut self) -> Result<Duration, String> {
        let log = std::fs::File::options().create(true).append(true).open(self.scratch.0.join("log"));
        let log = log.map_err(|error| format!("no log: {error}"))?;
        let mut command = pinned(&self.binary, self.core);
        command.arg("serve").arg("--data-dir").arg(self.scratch.0.join("data"));
        command.arg("--listen").arg(self.addr.to_string()).env("SEAWALL_LOG__LEVEL", "warn");
        command.env("SEAWALL_SANDBOX__CLOCK", "true").stdout(Stdio::null()).stdin(Stdio::null()).stderr(log);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let begun = Instant::now();
        self.child = Some(command.spawn().map_err(|error| format!("cannot start the gateway: {error}"))?);
        while begun.elapsed() < READY_AT_MOST {
            if matches!(self.call("GET", "/readyz", "", None).await, Ok((200, _))) {
                return Ok(begun.elapsed());
            }
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                return Err(format!("the gateway ended at once ({status}):\n{}", self.log()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(format!("the gateway did not become ready:\n{}", self.log()))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.scratch.0.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// One request on a connection of its own.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let failed = |error: std::io::Error| format!("{method} {path}: {error}");
        let mut wire = Wire::open(self.addr).await.map_err(failed)?;
        let answer = wire.exchange(&request(method, path, bearer, &body)).await.map_err(failed)?;
        Ok((answer.status, serde_json::from_slice(answer.body).unwrap_or_default()))
    }

    /// A request to the admin API that must succeed. `path` begins after `/admin/v1/`.
    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let whole = format!("/admin/v1/{path}");
        let (status, answer) = self.call(method, &whole, &self.admin_token, body.as_ref()).await?;
        if (200..300).contains(&status) {
            Ok(answer)
        } else {
            Err(format!("{method} {whole}: {status} {answer}"))
        }
    }

    /// Lifts the built-in API rates and lets detection only watch: a load without people who confirm is a
    /// campaign by any measure, and would be stopped as one.
    pub async fn lift_rates(&self) -> Result<(), String> {
        let rates = serde_json::json!({
            "api_rates": {"per_subaccount": 1_000_000, "per_caller_ip": 1_000_000},
            "detection": {"mode": "shadow"},
        });
        self.admin("PATCH", "settings", Some(rates)).await.map(|_| ())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that runs on one core, where `taskset` can be had.
pub fn pinned(binary: &Path, core: Option<u32>) -> Command {
    match core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.arg("-c").arg(core.to_string()).arg(binary);
            command
        }
        None => Command::new(binary),
    }
}

fn initialise(binary: &Path, scratch: &Path, settings: &[(&'static str, String)]) -> Result<Value, String> {
    let mut command = Command::new(binary);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.arg("init").arg("--data-dir").arg(scratch.join("data"));
    let output = command.args(["--account", "acme", "--subaccount", "acme_hq", "--json"]).output();
    let output = output.map_err(|error| format!("cannot run `seawall init`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`seawall init` failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`seawall init --json` wrote no JSON: {error}"))
}
