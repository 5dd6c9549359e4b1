//! What nodes tell each other through a stream, some times a second: to which numbers codes went from which
//! address, and which windows have room again before their time. A node that misses some of it is stricter
//! for a while.

use std::sync::{Mutex, PoisonError};

use redis::{Pipeline, Value};
use seawall_core::time::Timestamp;

/// Length of one note about an address.
const NOTE: usize = 8 + 8 + 1 + 8;
/// Notes that wait at most.
const MOST: usize = 100_000 * NOTE;
/// Entries of the stream, each of up to a quarter of a second of one node.
const ENTRIES: usize = 10_000;

/// What this node has to tell of addresses.
#[derive(Default)]
pub(super) struct News(Mutex<Vec<u8>>);

/// What another node told.
pub(super) enum Told {
    /// Windows with room.
    Freed(Vec<u64>),
    /// Address, number, whether it was confirmed, and when.
    Numbers(Vec<(u64, u64, bool, Timestamp)>),
}

impl News {
    pub(super) fn tell(&self, ip: u64, number: u64, confirmed: bool, at: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST {
            waiting.extend(ip.to_be_bytes());
            waiting.extend(number.to_be_bytes());
            waiting.push(u8::from(confirmed));
            waiting.extend(at.as_millis().to_be_bytes());
        }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What could not be told waits for the next time.
    pub(super) fn put_back(&self, notes: &[u8]) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST {
            waiting.extend_from_slice(notes);
        }
    }
}

/// Adds an entry to the stream.
pub(super) fn add(pipe: &mut Pipeline, stream: &[u8], what: &str, bytes: &[u8]) {
    pipe.cmd("XADD").arg(stream).arg("MAXLEN").arg("~").arg(ENTRIES).arg("*").arg(what).arg(bytes);
    pipe.cmd("PEXPIRE").arg(stream).arg(3_600_000);
}

/// What stands in an answer to `XREAD` of one stream, and the id of the last entry.
pub(super) fn read(answer: &Value) -> (Vec<Told>, Option<String>) {
    let (mut told, mut last) = (Vec::new(), None);
    let Value::Array(streams) = answer else { return (told, last) };
    for stream in streams {
        let Value::Array(parts) = stream else { continue };
        let Some(Value::Array(entries)) = parts.get(1) else { continue };
        for entry in entries {
            let Value::Array(entry) = entry else { continue };
            let [Value::BulkString(id), Value::Array(fields)] = entry.as_slice() else { continue };
            last = Some(String::from_utf8_lossy(id).into_owned());
            if let [Value::BulkString(what), Value::BulkString(bytes)] = fields.as_slice() {
                told.extend(one(what, bytes));
            }
        }
    }
    (told, last)
}

fn one(what: &[u8], bytes: &[u8]) -> Option<Told> {
    match what {
        b"freed" => {
            Some(Told::Freed(bytes.as_chunks::<8>().0.iter().map(|key| u64::from_be_bytes(*key)).collect()))
        }
        b"numbers" => Some(Told::Numbers(bytes.chunks_exact(NOTE).filter_map(note).collect())),
        _ => None,
    }
}

fn note(bytes: &[u8]) -> Option<(u64, u64, bool, Timestamp)> {
    let (ip, rest) = bytes.split_first_chunk::<8>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (confirmed, at) = rest.split_first()?;
    let at = Timestamp::from_millis(i64::from_be_bytes(*at.first_chunk::<8>()?));
    Some((u64::from_be_bytes(*ip), u64::from_be_bytes(*number), *confirmed == 1, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_reads_back() {
        let news = News::default();
        let at = Timestamp::from_millis(1_767_000_000_000);
        news.tell(7, 8, true, at);
        news.tell(9, 10, false, at);
        let Some(Told::Numbers(read)) = one(b"numbers", &news.take()) else { panic!() };
        assert_eq!(read, [(7, 8, true, at), (9, 10, false, at)]);
        assert!(news.take().is_empty());
        let Some(Told::Freed(keys)) = one(b"freed", &5u64.to_be_bytes()) else { panic!() };
        assert_eq!(keys, [5]);
    }
}
