//! Throw-away servers.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::redis::Target;

/// Where `cargo xtask test` says the program is.
const VARIABLE: &str = "SEAWALL_TEST_REDIS";

/// The program; `None`, loudly, when there is none.
fn program() -> Option<PathBuf> {
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let found = given.or_else(|| Some(PathBuf::from("/usr/bin/redis-server")).filter(|path| path.exists()));
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "CI=true and no redis-server: set {VARIABLE}"
        );
        eprintln!("SKIPPED: there is no redis-server; set {VARIABLE}");
    }
    found
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server of its own, with a directory of its own; stopped and removed when dropped.
pub struct Server {
    pub port: u16,
    _dir: tempfile::TempDir,
    arguments: Vec<String>,
    child: Child,
}

impl Server {
    /// One that keeps nothing on disk.
    pub async fn start() -> Option<Self> {
        Self::with(&[]).await
    }

    /// One with more settings.
    pub async fn with(settings: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut arguments: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()].map(str::to_owned).into();
        arguments.extend(["--dir".to_owned(), dir.path().display().to_string()]);
        arguments.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Self::spawn(port, dir, arguments).await
    }

    /// A sentinel that watches a primary, under the name `main`.
    pub async fn sentinel(primary: u16) -> Option<Self> {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
            dir.path().display()
        );
        std::fs::write(&file, settings).unwrap();
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        Self::spawn(port, dir, arguments).await
    }

    async fn spawn(port: u16, dir: tempfile::TempDir, arguments: Vec<String>) -> Option<Self> {
        let child = launch(&arguments)?;
        let server = Server { port, _dir: dir, arguments, child };
        server.answers().await;
        Some(server)
    }

    pub fn target(&self) -> Target {
        Target::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same port and directory.
    pub async fn again(&mut self) {
        self.child = launch(&self.arguments).unwrap();
        self.answers().await;
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// One command.
    pub async fn call(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut connection).await.unwrap()
    }

    /// A figure of its INFO.
    pub async fn figure(&self, section: &str, name: &str) -> u64 {
        let redis::Value::BulkString(info) = self.call(&["INFO", section]).await else { panic!() };
        let info = String::from_utf8(info).unwrap();
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).unwrap().1.trim().parse().unwrap()
    }

    async fn answers(&self) {
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server does not listen on {}", self.port);
    }
}

fn launch(arguments: &[String]) -> Option<Child> {
    let mut command = Command::new(program()?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Some(command.spawn().unwrap())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
