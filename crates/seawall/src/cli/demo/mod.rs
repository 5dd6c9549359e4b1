//! `seawall demo`: a real gateway on a temporary store, a day of people who sign in, and a pumping attack
//! among them. Everything goes over HTTP; only the gateway's clock is moved, so that the day takes half a
//! minute.

mod attack;
mod chance;
mod client;
mod day;
mod population;
mod summary;
mod table;

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::config::{Config, Overrides};
use crate::serve::{self, Running};
use client::Client;
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
    /// The same seed simulates the same day.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// End with the summary; exit code 0 only if the attack was stopped and everybody else was served.
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
        tally = simulate(&client, args.seed) => tally.map(Some),
        () = serve::wait_for_signal() => Ok(None),
    };
    let ended = match outcome {
        Ok(Some(tally)) => finish(&args, &client, &first.subaccount_id, &tally).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    running.stop().await;
    ended
}

/// Shows the summary; then either judges it or goes on serving.
async fn finish(args: &DemoArgs, client: &Client, subaccount: &str, tally: &Tally) -> Result<(), String> {
    let verdict = Verdict::of(tally);
    summary::show(tally, &verdict);
    if args.exit {
        return verdict.into_result();
    }
    summary::invite(client, subaccount);
    serve::wait_for_signal().await;
    Ok(())
}

async fn simulate(client: &Client, seed: u64) -> Result<Tally, String> {
    set_up(client).await?;
    let live = std::io::stdout().is_terminal();
    let mut day = day::Day::begin(client, seed, live).await?;
    let mut board = Board::new(live);
    day.play(&mut board).await?;
    board.finish();
    Ok(day.tally)
}

/// What an operator sets up who has seen such attacks before. This version has no statistical detection:
/// the limits are all that stands in the way of the attack, and the demo says so.
async fn set_up(client: &Client) -> Result<(), String> {
    for land in population::LANDS {
        let price = json!({"country": land.iso, "amount": land.price, "currency": "USD"});
        client.create("prices", price).await?;
    }
    let limit = |name: &str, per: &str, quota: u32| {
        json!({"name": name, "per": per, "applies_to": ["verify.start"], "quota": quota, "window": "30m",
               "counts": "sends", "mode": "enforce"})
    };
    client.create("limits", limit("demo: codes per number range", "number_range", 20)).await?;
    client.create("limits", limit("demo: codes per client address", "client_ip", 5)).await?;
    say(format!(
        "Set up over the admin API, as an operator would: at most 20 codes in any 30 minutes to a number range\n\
         (the last four digits dropped), at most 5 in any 30 minutes for one client address, and prices.\n\
         These limits do the work here: this version has no statistical detection yet.\n\n\
         A day of people signing in from {} countries follows, in about half a minute. At 14:00 somebody\n\
         starts to pump codes to consecutive numbers in {}xxxx.\n",
        population::LANDS.len(),
        attack::BLOCK
    ));
    Ok(())
}

async fn launch(args: &DemoArgs, scratch: &Scratch) -> Result<Running, String> {
    let listen = args.listen.map_or_else(free_address, Ok)?;
    let overrides = Overrides { data_dir: Some(scratch.0.clone()), listen: Some(listen) };
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
