//! The admin API from a shell: over HTTP to a running gateway; for a stopped one, whose store it opens under
//! its lock, through a listener that only this process knows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, Url};
use seawall_store::StoreError;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Failure, Place};
use crate::config::{Config, Peers};
use crate::serve::{self, Running};

/// Entries that one page of a list may hold.
const PAGE: usize = 200;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an answer may take that reads much of the ledger.
const LONG_PATIENCE: Duration = Duration::from_secs(1800);

/// Which gateway, and the right to administer it.
#[derive(Args, Debug)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    place: Place,
    /// Base URL of a running gateway; without it the one that the configuration describes.
    #[arg(long, env = "SEAWALL_URL")]
    url: Option<String>,
    /// Admin token. Better in the environment or a file: others can see command lines.
    #[arg(long, env = "SEAWALL_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,
    /// File with the admin token.
    #[arg(long, value_name = "FILE", env = "SEAWALL_ADMIN_TOKEN_FILE", conflicts_with = "admin_token")]
    admin_token_file: Option<PathBuf>,
}

/// What every command on the admin API takes.
#[derive(Args, Debug)]
pub(super) struct Common {
    #[command(flatten)]
    admin: AdminArgs,
    /// Print the API's JSON.
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// Asks the admin API, and closes what was opened for that.
    pub async fn through<T>(&self, ask: impl AsyncFnOnce(&Admin) -> Result<T, String>) -> Result<T, Failure> {
        let admin = Admin::open(&self.admin).await?;
        let answer = ask(&admin).await;
        admin.close().await;
        Ok(answer?)
    }
}

/// An open way to the admin API.
pub(super) struct Admin {
    base: Url,
    token: String,
    client: Client,
    /// A gateway that this process started for the occasion.
    own: Option<Running>,
}

impl Admin {
    /// Finds the gateway, or opens its store when it does not run.
    pub async fn open(args: &AdminArgs) -> Result<Self, Failure> {
        let token = token(args)?;
        let (base, own) = match &args.url {
            Some(url) => (url.clone(), None),
            None => reach(args.place.load(None)?).await?,
        };
        let base: Url = base.parse().map_err(|error| Failure::Wrong(format!("--url {base}: {error}")))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            let reason =
                format!("--url {base}: the admin token would cross the network unencrypted; use https");
            return Err(Failure::Wrong(reason));
        }
        let client = Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Admin { base, token, client, own })
    }

    /// One request. `Ok(None)`: done, and nothing to show.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Option<Value>, String> {
        let body = body.map(|body| ("application/json", body.to_string()));
        Ok(serde_json::from_str(&self.text(method, path, body).await?).ok())
    }

    /// Every page of a list as one. `path` has a query already, even an empty one: `lists?`.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>, String> {
        let (mut found, mut next) = (Vec::new(), Some(String::new()));
        while let Some(cursor) = next {
            let after = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
            let page = self.call(Method::GET, &format!("{path}&limit={PAGE}{after}"), None).await?;
            let page = page.unwrap_or_default();
            found.extend(page.get("data").and_then(Value::as_array).cloned().unwrap_or_default());
            next = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        }
        Ok(found)
    }

    /// One request with a body of any media type, and its answer as it came.
    pub async fn text(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<String, String> {
        let mut request = self.request(method, path);
        if let Some((media, body)) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, media).body(body);
        }
        self.answer(request).await
    }

    /// A POST whose answer may take minutes, as a media type of one's choice.
    pub async fn patient(&self, path: &str, body: &Value, accept: &str) -> Result<String, String> {
        let request = self.request(Method::POST, path).timeout(LONG_PATIENCE);
        self.answer(request.header(reqwest::header::ACCEPT, accept).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("/admin/v1/{path}"));
        url.set_query(query);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<String, String> {
        let base = &self.base;
        let answer = request.send().await.map_err(|error| format!("{base} does not answer: {error}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("the answer of {base} broke off: {error}"))?;
        if status.is_success() {
            return Ok(text);
        }
        let value: Option<Value> = serde_json::from_str(&text).ok();
        let detail = value.as_ref().and_then(|v| v.get("detail")).and_then(Value::as_str).unwrap_or_default();
        Err(format!("{base} answered {status}: {detail}"))
    }

    /// Closes what was opened.
    pub async fn close(self) {
        if let Some(running) = self.own {
            running.stop().await;
        }
    }
}

/// A part of a path that may hold anything, percent-encoded.
pub(super) fn encoded(part: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    part.bytes().map(encode).collect()
}

fn token(args: &AdminArgs) -> Result<String, Failure> {
    if let Some(path) = &args.admin_token_file {
        let text = std::fs::read_to_string(path);
        return text
            .map(|text| text.trim().to_owned())
            .map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())));
    }
    let missing = "an admin token is needed: set SEAWALL_ADMIN_TOKEN or SEAWALL_ADMIN_TOKEN_FILE (`seawall init` printed it)";
    args.admin_token.clone().ok_or_else(|| Failure::Wrong(missing.to_owned()))
}

/// The store that the configuration names; when its lock is held, the gateway that holds it.
async fn reach(mut config: Config) -> Result<(String, Option<Running>), Failure> {
    match serve::open_store(&config, false).await {
        Ok(store) => store.ledger.close().await,
        Err(StoreError::Locked) => return Ok((running(&config), None)),
        Err(error) => return elsewhere(&config, &error).await,
    }
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.server.peers = Peers::ProxiesOnly;
    config.tls = None;
    let running = serve::start(config).await?;
    Ok((format!("http://{}", running.addr), Some(running)))
}

/// There is no such store here: perhaps another user's gateway answers.
async fn elsewhere(config: &Config, error: &StoreError) -> Result<(String, Option<Running>), Failure> {
    let listen = reachable(config.server.listen);
    match timeout(Duration::from_secs(2), TcpStream::connect(listen)).await {
        Ok(Ok(_)) => Ok((running(config), None)),
        _ => Err(Failure::Failed(format!("{error}; and no gateway answers on {listen}"))),
    }
}

fn running(config: &Config) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", reachable(config.server.listen))
}

/// An address to connect to, for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        ip if !ip.is_unspecified() => listen,
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())),
        IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, listen.port())),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
