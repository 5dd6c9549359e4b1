//! The sections of a built configuration: every value checked and in the type that uses it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use seawall_core::client_ip::{ForwardHeader, TrustedProxies};
use seawall_core::limit::Per;
use seawall_core::policy::VerificationBounds;
use seawall_store::records::Retention;
use seawall_store::redis::Target;
use seawall_store::vault::{Command, KekSource};

use super::parse;
use super::raw::Raw;

const DAY: Duration = Duration::from_secs(86_400);
const FOR_EVER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where the APIs are served.
    pub listen: SocketAddr,
    /// Networks of our own proxies.
    pub trusted_proxies: TrustedProxies,
    /// The header in which they name the caller.
    pub client_ip_header: ForwardHeader,
    /// Who may connect at all.
    pub peers: Peers,
    /// Where it is reached from outside, without a slash at the end.
    pub public_url: Option<String>,
    /// Largest body in bytes, batches apart.
    pub max_body: usize,
    /// Largest body of a batch in bytes.
    pub max_batch_body: usize,
}

/// Who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Everybody.
    Anyone,
    /// Loopback and trusted proxies: the connection is not encrypted.
    ProxiesOnly,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the chain.
    pub certificate: PathBuf,
    /// PEM, the private key.
    pub key: PathBuf,
}

/// `[store]`
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The directory of the embedded store, or of the key and what else a node keeps for itself.
    pub data_dir: PathBuf,
    /// The URL of PostgreSQL, if that is the store. May hold a password.
    pub postgres: Option<String>,
}

/// Without the password.
impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let postgres = self.postgres.is_some();
        f.debug_struct("StoreConfig").field("data_dir", &self.data_dir).field("postgres", &postgres).finish()
    }
}

/// `[counters]`
#[derive(Clone, Debug)]
pub struct Counters {
    /// A Redis or Valkey that nodes share; `None` for this process's memory.
    pub redis: Option<Target>,
    /// What to do with sends while they do not answer.
    pub on_loss: OnLoss,
    /// Which limits [`OnLoss::Allow`] is about.
    pub allow_on_loss: Vec<LossClass>,
}

/// Limits by what they count, for what happens while counters do not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossClass {
    /// Limits that count by this part of a request.
    Per(Per),
    /// The growing delay between unconfirmed codes to a number.
    BackOff,
}

/// The word of [`LossClass::BackOff`].
const BACK_OFF: &str = "back_off";

/// What a lost counter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// Nothing is sent.
    Refuse,
    /// Limits are counted by each node for itself, with its share of the quota.
    Allow,
}

/// `[voice]`
#[derive(Clone, PartialEq, Eq)]
pub struct Voice {
    /// What Twilio signs its questions with; without it they are not answered.
    pub twilio_auth_token: Option<String>,
    /// Where the gateway is reached from outside: Twilio signs the URL that it called.
    pub public_url: Option<String>,
}

/// Without the token.
impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("twilio", &self.twilio_auth_token.is_some()).finish_non_exhaustive()
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[intel]`: the operator's own files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntelFiles {
    /// Countries.
    pub country: Option<PathBuf>,
    /// AS numbers.
    pub asn: Option<PathBuf>,
    /// Hosting, VPN, proxies, Tor, relays.
    pub anonymous: Option<PathBuf>,
    /// Ported numbers, as CSV.
    pub ported: Option<PathBuf>,
}

/// `[metrics]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// A listener of its own.
    pub listen: Option<SocketAddr>,
}

/// `[sandbox]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether the admin API may move the clock.
    pub clock: bool,
}

/// `[webhooks]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// Whether they may go to private addresses.
    pub allow_private: bool,
    /// Whether they may go unencrypted.
    pub allow_http: bool,
}

/// `[smpp]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smpp {
    /// Whether binds may cross the network without TLS.
    pub allow_insecure: bool,
}

/// `[limits]`: bounds of the listener. What senders may do is set up in the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections at a time from one address.
    pub max_connections_per_address: usize,
    /// Requests of subaccounts under way at a time.
    pub max_requests: usize,
    /// To the end of a request's headers.
    pub header_timeout: Duration,
    /// To the end of a request's body.
    pub request_timeout: Duration,
    /// Without a request.
    pub idle_timeout: Duration,
}

