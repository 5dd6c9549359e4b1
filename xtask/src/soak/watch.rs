//! What a process uses, as the kernel says it.

use std::fmt;
use std::fs;

/// Memory and descriptors of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

impl Usage {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("process {pid}: {error}");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(failed)?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_err(failed)?.count() as u64;
        Ok(Usage { memory: resident(&status).unwrap_or_default(), descriptors })
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} descriptors", self.memory >> 20, self.descriptors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   2048 kB\nThreads: 1\n"), Some(2 << 20));
        assert!(Usage::of(std::process::id()).unwrap().memory > 1 << 20);
    }
}
