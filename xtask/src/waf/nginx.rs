//! nginx with the tracked configuration, as a throw-away instance: unprivileged, on loopback, in a directory of
//! its own. Only addresses, paths and TLS differ from what is documented.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::http;
use crate::apt::{self, is_root, quietly};
use crate::sources::root;

const PACKAGES: [&str; 3] = ["nginx", "libnginx-mod-http-modsecurity", "modsecurity-crs"];
/// What they bring.
const FILES: [&str; 3] = [
    "/usr/sbin/nginx",
    "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so",
    "/usr/share/modsecurity-crs/rules/REQUEST-949-BLOCKING-EVALUATION.conf",
];
/// Reading the rules takes a second or two.
const READY_AT_MOST: Duration = Duration::from_secs(30);

/// A running instance; stopped and removed when dropped.
pub struct Nginx {
    /// Where it listens.
    pub addr: SocketAddr,
    dir: PathBuf,
    child: Child,
}

/// Whether the packages are there, after trying to install them. Says why not.
pub fn ready() -> Result<(), String> {
    apt::installed(&PACKAGES, &FILES)
}

impl Nginx {
    /// Starts it in front of a gateway.
    pub async fn start(addr: SocketAddr, gateway: SocketAddr) -> Result<Self, String> {
        // Not below the target directory: who runs it may not be allowed to go there.
        let dir = std::env::temp_dir().join(format!("seawall-waf-{}", std::process::id()));
        write(&dir, addr, gateway).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut command = unprivileged(&dir)?;
        command.arg("-e").arg(dir.join("start.log")).arg("-c").arg(dir.join("nginx.conf"));
        command.args(["-g", "daemon off; master_process off;"]).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| format!("cannot start nginx: {error}"))?;
        let mut nginx = Nginx { addr, dir, child };
        nginx.listening().await?;
        Ok(nginx)
    }

    async fn listening(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < READY_AT_MOST {
            if http::connect(self.addr).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = std::fs::read_to_string(self.dir.join("start.log")).unwrap_or_default();
                return Err(format!("nginx ended at once ({status}):\n{log}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("nginx does not listen".to_owned())
    }

    /// Logs in which one of these words stands.
    pub fn leaks(&self, words: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for path in std::fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let log = std::fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            if path.extension().is_some_and(|end| end == "log") {
                let leaked = words.iter().filter(|word| log.contains(word.as_str()));
                found.extend(
                    leaked.map(|word| format!("{} holds what begins with `{:.6}`", path.display(), word)),
                );
            }
        }
        found
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// nginx as somebody who owns nothing but its directory.
fn unprivileged(dir: &Path) -> Result<Command, String> {
    const NGINX: &str = "/usr/sbin/nginx";
    if !is_root() {
        return Ok(Command::new(NGINX));
    }
    quietly(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(dir))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", NGINX]);
    Ok(command)
}

/// Writes the tracked files, changed where the host is meant. A passage that is not there is an error: then the
/// tracked files say something that is not tested.
fn write(dir: &Path, addr: SocketAddr, gateway: SocketAddr) -> std::io::Result<()> {
    let here = dir.display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {here}/{name};\n"))
        .concat();
    let changes = [
        ("nginx.conf", "user www-data;\n", String::new()),
        ("nginx.conf", "/run/nginx.pid", format!("{here}/nginx.pid")),
        ("nginx.conf", "listen 443 ssl http2;", format!("listen {addr};")),
        ("nginx.conf", "ssl_certificate /etc/ssl/seawall/certificate.pem;", String::new()),
        ("nginx.conf", "ssl_certificate_key /etc/ssl/seawall/key.pem;", String::new()),
        ("nginx.conf", "ssl_protocols TLSv1.2 TLSv1.3;", String::new()),
        ("nginx.conf", "127.0.0.1:8080", gateway.to_string()),
        ("nginx.conf", "http {\n", format!("http {{\n{temporary}")),
        ("nginx.conf", "/etc/nginx/seawall/", format!("{here}/")),
        ("nginx.conf", "/var/log/nginx/", format!("{here}/")),
        ("server.conf", "/etc/nginx/seawall/", format!("{here}/")),
        ("server.conf", "/var/log/nginx/", format!("{here}/")),
    ];
    std::fs::create_dir_all(dir)?;
    for entry in std::fs::read_dir(root().join("deploy/waf"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".conf") {
            continue;
        }
        let mut text = std::fs::read_to_string(&path)?;
        for (_, from, to) in changes.iter().filter(|(file, _, _)| *file == name) {
            if !text.contains(from) {
                return Err(std::io::Error::other(format!("{name} has no `{}`", from.trim())));
            }
            text = text.replace(from, to);
        }
        std::fs::write(dir.join(name), text)?;
    }
    Ok(())
}
