//! A PostgreSQL server for tests: made when the first test asks for it, thrown away when the process ends, however
//! it ends. Each test gets a database of its own.
//!
//! `SEAWALL_TEST_POSTGRES` is the directory of the server's programs; `cargo xtask test` finds it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use crate::{Result, StoreError};

/// The variable that says where the programs are.
pub const VARIABLE: &str = "SEAWALL_TEST_POSTGRES";

/// Runs a server until its standard input ends, which it does with the process that holds the other side; then
/// nothing of it is left. A line on it, a number, kills the server; so many seconds later it is started again.
const SCRIPT: &str = "
\"$1/initdb\" -D \"$2/data\" -U seawall -A trust -E UTF8 --locale=C --no-sync >\"$2/log\" 2>&1 || exit 1
begin() {
  \"$1/postgres\" -D \"$2/data\" -k \"$2\" -c listen_addresses= -c max_connections=200 -c shared_buffers=64MB \
    -c log_min_messages=fatal >>\"$2/log\" 2>&1 </dev/null &
  server=$!
  echo $server >\"$2/pid\"
}
begin \"$1\" \"$2\"
while read -r pause; do
  kill -KILL $server
  wait $server 2>/dev/null
  sleep \"$pause\"
  begin \"$1\" \"$2\"
done
kill -CONT $server 2>/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf \"$2\"
";

/// A running server.
pub struct Server {
    dir: PathBuf,
    next: AtomicU32,
    /// Ends the server when it is closed.
    guard: Mutex<Child>,
}

fn failed(why: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("no PostgreSQL for tests: {why}"))
}

/// The server of this process; `None`, said loudly, where [`VARIABLE`] is not set.
pub async fn server() -> Result<Option<&'static Server>> {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let Some(programs) = std::env::var_os(VARIABLE) else {
        tracing::warn!("{VARIABLE} is not set");
        return Ok(None);
    };
    SERVER.get_or_try_init(|| Server::start(PathBuf::from(programs))).await.map(Some)
}

/// A server of its own, for a test that stops it.
pub async fn own_server() -> Result<Option<Server>> {
    match std::env::var_os(VARIABLE) {
        Some(programs) => Server::start(PathBuf::from(programs)).await.map(Some),
        None => Ok(None),
    }
}

/// PostgreSQL refuses to run as root.
fn unprivileged(dir: &Path) -> Result<Command> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root {
        return Ok(Command::new("sh"));
    }
    let known =
        |user: &str| Command::new("id").arg(user).output().is_ok_and(|output| output.status.success());
    let user = if known("postgres") { "postgres" } else { "nobody" };
    let owned = Command::new("chown").arg(user).arg(dir).status().map_err(failed)?;
    if !owned.success() {
        return Err(failed(format!("{} could not be given to {user}", dir.display())));
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), "--clear-groups", "sh"]);
    Ok(command)
}

impl Server {
    async fn start(programs: PathBuf) -> Result<Self> {
        // Not below the target directory: who runs it may not be allowed to go there.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let which = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("seawall-pg-{}-{which}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).map_err(failed)?;
        let mut command = unprivileged(&dir)?;
        command.args(["-c", SCRIPT, "sh"]).arg(&programs).arg(&dir).current_dir("/").stdin(Stdio::piped());
        let guard = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
        let mut server = Server { dir, next: AtomicU32::new(1), guard: Mutex::new(guard) };
        for _ in 0..600 {
            if server.admin("SELECT 1").await.is_ok() {
                return Ok(server);
            }
            if let Ok(Some(_)) = server.guard.get_mut().unwrap_or_else(PoisonError::into_inner).try_wait() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(server.dir.join("log")).unwrap_or_default();
        Err(failed(format!("it did not start:\n{log}")))
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=seawall", self.dir.display())
    }

    /// Runs statements in the database `postgres`.
    pub async fn admin(&self, sql: &str) -> Result<()> {
        Self::run(&self.url_of("postgres"), sql).await
    }

    /// Runs statements in the database of a URL.
    pub async fn run(url: &str, sql: &str) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let task = tokio::spawn(connection);
        let done = client.batch_execute(sql).await;
        drop(client);
        let _ = task.await;
        Ok(done?)
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> Result<String> {
        let name = format!("t{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.admin(&format!("CREATE DATABASE {name}")).await?;
        Ok(self.url_of(&name))
    }

    /// Kills the server, which gets no chance to finish anything, and starts it again after so many seconds.
    pub fn crash(&self, seconds: u32) -> Result<()> {
        use std::io::Write;
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let stdin = guard.stdin.as_mut().ok_or_else(|| failed("its guard is gone"))?;
        writeln!(stdin, "{seconds}").and_then(|()| stdin.flush()).map_err(failed)
    }

    /// Stops the server's processes where they are, or lets them go on.
    pub fn pause(&self, paused: bool) -> Result<()> {
        let pid = std::fs::read_to_string(self.dir.join("pid")).map_err(failed)?;
        let pid = pid.trim();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).map_err(failed)?;
        let signal = if paused { "-STOP" } else { "-CONT" };
        let all = std::iter::once(pid).chain(children.split_whitespace());
        // A process that has ended meanwhile is no failure.
        Command::new("kill").arg(signal).args(all).stderr(Stdio::null()).status().map_err(failed).map(drop)
    }
}
