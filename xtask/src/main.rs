//! Development commands: `cargo xtask NAME`.

mod apt;
mod bench;
mod calls;
mod crash;
mod data;
mod deny;
mod detection;
mod fuzz;
mod live;
mod opt_out;
mod properties;
mod retries;
mod scale;
mod simulation;
mod slow;
mod soak;
mod sources;
mod test;
mod tidy;
mod tools;
mod train_check;
mod waf;

use std::fs::read_to_string;
use std::process::ExitCode;

use sources::root;

type Command = fn(&[String]) -> Result<(), String>;

/// Every command: its name, what it does, and where.
const COMMANDS: &[(&str, &str, Command)] = &[
    ("test", "format, lints, dependencies, style and all tests", test::run),
    ("tidy", "style of the repository", tidy::run),
    ("bench", "speed as ratios to floors measured in the same run", bench::run),
    ("crash", "kill the gateway under load, then check its ledger", crash::run),
    ("scale", "what a number of decisions a second would need", scale::run),
    ("retries", "callers that retry and hang up, and a kill: one effect a key", retries::run),
    ("properties", "thousands of new random cases for each property", properties::run),
    ("calls", "two phones reach each other through a mask, over Kamailio and rtpengine", calls::run),
    ("simulation", "three gateways in simulated time, with everything between them failing", simulation::run),
    ("fuzz", "every parser against inputs that nobody would write", fuzz::run),
    ("soak", "long load, overload, a noisy neighbour, stores that fail: a table", soak::run),
    ("slow", "thousands of slow connections, and what a client feels of them", slow::run),
    ("data", "rebuild the tables below data/ from their sources", data::run),
    ("waf", "the reference firewall: clients pass it, attacks do not", waf::run),
    ("train-check", "lints and tests of training models, which takes minutes to build", train_check::run),
    ("opt-out", "how well texts that ask for no more messages are understood", opt_out::run),
    ("deny", "licences, origins and known vulnerabilities of dependencies", deny::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = arguments.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let Some((_, _, command)) = COMMANDS.iter().find(|(known, _, _)| *known == name) else {
        eprintln!("usage: cargo xtask COMMAND [--help]\n");
        COMMANDS.iter().for_each(|(name, what, _)| eprintln!("  {name:11} {what}"));
        return ExitCode::from(2);
    };
    if rest.iter().any(|word| word == "--help" || word == "-h") {
        println!("{}", usage(name));
        return ExitCode::SUCCESS;
    }
    match command(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// What the source of a command says of it first.
fn usage(name: &str) -> String {
    let module = root().join("xtask/src").join(name.replace('-', "_"));
    let source =
        read_to_string(module.with_extension("rs")).or_else(|_| read_to_string(module.join("mod.rs")));
    let source = source.unwrap_or_default();
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_says_how_it_is_used() {
        for (name, ..) in COMMANDS {
            let usage = usage(name);
            assert!(usage.starts_with(&format!("`cargo xtask {name}")), "{name}: {usage}");
        }
    }
}
