//! I10 and I11: what stands in the tables and in the log when all is over. No number, text or code is there to be read,
//! and the audit log has kept what was written into it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use seawall_store::Directory;
use seawall_store::records::{AuditEntry, Page};
use tracing_subscriber::fmt::MakeWriter;

use super::world::{World, finish};

/// What gateways wrote into their log.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Where a thread's log goes from now on.
    pub fn keep(&self) -> tracing::subscriber::DefaultGuard {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false);
        tracing::subscriber::set_default(log.without_time().with_writer(self.clone()).finish())
    }

    fn read(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|some| some == secret.as_bytes())
}

/// What nobody may read: numbers without their country too, and the texts that were sent.
fn secrets(world: &World) -> Vec<String> {
    let oracle = world.oracle();
    let mut all: Vec<String> = oracle.accepted.values().map(|m| m.number.to_string()).collect();
    all.extend(oracle.opted_out.keys().map(u64::to_string));
    all.iter_mut().for_each(|number| drop(number.drain(..2)));
    all.extend(oracle.texts.values().cloned());
    all.sort_unstable();
    all.dedup();
    all
}

/// I10. A code of a few digits stands by chance in other numbers, so codes alone are only looked for in the log.
pub fn nothing_in_clear(world: &World, log: &Log) {
    let (at, secrets) = (world.elapsed(), secrets(world));
    let codes: Vec<String> = {
        let oracle = world.oracle();
        let texts = oracle.texts.values().filter(|text| text.ends_with("is your code"));
        texts.filter_map(|text| Some(text.split(' ').next()?.to_owned())).collect()
    };
    for cell in finish(world.store.contents()).unwrap() {
        let read = secrets.iter().find(|secret| holds(&cell.bytes, secret));
        let column = &cell.column;
        world.oracle().require(read.is_none(), at, || format!("I10: `{read:?}` stands in {column}"));
    }
    let lines = String::from_utf8_lossy(&log.read()).into_owned();
    for line in lines.lines() {
        let word = |code: &&String| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == **code);
        let read = secrets.iter().find(|secret| line.contains(*secret)).or_else(|| codes.iter().find(word));
        world.oracle().require(read.is_none(), at, || format!("I10: the log says `{read:?}`: {line}"));
    }
}

/// The whole audit log, oldest first.
pub fn audit_log(world: &World) -> Vec<AuditEntry> {
    let page = Page { before: None, limit: 10_000 };
    let mut entries = finish(world.store.audit_log(page)).unwrap();
    entries.reverse();
    entries
}

/// I11: it begins as it did `before`, its chain is unbroken, and it has every change that was acknowledged.
pub fn audit_is_whole(world: &World, before: &[AuditEntry]) {
    let (at, entries) = (world.elapsed(), audit_log(world));
    let chain = finish(world.store.audit_chain(None)).unwrap();
    let mut oracle = world.oracle();
    oracle.require(entries.starts_with(before), at, || "I11: what stood in the audit log changed".to_owned());
    oracle.require(chain.broken.is_none(), at, || format!("I11: {}", chain.broken.unwrap_or_default()));
    let all = chain.entries == entries.len() as u64 && chain.unlinked == 0;
    oracle.require(all, at, || format!("I11: of {} entries {} have no link", chain.entries, chain.unlinked));
    let acked: Vec<String> = oracle.audited.iter().cloned().collect();
    for target in acked {
        let found = entries.iter().any(|entry| entry.target == target);
        oracle.require(found, at, || format!("I11: the change {target} is not in the audit log"));
    }
}
