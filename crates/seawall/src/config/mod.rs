//! Configuration: raw values become a built [`Config`] here, once. What is built is valid; everything that
//! is wrong is said at the same time.

mod env;
mod error;
mod keys;
mod parse;
mod raw;
pub mod reference;
mod sections;
mod suggest;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use seawall_core::policy::VerificationBounds;
use seawall_store::records::Retention;
use seawall_store::vault::KekSource;
use toml::Value;

pub use error::ConfigError;
pub use sections::{
    ConnectionLimits, Counters, IntelFiles, Log, LogFormat, LossClass, Metrics, OnLoss, Peers, Sandbox,
    Server, Smpp, StoreConfig, TlsFiles, Voice, Webhooks,
};

use raw::Raw;

/// What the command line says; it outranks everything else.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--data-dir`, or `SEAWALL_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`, or `SEAWALL_LISTEN`: address and port, checked with all other values.
    pub listen: Option<String>,
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener and who is believed.
    pub server: Server,
    /// HTTPS, when it is ours to do.
    pub tls: Option<TlsFiles>,
    /// Where data is kept.
    pub store: StoreConfig,
    /// What wraps data keys; `None`: the key file of the data directory.
    pub keys: Option<KekSource>,
    /// Where limits count.
    pub counters: Counters,
    /// What is logged.
    pub log: Log,
    /// The operator's own files about addresses.
    pub intel: IntelFiles,
    /// Where metrics are.
    pub metrics: Metrics,
    /// What the sandbox may do.
    pub sandbox: Sandbox,
    /// Where webhooks may go.
    pub webhooks: Webhooks,
    /// How SMPP may connect.
    pub smpp: Smpp,
    /// How networks that carry calls ask.
    pub voice: Voice,
    /// Bounds of verifications.
    pub verification: VerificationBounds,
    /// How long things are kept.
    pub retention: Retention,
    /// Bounds of the listener.
    pub limits: ConnectionLimits,
    /// What is allowed and yet worth a line in the log.
    pub warnings: Vec<String>,
    effective: String,
}

impl Config {
    /// Puts defaults, file, environment and flags together. All errors are found at once.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: Overrides,
    ) -> Result<Config, Vec<ConfigError>> {
        let mut raw = Raw::default();
        if let Some(path) = path {
            raw.file(path);
        }
        env::overlay(&mut raw, env);
        flags.apply(&mut raw);
        let config = build(&mut raw);
        if raw.errors.is_empty() { Ok(config) } else { Err(raw.errors) }
    }

    /// Everything as it is in force, as TOML with its sources, passwords masked.
    pub fn effective(&self) -> &str {
        &self.effective
    }

    /// The directory of the embedded store, or of what a node keeps for itself.
    pub fn data_dir(&self) -> &Path {
        &self.store.data_dir
    }
}

impl Overrides {
    fn apply(self, raw: &mut Raw) {
        if let Some(dir) = self.data_dir {
            match raw.text("store.url").is_some_and(|url| sections::is_postgres(&url)) {
                true => raw.set("--data-dir", "store.data_dir", Value::String(dir.display().to_string())),
                false => {
                    raw.set("--data-dir", "store.url", Value::String(format!("sqlite:{}", dir.display())))
                }
            }
        }
        if let Some(listen) = self.listen {
            raw.set("--listen or SEAWALL_LISTEN", "server.listen", Value::String(listen));
        }
    }
}

fn build(raw: &mut Raw) -> Config {
    let (sandbox, webhooks, smpp) = sections::switches(raw);
    let mut server = sections::server(raw);
    let tls = sections::tls(raw);
    server.peers = peers(raw, &server, tls.is_some());
    let warnings = warnings(raw, &server);
    Config {
        server,
        tls,
        store: sections::store(raw),
        keys: sections::keys(raw),
        counters: sections::counters(raw),
        log: sections::log(raw),
        intel: sections::intel(raw),
        metrics: sections::metrics(raw),
        sandbox,
        webhooks,
        smpp,
        voice: sections::voice(raw),
        verification: sections::verification(raw),
        retention: sections::retention(raw),
        limits: sections::limits(raw),
        warnings,
        effective: reference::effective(raw),
    }
}

/// API keys must not cross a network in clear: beyond loopback there is TLS, or a proxy that has it, or
/// someone who said that they know.
fn peers(raw: &mut Raw, server: &Server, tls: bool) -> Peers {
    let plain_allowed = raw.read("server.allow_plain_http", false, parse::switch);
    if tls || plain_allowed || server.listen.ip().to_canonical().is_loopback() {
        return Peers::Anyone;
    }
    if server.trusted_proxies.nets().is_empty() {
        let problem = "API keys would cross the network unencrypted; set [tls] certificate and key, or \
            server.trusted_proxies if a proxy in front speaks TLS, or server.allow_plain_http = true";
        raw.fail("configuration", "server.listen", &format!("\"{}\"", server.listen), problem.to_owned());
    }
    Peers::ProxiesOnly
}

fn warnings(raw: &mut Raw, server: &Server) -> Vec<String> {
    let given =
        raw.read("server.trusted_proxies", Vec::new(), |v| Ok(parse::networks(v).unwrap_or_default()));
    let used = server.trusted_proxies.nets();
    let changed = given.iter().zip(used).filter(|(given, used)| given != used);
    let mut warnings: Vec<String> =
        changed.map(|(given, used)| format!("server.trusted_proxies: {given} is taken as {used}")).collect();
    let unspecified = matches!(server.listen.ip(), IpAddr::V4(ip) if ip.is_unspecified());
    if server.peers == Peers::ProxiesOnly && unspecified {
        let listen = server.listen;
        warnings.push(format!(
            "server.listen {listen} is open to the network; only loopback and trusted proxies are answered"
        ));
    }
    warnings
}
