//! An attack from a process of its own, which yields to everybody else on this machine: attackers bring their own.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::load::{Load, drive};

/// An attack, as words of the command line of the process that drives it.
pub struct Flood {
    pub addr: SocketAddr,
    pub key: String,
    pub subaccount: String,
    pub connections: usize,
    pub time: Duration,
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    pub good: u64,
    pub refused: u64,
    pub odd: u64,
}

impl Flood {
    /// Drives it from another process, until it is over.
    pub async fn run(self) -> Result<Answers, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(own).args(["soak", "--flood"]).stdin(Stdio::null());
        let (millis, numbers) = (self.time.as_millis(), [self.connections as u64, self.seed]);
        command.args([self.addr.to_string(), self.key, self.subaccount, millis.to_string()]);
        command.args(numbers.map(|number| number.to_string()));
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.map_err(|error| error.to_string())?.map_err(|error| format!("nice: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let all: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match all[..] {
            [good, refused, odd] => Ok(Answers { good, refused, odd }),
            _ => Err(format!("the attack failed: {text}{}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// The other side: drives the attack that these words describe, and prints what came of it.
    pub fn drive(words: &[String]) -> Result<(), String> {
        let [addr, key, subaccount, numbers @ ..] = words else {
            return Err("--flood is for soak itself".to_owned());
        };
        let numbers: Vec<u64> = numbers.iter().filter_map(|word| word.parse().ok()).collect();
        let ([millis, connections, seed], Ok(addr)) = (&numbers[..], addr.parse()) else {
            return Err("--flood is for soak itself".to_owned());
        };
        let load = Load {
            key: key.clone(),
            subaccount: subaccount.clone(),
            connections: usize::try_from(*connections).map_err(|error| error.to_string())?,
            pause: Duration::ZERO,
            again: Duration::ZERO,
            seed: *seed,
            own: 2,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let outcome = runtime.block_on(drive(addr, load, Duration::from_millis(*millis)));
        println!("{} {} {}", outcome.good, outcome.refused, outcome.odd);
        Ok(())
    }
}
