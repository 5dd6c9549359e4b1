//! `seawall demo`: a real gateway on a temporary store, two days of people who sign in, and four attacks on the
//! second. Population and attacks are the simulator's. Everything goes over HTTP; only the gateway's clock is
//! moved, so that the days take half a minute.

mod client;
mod day;
mod summary;
mod table;

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use seawall_core::sim::COUNTRIES;
use serde_json::{Value, json};

use crate::config::{Config, Overrides};
use crate::serve::{self, Running};
use client::Client;
use day::Day;
use summary::Verdict;
use table::{Board, Tally};

/// Where the demo listens if nobody says otherwise, and how many ports above that it tries.
const PORT: u16 = 8080;
const PORTS: u16 = 100;

/// What the demo is told.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Address and port. Without it: 127.0.0.1:8080, or the next port that is free.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The same seed simulates the same days.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// End with the summary; exit code 0 only if the attacks were stopped and everybody else was served.
    #[arg(long)]
    pub exit: bool,
}

/// Runs the demo.
pub async fn run(args: DemoArgs) -> Result<(), String> {
    let scratch = Scratch::new()?;
    let running = launch(&args, &scratch).await?;
    let first = running.initialised.clone().ok_or("the temporary store was not empty")?;
    let client = Client::new(running.addr, &first.api_key, &first.admin_token)?;
    say(format!(
        "Seawall listens on {}, with a temporary store and the sandbox as its only provider.",
        client.base
    ));
    let outcome = tokio::select! {
        played = simulate(&client, args.seed) => played.map(Some),
        () = serve::wait_for_signal() => Ok(None),
    };
    let ended = match outcome {
        Ok(Some((tally, incidents))) => {
            finish(&args, &client, &first.subaccount_id, &tally, &incidents).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    running.stop().await;
    ended
}

/// Shows the summary; then either judges it or goes on serving.
async fn finish(
    args: &DemoArgs,
    client: &Client,
    subaccount: &str,
    tally: &Tally,
    incidents: &[Value],
) -> Result<(), String> {
    let verdict = Verdict::of(tally);
    summary::show(tally, incidents, &verdict);
    if args.exit {
        return verdict.into_result();
    }
    summary::invite(client, subaccount);
    serve::wait_for_signal().await;
    Ok(())
}

async fn simulate(client: &Client, seed: u64) -> Result<(Tally, Vec<Value>), String> {
    set_up(client).await?;
    let live = std::io::stdout().is_terminal();
    let mut day = Day::begin(client, seed, live).await?;
    let mut board = Board::new(live);
    day.play(&mut board).await?;
    board.finish();
    Ok((day.tally, client.incidents().await?))
}

/// Prices are all that an operator has to enter: everything else is as in any new installation.
async fn set_up(client: &Client) -> Result<(), String> {
    for country in COUNTRIES {
        let price = json!({"country": country.iso, "amount": country.price_micros, "currency": "USD"});
        client.create("prices", price).await?;
    }
    let names = day::ATTACKS.map(|(_, _, name)| name).join(", ");
    say(format!(
        "Prices were entered over the admin API; everything else is as in a new installation.\n\n\
         Two days of people signing in from {} countries follow, in about half a minute. On the second day\n\
         come {} attacks: {names}.\n",
        COUNTRIES.len(),
        day::ATTACKS.len()
    ));
    Ok(())
}

async fn launch(args: &DemoArgs, scratch: &Scratch) -> Result<Running, String> {
    let listen = args.listen.map_or_else(free_address, Ok)?;
    let overrides = Overrides { data_dir: Some(scratch.0.clone()), listen: Some(listen.to_string()) };
    // The demo's set-up is its own: a variable meant for the real gateway must not change it.
    let environment = [("SEAWALL_SANDBOX__CLOCK".to_owned(), "true".to_owned())];
    let config = Config::load(None, environment.into_iter(), overrides);
    let config = config.map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    serve::start(config).await
}

/// The usual port, or the next one that nobody uses.
fn free_address() -> Result<SocketAddr, String> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut addresses = (PORT..PORT + PORTS).map(loopback);
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    let free = free.ok_or_else(|| format!("no free port from {PORT} on; name one with --listen"))?;
    if free.port() != PORT {
        say(format!("Port {PORT} is taken; using {}.", free.port()));
    }
    Ok(free)
}

/// Writes a line. Whoever closed the other end of a pipe does not want it any more.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A directory of this run alone, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("seawall-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