pub(super) fn server(raw: &mut Raw) -> Server {
    let any = raw.read("server.trust_any_proxy", false, parse::switch);
    let header = raw.read("server.client_ip_header", String::new(), parse::header_name);
    let trusted = raw.read("server.trusted_proxies", TrustedProxies::default(), |value| {
        let fix = "; if you mean that, set server.trust_any_proxy = true";
        TrustedProxies::new(parse::networks(value)?, any).map_err(|error| format!("{error}{fix}"))
    });
    Server {
        listen: raw.read("server.listen", SocketAddr::from(([127, 0, 0, 1], 8080)), parse::address),
        trusted_proxies: trusted,
        client_ip_header: ForwardHeader::from_name(&header),
        peers: Peers::Anyone,
        public_url: raw.read("server.public_url", None, |value| parse::origin(value).map(Some)),
        max_body: raw.read("server.max_body", 0, parse::size(1024..=16 << 20)),
        max_batch_body: raw.read("server.max_batch_body", 0, parse::size(1024..=64 << 20)),
    }
}

pub(super) fn tls(raw: &mut Raw) -> Option<TlsFiles> {
    let certificate = raw.read("tls.certificate", None, parse::some_text);
    let key = raw.read("tls.key", None, parse::some_text);
    if certificate.is_some() != key.is_some() {
        let fix = "tls.certificate and tls.key belong together; set both, or neither for plain HTTP";
        raw.fail("configuration", "tls", "", fix.to_owned());
    }
    let (certificate, key) = (PathBuf::from(certificate?), PathBuf::from(key?));
    for (name, path) in [("tls.certificate", &certificate), ("tls.key", &key)] {
        if let Err(error) = std::fs::File::open(path) {
            raw.fail("configuration", name, &path.display().to_string(), format!("cannot be read: {error}"));
        }
    }
    Some(TlsFiles { certificate, key })
}

pub(super) fn intel(raw: &mut Raw) -> IntelFiles {
    let mut file = |name| {
        let path = PathBuf::from(raw.read(name, None, parse::some_text)?);
        if let Err(error) = std::fs::File::open(&path) {
            raw.fail("configuration", name, &path.display().to_string(), format!("cannot be read: {error}"));
        }
        Some(path)
    };
    IntelFiles {
        country: file("intel.country_mmdb"),
        asn: file("intel.asn_mmdb"),
        anonymous: file("intel.anonymous_mmdb"),
        ported: file("intel.portability_csv"),
    }
}

pub(super) fn store(raw: &mut Raw) -> StoreConfig {
    let (mut data_dir, mut postgres) = (PathBuf::new(), None);
    raw.read("store.url", (), |value| {
        let url = parse::text(value)?;
        if is_postgres(&url) {
            postgres = Some(url);
            return Ok(());
        }
        let dir = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest).trim());
        let write = || "write \"sqlite:DIR\" or \"postgres://USER:PASSWORD@HOST/DATABASE\"".to_owned();
        data_dir = dir.filter(|d| !d.is_empty()).map(PathBuf::from).ok_or_else(write)?;
        Ok(())
    });
    if postgres.is_some() {
        data_dir = raw.read("store.data_dir", PathBuf::new(), |value| parse::text(value).map(PathBuf::from));
    }
    StoreConfig { data_dir, postgres }
}

pub(super) fn keys(raw: &mut Raw) -> Option<KekSource> {
    let second = Duration::from_secs(1);
    let deadline = raw.read("keys.deadline", second, parse::duration(second / 10..=second * 60));
    let file = raw.read("keys.file", None, parse::some_text).map(|path| KekSource::File(PathBuf::from(path)));
    let env = raw.read("keys.env", None, parse::some_text).map(KekSource::Env);
    let words: Vec<String> = raw.read("keys.command", Vec::new(), parse::texts);
    let command = (!words.is_empty()).then_some(KekSource::Command(Command { words, deadline }));
    let mut said: Vec<KekSource> = [file, env, command].into_iter().flatten().collect();
    if said.len() > 1 {
        let fix = "the key-encryption key is in one place; set one of keys.file, keys.env and keys.command";
        raw.fail("configuration", "keys", "", fix.to_owned());
    }
    said.pop()
}

/// Whether a URL names PostgreSQL.
pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

