//! One file of the operator's: read, checked, replaced when it changes, and kept when what follows is bad.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

/// How a file is read and checked; what is wrong with it, else.
type Read<T> = fn(&Path) -> Result<T, String>;

/// A file and its content in force.
pub(super) struct File<T> {
    key: &'static str,
    path: PathBuf,
    read: Read<T>,
    content: ArcSwap<T>,
    /// The content that was tried last, whether it was good or not.
    tried: Mutex<Option<Stamp>>,
    current: AtomicBool,
}

/// By what a change is noticed: time, length and identity of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(i64, i64, u64, u64);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp(metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
    }
}

impl<T> File<T> {
    /// Reads a file for the first time. `key`: the configuration key that names it.
    pub fn open(key: &'static str, path: PathBuf, read: Read<T>) -> Result<Self, String> {
        let stamp = Stamp::of(&path);
        let content = read(&path).map_err(|problem| format!("{key}: {}: {problem}", path.display()))?;
        let content = ArcSwap::from_pointee(content);
        Ok(File { key, path, read, content, tried: Mutex::new(stamp), current: AtomicBool::new(true) })
    }

    /// What is in force.
    pub fn content(&self) -> Guard<Arc<T>> {
        self.content.load()
    }
}

/// What can be looked after, whatever a file holds.
pub(super) trait Watched {
    /// Reads the file again if it is another than the one tried last.
    fn refresh(&self);

    /// The configuration key that names it.
    fn key(&self) -> &'static str;

    /// Whether what lies on the disk is what is in force.
    fn is_current(&self) -> bool;
}

impl<T> Watched for File<T> {
    fn refresh(&self) {
        let stamp = Stamp::of(&self.path);
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if *tried == stamp {
            return;
        }
        let read = (self.read)(&self.path);
        // Still being written: what was read may be half of it.
        if Stamp::of(&self.path) != stamp {
            return;
        }
        *tried = stamp;
        self.current.store(read.is_ok(), Ordering::Relaxed);
        let (key, file) = (self.key, self.path.display());
        match read {
            Ok(content) => {
                tracing::info!(key, %file, "a changed file is in force");
                self.content.store(Arc::new(content));
            }
            Err(problem) => {
                tracing::error!(key, %file, problem, "a changed file cannot be used; the one before stays in force");
            }
        }
    }

    fn key(&self) -> &'static str {
        self.key
    }

    fn is_current(&self) -> bool {
        self.current.load(Ordering::Relaxed)
    }
}
