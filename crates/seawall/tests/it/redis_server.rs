//! A throw-away Redis.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where `cargo xtask test` says the program is.
const VARIABLE: &str = "SEAWALL_TEST_REDIS";
const DEBIAN: &str = "/usr/bin/redis-server";

/// A server that keeps nothing; stopped when dropped.
pub struct Redis {
    port: u16,
    program: PathBuf,
    child: Child,
}

fn launch(program: &Path, port: u16) -> Child {
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--save", "", "--dir", "/tmp", "--port", &port.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

impl Redis {
    /// Starts one; `None`, loudly, where there is no program. With `CI=true` that is a failure.
    pub fn start() -> Option<Self> {
        let given = std::env::var_os(VARIABLE).map(PathBuf::from);
        let Some(program) = given.or_else(|| Some(PathBuf::from(DEBIAN)).filter(|path| path.exists())) else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no redis-server: set {VARIABLE}");
            eprintln!("SKIPPED: there is no redis-server; set {VARIABLE}");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Redis { port, child: launch(&program, port), program };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server does not listen on {port}");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command without an answer worth reading.
    pub fn call(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = [0u8; 512];
        let read = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    /// SIGKILL, and an empty one in its place after a while.
    pub fn die(&mut self, pause: Duration) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::thread::sleep(pause);
        self.child = launch(&self.program, self.port);
    }

    /// Stops answering, or goes on.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