pub(super) fn counters(raw: &mut Raw) -> Counters {
    let redis = raw.read("counters.url", None, |value| match parse::text(value)?.as_str() {
        "memory:" => Ok(None),
        url => Target::parse(url).map(Some).map_err(|help| format!("write \"memory:\", or {help}")),
    });
    let words = [("refuse", OnLoss::Refuse), ("allow", OnLoss::Allow)];
    Counters {
        redis,
        on_loss: raw.read("counters.on_loss", OnLoss::Refuse, parse::word(&words)),
        allow_on_loss: raw.read("counters.allow_on_loss", Vec::new(), |value| {
            parse::texts(value)?.iter().map(|word| loss_class(word)).collect()
        }),
    }
}

fn loss_class(word: &str) -> Result<LossClass, String> {
    let known = Per::parse(word).map(LossClass::Per);
    known.or((word == BACK_OFF).then_some(LossClass::BackOff)).ok_or_else(|| {
        let words: Vec<&str> = Per::ALL.iter().map(|per| per.as_str()).collect();
        format!("`{word}` is none of {}, {BACK_OFF}", words.join(", "))
    })
}

pub(super) fn log(raw: &mut Raw) -> Log {
    let level = raw.read("log.level", String::new(), |value| {
        let text = parse::text(value)?;
        let fix = |error| format!("{error}; write e.g. \"info\" or \"info,seawall=debug\"");
        tracing_subscriber::EnvFilter::builder().parse(&text).map(|_| text).map_err(fix)
    });
    let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    Log { level, format: raw.read("log.format", LogFormat::Text, parse::word(&words)) }
}

pub(super) fn metrics(raw: &mut Raw) -> Metrics {
    Metrics { listen: raw.read("metrics.listen", None, |value| parse::address(value).map(Some)) }
}

pub(super) fn switches(raw: &mut Raw) -> (Sandbox, Webhooks, Smpp) {
    let mut on = |name| raw.read(name, false, parse::switch);
    (
        Sandbox { clock: on("sandbox.clock") },
        Webhooks { allow_private: on("webhooks.allow_private"), allow_http: on("webhooks.allow_http") },
        Smpp { allow_insecure: on("smpp.allow_insecure") },
    )
}

pub(super) fn voice(raw: &mut Raw) -> Voice {
    Voice {
        twilio_auth_token: raw.read("voice.twilio_auth_token", None, parse::some_text),
        public_url: raw.read("voice.public_url", None, parse::some_text),
    }
}

pub(super) fn verification(raw: &mut Raw) -> VerificationBounds {
    let small = |n: u64| u8::try_from(n).unwrap_or(u8::MAX);
    VerificationBounds {
        min_code_length: small(raw.read("verification.min_code_length", 4, parse::count(4..=10))),
        max_checks: small(raw.read("verification.max_checks", 5, parse::count(1..=10))),
        default_ttl: raw.read(
            "verification.default_ttl",
            DAY,
            parse::duration(Duration::from_secs(10)..=DAY),
        ),
    }
}

pub(super) fn retention(raw: &mut Raw) -> Retention {
    let hour = Duration::from_secs(3600);
    let messages = raw.read("retention.messages", FOR_EVER, parse::duration(DAY * 2..=FOR_EVER));
    Retention {
        texts: raw.read("retention.texts", DAY, parse::duration(Duration::ZERO..=messages)),
        messages,
        audit: raw.read("retention.audit", DAY, parse::duration(DAY..=FOR_EVER)),
        idempotency: raw.read("retention.idempotency", DAY, parse::duration(hour..=DAY * 30)),
        masking: raw.read("retention.masking", DAY * 30, parse::duration(DAY..=FOR_EVER)),
    }
}

pub(super) fn limits(raw: &mut Raw) -> ConnectionLimits {
    let mut some =
        |name| usize::try_from(raw.read(name, 1, parse::count(1..=1_000_000))).unwrap_or(usize::MAX);
    let (max_connections, per_address) =
        (some("limits.max_connections"), some("limits.max_connections_per_address"));
    let max_requests = some("limits.max_requests");
    let mut wait = |name| {
        let bounds = Duration::from_millis(50)..=Duration::from_secs(3600);
        raw.read(name, Duration::from_secs(1), parse::duration(bounds))
    };
    ConnectionLimits {
        max_connections,
        max_connections_per_address: per_address,
        max_requests,
        header_timeout: wait("limits.header_timeout"),
        request_timeout: wait("limits.request_timeout"),
        idle_timeout: wait("limits.idle_timeout"),
    }
}
