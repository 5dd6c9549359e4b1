//! What a process has used, from `/proc`. Nothing here works anywhere but on Linux, and says so.

use std::time::Duration;

/// Clock ticks a second in `/proc`; the same on every Linux that we build for.
const TICKS: u64 = 100;

/// User and system time of a process, all its threads together, those that ended included.
pub fn time(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    parse_stat(&stat).ok_or_else(|| format!("{path} has another form than expected"))
}

fn parse_stat(stat: &str) -> Option<Duration> {
    // The name stands in parentheses and may hold anything; fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * (1000 / TICKS)))
}

/// Memory in use, bytes.
pub fn resident(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map(|kb| kb * 1024).ok_or_else(|| format!("{path} does not say VmRSS"))
}

/// Keeps this process, and its children to come unless they are told otherwise, on one core where `taskset` can be
/// had. Returns whether it could.
pub fn stay_on(core: u32) -> bool {
    stay_within(&core.to_string())
}

/// Lets this process and its children to come use every core.
pub fn roam() -> bool {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online");
    online.is_ok_and(|online| stay_within(online.trim()))
}

fn stay_within(cores: &str) -> bool {
    let own = std::process::id().to_string();
    let taskset = std::process::Command::new("taskset").args(["-a", "-pc", cores, &own]).output();
    taskset.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let stat = "42 (sea) wall) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0 100 1 1";
        assert_eq!(parse_stat(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse_stat("42 (seawall"), None);
    }

    #[test]
    fn our_own_figures_can_be_read() {
        assert!(time(std::process::id()).is_ok());
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
