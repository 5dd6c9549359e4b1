//! How many connections a process of ours may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as it goes, also for processes that are started later; says how far that was.
/// (A shell usually begins with 1,024, and may have many more.)
pub fn open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    files.unwrap_or(u64::MAX)
}
