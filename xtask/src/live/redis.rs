//! A throw-away Redis for gateways that count there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::process::{free_address, pinned};
use crate::tools;

/// A running server; stopped when dropped.
pub struct Redis {
    child: Child,
    addr: SocketAddr,
    core: Option<u32>,
}

impl Redis {
    /// Starts one that keeps nothing on disk, on a core of its own if asked.
    pub fn start(core: Option<u32>) -> Result<Self, String> {
        let addr = free_address()?;
        Ok(Redis { child: launch(addr, core)?, addr, core })
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// An empty one in its place.
    pub fn revive(&mut self) -> Result<(), String> {
        self.child = launch(self.addr, self.core)?;
        Ok(())
    }

    /// One command; the beginning of its answer.
    pub fn call(&self, command: &str) -> Result<String, String> {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.addr)?;
            stream.write_all(format!("{command}\r\n").as_bytes())?;
            let mut answer = [0u8; 512];
            let read = stream.read(&mut answer)?;
            Ok(String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).into_owned())
        };
        asked().map_err(|error| format!("Redis: {error}"))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// For `counters.url`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// How often scripts were called.
    pub fn calls(&self) -> Result<u64, String> {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.addr)?;
            stream.write_all(b"INFO commandstats\r\nQUIT\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = asked().map_err(|error| format!("Redis: {error}"))?;
        let calls = answer.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        Ok(calls.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0))
    }
}

fn launch(addr: SocketAddr, core: Option<u32>) -> Result<Child, String> {
    let program = tools::redis()?.ok_or("there is no redis-server")?;
    let mut command = pinned(&program, core);
    command.args(["--save", "", "--bind", "127.0.0.1", "--port", &addr.port().to_string()]);
    command.arg("--dir").arg(std::env::temp_dir()).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().map_err(|error| format!("Redis cannot be started: {error}"))?;
    let begun = Instant::now();
    while TcpStream::connect(addr).is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("Redis does not answer".to_owned());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
