//! The command line. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod admin;
mod audit;
mod backtest;
mod backup;
mod check_config;
pub mod demo;
mod explain;
mod import;
mod init;
mod key;
mod list;
mod log;
mod migrate;
mod model;
mod output;
mod replay;
mod restore;
mod rule;
mod serve;
mod simulate;
mod subaccount;
mod suspension;
mod train;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{Config, Overrides};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// It failed: exit code 1.
    Failed(String),
    /// Usage or configuration is wrong: exit code 2.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Failed(reason)
    }
}

/// A self-hosted gateway between an app and its SMS providers that explains every decision.
#[derive(Debug, Parser)]
#[command(name = "seawall", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ServeArgs),
    /// Run a gateway with simulated traffic and an attack in it.
    Demo(demo::DemoArgs),
    /// Make the first account, subaccount, API key and admin token.
    Init(init::InitArgs),
    /// Bring the store to this version's schema, without starting the gateway.
    Migrate(migrate::MigrateArgs),
    /// Copy the embedded store into a file while the gateway runs.
    Backup(backup::BackupArgs),
    /// Make a data directory from a backup.
    Restore(restore::RestoreArgs),
    /// Take what the embedded store holds to PostgreSQL.
    Import(import::ImportArgs),
    /// Check the configuration.
    CheckConfig(check_config::CheckArgs),
    /// Make, list, disable, rotate and delete API keys.
    Key(key::KeyArgs),
    /// Whether the audit log is whole.
    Audit(audit::AuditArgs),
    /// Keys of what is kept: show them, wrap them anew, make a new data key.
    Vault(vault::VaultArgs),
    /// Make, list, change and delete subaccounts.
    Subaccount(subaccount::SubaccountArgs),
    /// Lists of numbers, addresses and the like, and their entries.
    List(list::ListArgs),
    /// Suspend operators, countries, ranges and networks for some time.
    Suspension(suspension::SuspensionArgs),
    /// Make, list, change and delete rules.
    Rule(rule::RuleArgs),
    /// What a draft rule would have done to recorded traffic.
    Backtest(backtest::BacktestArgs),
    /// Show every check that would run for a number, or that ran for a decision.
    Explain(explain::ExplainArgs),
    /// Train a model on this installation's own traffic.
    Train(train::TrainArgs),
    /// Add, compare, enforce and delete trained models.
    Model(model::ModelArgs),
    /// Write a trace of simulated traffic.
    Simulate(simulate::SimulateArgs),
    /// Decide a trace or a provider's log again.
    Replay(replay::ReplayArgs),
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// Where the configuration and the data are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of the embedded store.
    #[arg(long, value_name = "DIR", env = "SEAWALL_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ServeArgs {
    #[command(flatten)]
    place: Place,
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDR", env = "SEAWALL_LISTEN")]
    listen: Option<String>,
}

impl Place {
    /// The configuration in force, or everything that is wrong with it.
    fn load(&self, listen: Option<String>) -> Result<Config, Failure> {
        let flags = Overrides { data_dir: self.data_dir.clone(), listen };
        // Variables that are not text cannot be ours.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::load(self.config.as_deref(), env, flags).map_err(|errors| {
            let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            lines.push("every key is explained in docs/configuration.md".to_owned());
            Failure::Wrong(lines.join("\n"))
        })
    }
}

/// Parses the command line, does what it says, and reports.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(reason)) => complain(&reason, 1),
        Err(Failure::Wrong(reason)) => complain(&reason, 2),
    }
}

fn complain(reason: &str, code: u8) -> ExitCode {
    for line in reason.lines() {
        eprintln!("seawall: {line}");
    }
    ExitCode::from(code)
}

fn run(command: Command) -> Result<(), Failure> {
    // Clients of our own (webhooks, this command line) find the provider here; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => Ok(block_on(demo::run(args))??),
        Command::Init(args) => init::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Import(args) => import::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Key(args) => block_on(key::run(args))?,
        Command::Audit(args) => block_on(audit::run(args))?,
        Command::Vault(args) => block_on(vault::run(args))?,
        Command::Subaccount(args) => block_on(subaccount::run(args))?,
        Command::List(args) => block_on(list::run(args))?,
        Command::Suspension(args) => block_on(suspension::run(args))?,
        Command::Rule(args) => block_on(rule::run(args))?,
        Command::Backtest(args) => block_on(backtest::run(args))?,
        Command::Explain(args) => block_on(explain::run(args))?,
        Command::Train(args) => block_on(train::run(args))?,
        Command::Model(args) => block_on(model::run(args))?,
        Command::Simulate(args) => simulate::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "seawall", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("cannot start the runtime: {error}"))?;
    Ok(runtime.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn contract_spellings_parse() {
        for line in [
            "serve --config f --data-dir d --listen 127.0.0.1:1",
            "demo --listen 127.0.0.1:1 --seed 3 --exit",
            "init --data-dir d --account acme --subaccount acme_hq --json",
            "check-config --config f --print",
            "key create --name app --subaccount acme_hq --scope verify --ip 10.0.0.0/8 --json",
            "key rotate app --overlap 24h",
            "subaccount create acme_shop --name shop --plan small --country SG=open --json",
            "subaccount set acme_shop dedup_window=30s require_client_ip=true",
            "list add allow-msisdn +6591234567 --expires-at never --note ours --json",
            "list import deny-ip - --replace",
            "suspension create --operator 52501 --expires-at 2030-01-05T10:00:00Z --reason pumping --shadow",
            "suspension lift sus_1 --note over",
            "simulate --scenario seq_block --seed 1 --out trace.jsonl",
            "rule create --name uz --action block --when true --shadow --expires-at 2030-01-05T10:00:00Z --json",
            "rule enforce uz",
            "backtest --rule draft.toml --since 14d --json",
            "simulate --list --json",
            "train --since 30d --out m.json --calibration isotonic --json",
            "model import m.json --features map.json --name fraud",
            "model enforce fraud",
            "replay t.jsonl --policy p.toml --warmup-until 2026-01-12T00:00:00Z --out d.jsonl --json",
            "replay - --format twilio-verify-json",
            "migrate --config f",
            "backup f --key k --data-dir d --json",
            "restore f --key k --erased e --data-dir d --json",
            "restore f --stopped",
            "import --config f --json",
            "audit verify --json",
            "audit verify --head 00ff --data-dir d",
            "completions bash",
        ] {
            let words = std::iter::once("seawall").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        let usage = Cli::try_parse_from(["seawall", "serv"]).unwrap_err();
        assert_eq!(usage.exit_code(), 2);
    }
}
