//! What is running: a gateway, Kamailio and rtpengine, each on free ports and in a directory of its own.

use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::live::{Gateway, Scratch};
use crate::sources::root;

/// The virtual number.
pub const MASK: &str = "+6531580001";
/// Starting takes a second.
const READY_AT_MOST: Duration = Duration::from_secs(30);

/// A program that ends with the stage.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Kamailio's first process ends the others when it is asked to.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything that is running.
pub struct Stage {
    /// The gateway.
    pub gateway: Gateway,
    /// Where Kamailio listens.
    pub proxy: u16,
    /// Where it sends calls to: one phone at a time listens there.
    pub trunk: u16,
    /// For files.
    pub scratch: Scratch,
    _kamailio: Running,
    _announcer: Running,
    _rtpengine: Running,
}

/// Where all of them listen.
struct Ports {
    proxy: u16,
    trunk: u16,
    control: u16,
    announcer: u16,
}

/// A UDP port that was free a moment ago.
pub fn free_port() -> Result<u16, String> {
    let found = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    found.map(|addr| addr.port()).map_err(|error| format!("no free port: {error}"))
}

fn spawn(program: &str, arguments: &[String], log: &Path) -> Result<Running, String> {
    let file = || File::options().create(true).append(true).open(log).map_err(|e| format!("no log: {e}"));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(file()?).stderr(file()?);
    command.spawn().map(Running).map_err(|error| format!("cannot start {program}: {error}"))
}

impl Stage {
    /// Starts all of it.
    pub async fn set_up(binary: &Path) -> Result<Self, String> {
        let gateway = Gateway::start(binary, None).await?;
        gateway.admin("POST", "number-pools", Some(json!({"name": "rides", "reuse_after": "0s"}))).await?;
        gateway.admin("POST", "virtual-numbers", Some(json!({"msisdn": MASK, "pool": "rides"}))).await?;
        let key = json!({"name": "kamailio", "scopes": ["voice"]});
        let key = gateway.admin("POST", "api-keys", Some(key)).await?;
        let key = key.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        let scratch = Scratch::new()?;
        let ports = Ports {
            proxy: free_port()?,
            trunk: free_port()?,
            control: free_port()?,
            announcer: free_port()?,
        };
        let Ports { proxy, trunk, control, .. } = ports;
        let rtpengine = spawn("/usr/bin/rtpengine", &media(control), &scratch.0.join("rtpengine.log"))?;
        configured(&scratch.0, &gateway, &key, &ports)?;
        let program = |config: &str| {
            let config = scratch.0.join(config).display().to_string();
            let arguments = ["-f", &config, "-DD", "-E"].map(str::to_owned);
            spawn("/usr/sbin/kamailio", &arguments, &scratch.0.join("kamailio.log"))
        };
        // rtpengine is asked once at the start.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (kamailio, announcer) = (program("kamailio.cfg")?, program("announce.cfg")?);
        let stage = Stage {
            gateway,
            proxy,
            trunk,
            scratch,
            _kamailio: kamailio,
            _announcer: announcer,
            _rtpengine: rtpengine,
        };
        stage.listening().await?;
        Ok(stage)
    }

    /// Waits until Kamailio answers.
    async fn listening(&self) -> Result<(), String> {
        let ask = || -> std::io::Result<bool> {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            let own = socket.local_addr()?;
            socket.set_read_timeout(Some(Duration::from_millis(250)))?;
            let question = format!(
                "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK1\r\n\
                 From: <sip:x@{own}>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\n\
                 Max-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(question.as_bytes(), ("127.0.0.1", self.proxy))?;
            Ok(socket.recv(&mut [0; 2048])? > 0)
        };
        let begun = Instant::now();
        while begun.elapsed() < READY_AT_MOST {
            if matches!(ask(), Ok(true)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("Kamailio does not answer:\n{}", self.logs()))
    }

    /// The end of what was logged.
    pub fn logs(&self) -> String {
        let end = |name: &str| {
            let log = std::fs::read_to_string(self.scratch.0.join(name)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
        };
        format!("{}\n{}\n{}", end("kamailio.log"), end("rtpengine.log"), self.gateway.log())
    }

    /// Everything that was logged.
    pub fn logged(&self) -> String {
        let whole = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let own = [self.scratch.0.join("kamailio.log"), self.gateway.scratch.0.join("log")];
        own.map(whole).concat()
    }

    /// A request with the first API key.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value), String> {
        self.gateway.call(method, path, &self.gateway.api_key, body.as_ref()).await
    }
}

fn media(control: u16) -> Vec<String> {
    let options = [
        "--table=-1",
        "--interface=127.0.0.1",
        "--foreground",
        "--log-stderr",
        "--log-level=4",
        "--port-min=30000",
        "--port-max=31000",
    ];
    options.map(str::to_owned).into_iter().chain([format!("--listen-ng=127.0.0.1:{control}")]).collect()
}

/// The tracked configuration, with the addresses of this stage in `local.cfg`.
fn configured(dir: &Path, gateway: &Gateway, key: &str, ports: &Ports) -> Result<(), String> {
    let Ports { proxy, trunk, control, announcer } = ports;
    let from = root().join("deploy/kamailio");
    let failed = |error: std::io::Error| format!("the configuration of Kamailio: {error}");
    for file in ["kamailio.cfg", "announce.cfg"] {
        std::fs::copy(from.join(file), dir.join(file)).map_err(failed)?;
    }
    let local = std::fs::read_to_string(from.join("local.cfg")).map_err(failed)?;
    let given = [
        ("LISTEN", format!("udp:127.0.0.1:{proxy}")),
        ("TRUNK_IP", "\"127.0.0.1\"".to_owned()),
        ("TRUNK_HOST", format!("\"127.0.0.1:{trunk}\"")),
        ("TRUNK_URI", format!("\"sip:127.0.0.1:{trunk}\"")),
        ("GATEWAY", format!("\"http://{}\"", gateway.addr)),
        ("HEADERS", format!("\"Content-Type: application/json\\r\\nAuthorization: Bearer {key}\"")),
        ("RTPENGINE", format!("\"udp:127.0.0.1:{control}\"")),
        ("RINGS_MS", "2000".to_owned()),
        ("ANNOUNCEMENTS", format!("\"{}\"", from.join("announcements").display())),
        ("ANNOUNCER", format!("udp:127.0.0.1:{announcer}")),
        ("ANNOUNCER_URI", format!("\"sip:127.0.0.1:{announcer}\"")),
        ("ANNOUNCE_MS", "1500".to_owned()),
    ];
    let line = |line: &str| {
        let name = line.strip_prefix("#!define ").and_then(|rest| rest.split(' ').next());
        let other = name.and_then(|name| given.iter().find(|(known, _)| *known == name));
        other.map_or_else(|| line.to_owned(), |(name, value)| format!("#!define {name} {value}"))
    };
    let lines: Vec<String> = local.lines().map(line).collect();
    std::fs::write(dir.join("local.cfg"), lines.join("\n") + "\n").map_err(failed)
}
