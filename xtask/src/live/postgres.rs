//! A throw-away PostgreSQL, with the durability that it comes with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tools;

/// Runs a server until its standard input ends, which it does with the process that holds the other side; then
/// nothing of it is left. A line there kills it, and starts it again after so many seconds.
const SCRIPT: &str = "
\"$1/initdb\" -D \"$2/data\" -U seawall -A trust -E UTF8 --locale=C >\"$2/log\" 2>&1 || exit 1
while true; do
    \"$1/postgres\" -D \"$2/data\" -k \"$2\" -c listen_addresses= -c max_connections=200 -c shared_buffers=256MB \
        >>\"$2/log\" 2>&1 </dev/null &
    echo $! >\"$2/pid\"
    read -r pause || break
    kill -KILL $!
    wait $! 2>/dev/null
    sleep \"$pause\"
done
kill -INT $! 2>/dev/null
wait $!
rm -rf \"$2\"
";

/// A running server.
pub struct Postgres {
    programs: PathBuf,
    dir: PathBuf,
    guard: Child,
}

impl Postgres {
    /// Makes one below the directory for temporary files.
    pub fn start() -> Result<Self, String> {
        let programs = tools::postgres()?;
        let dir = std::env::temp_dir().join(format!("seawall-pg-xtask-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut command = unprivileged(&dir)?;
        command.args(["-c", SCRIPT, "sh"]).arg(&programs).arg(&dir).current_dir("/").stdin(Stdio::piped());
        let guard = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let guard = guard.map_err(|error| format!("PostgreSQL cannot be started: {error}"))?;
        let server = Postgres { programs, dir, guard };
        let begun = Instant::now();
        while server.ask("postgres", "SELECT 1").is_err() {
            if begun.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(server.dir.join("log")).unwrap_or_default();
                return Err(format!("PostgreSQL does not answer:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.ask("postgres", "CREATE DATABASE seawall")?;
        Ok(server)
    }

    /// For `store.url`.
    pub fn url(&self) -> String {
        format!("postgres:///seawall?host={}&user=seawall", self.dir.display())
    }

    /// The first value of a query.
    pub fn ask(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.arg("-h").arg(&self.dir).args(["-U", "seawall", "-d", database, "-XAtc", sql]);
        let output = command.output().map_err(|error| format!("psql: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Transactions that ended so far. The server counts them with some delay.
    pub fn transactions(&self) -> Result<u64, String> {
        std::thread::sleep(Duration::from_millis(1_500));
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'seawall'";
        self.ask("seawall", sql)?.parse().map_err(|_| "PostgreSQL counts no transactions".to_owned())
    }

    /// Kills it, which gets no chance to finish anything, and starts it again after so many seconds.
    pub fn crash(&self, seconds: u32) -> Result<(), String> {
        let mut stdin = self.guard.stdin.as_ref().ok_or("its guard is gone")?;
        writeln!(stdin, "{seconds}").and_then(|()| stdin.flush()).map_err(|error| error.to_string())
    }

    /// Stops its processes where they are, or lets them go on.
    pub fn pause(&self, paused: bool) -> Result<(), String> {
        let all: Vec<String> = self.pids().iter().map(u32::to_string).collect();
        let signal = if paused { "-STOP" } else { "-CONT" };
        // One that has ended meanwhile is no failure.
        let sent = Command::new("kill").arg(signal).args(all).stderr(Stdio::null()).status();
        sent.map(drop).map_err(|error| error.to_string())
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        let first = std::fs::read_to_string(self.dir.join("pid")).unwrap_or_default();
        let Ok(first) = first.trim().parse::<u32>() else { return Vec::new() };
        let children =
            std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        std::iter::once(first).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// PostgreSQL refuses to run as root.
fn unprivileged(dir: &Path) -> Result<Command, String> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root {
        return Ok(Command::new("sh"));
    }
    let owned = Command::new("chown").arg("postgres").arg(dir).status();
    if !owned.is_ok_and(|status| status.success()) {
        return Err(format!("{} could not be given to the user postgres", dir.display()));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--clear-groups", "sh"]);
    Ok(command)
}
