//! Charges as the scripts read them, and what they answer. Numbers are big-endian; amounts are exact up to 2⁵³.

use std::time::Duration;

use seawall_core::limit::{Charge, Charged};
use seawall_core::period::Period;
use seawall_core::time::Timestamp;
use seawall_core::window::{Full, Rule, Sums, Times};

/// The greatest number that Redis' scripts can count exactly.
const EXACT: u64 = (1 << 53) - 1;
/// Clocks that differ by no more agree.
const AGREE_MS: i64 = 50;
/// Answer of one charge: what the window holds, when the oldest leaves, when there is room, why not.
const ROW: usize = 8 + 6 + 6 + 1;
/// An instant: milliseconds.
const INSTANT: usize = 6;

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).min(1 << 47)
}

fn six(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_be_bytes().iter().skip(2));
}

fn instant(at: i64) -> u64 {
    u64::try_from(at).unwrap_or(0)
}

/// How a window lies in Redis: its type, its span in milliseconds, and how many instants it keeps.
fn shape(rule: &Rule) -> (u8, u64, u32) {
    match rule {
        Rule::Window { quota, window, kept } => (0, millis(*window), *kept.max(quota)),
        Rule::Rate { quota, window } => (0, millis(*window), *quota),
        Rule::BackOff { quota, window, .. } => (1, millis(*window), *quota),
        Rule::Sum { period: Period::Rolling(span), .. } => (2, millis(*span), 0),
        Rule::Sum { period: Period::Hour, .. } => (3, 0, 0),
        Rule::Sum { period: Period::Day, .. } => (4, 0, 0),
        Rule::Sum { period: Period::Month, .. } => (5, 0, 0),
    }
}

/// What a request does to its windows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Charge,
    Note,
    Peek,
}

/// By which time a request is counted.
#[derive(Clone, Copy)]
pub(super) enum By {
    /// By the server's.
    Server,
    /// By the server's; after this instant nobody waits for the answer, and nothing is charged.
    ServerUntil(Timestamp),
    /// By the caller's.
    Caller(Timestamp),
}

/// One request: what it does, by which time, and its charges with their weights.
pub(super) fn request<'a>(
    deed: Deed,
    by: By,
    all: impl ExactSizeIterator<Item = (&'a Charge, u32)>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let deed = match deed {
        Deed::Charge => 0,
        Deed::Note => 1,
        Deed::Peek => 2,
    };
    let (by, at) = match by {
        By::Server => (0, Timestamp::default()),
        By::Caller(at) => (4, at),
        By::ServerUntil(at) => (8, at),
    };
    out.push(deed + by);
    out.extend(u16::try_from(all.len()).unwrap_or(u16::MAX).to_be_bytes());
    six(&mut out, instant(at.as_millis()));
    all.for_each(|(charge, weight)| write(&mut out, charge, weight));
    out
}

/// Charges alone.
pub(super) fn charges<'a>(all: impl Iterator<Item = &'a Charge>, weight: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    all.for_each(|charge| write(&mut out, charge, weight));
    out
}

fn write(out: &mut Vec<u8>, charge: &Charge, weight: u32) {
    let (kind, span, kept) = shape(&charge.rule);
    out.push(kind);
    out.push(u8::from(charge.always) + 2 * u8::from(charge.enforced));
    out.extend(charge.taken(weight).min(EXACT).to_be_bytes());
    out.extend(charge.rule.quota().min(EXACT).to_be_bytes());
    six(out, span);
    out.extend(kept.to_be_bytes());
    if let Rule::BackOff { delays, .. } = &charge.rule {
        let delays = delays.iter().take(usize::from(u8::MAX));
        out.push(u8::try_from(delays.len()).unwrap_or(u8::MAX));
        delays.for_each(|delay| six(out, millis(*delay)));
    }
}

/// What one window is filled with: `None` when there is nothing in it.
pub(super) fn filling(out: &mut Vec<u8>, rule: &Rule, times: &Times) -> bool {
    let (kind, span, kept) = shape(rule);
    let sums = match times {
        Times::Sums(sums) => Some(Sums::slots(sums)),
        Times::One(_) | Times::Many(_) => None,
    };
    let n = sums.as_ref().map_or(times.as_slice().len(), |sums| sums.len());
    if n == 0 {
        return false;
    }
    out.push(kind);
    six(out, span);
    out.extend(kept.to_be_bytes());
    out.extend(u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes());
    match sums {
        Some(sums) => sums.for_each(|(slot, amount)| {
            six(out, instant(slot));
            out.extend(amount.min(EXACT).to_be_bytes());
        }),
        None => times.as_slice().iter().for_each(|at| six(out, instant(*at))),
    }
    true
}

/// What one window answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) count: u64,
    pub(super) oldest: Option<Timestamp>,
    pub(super) full: Option<Full>,
}

/// Takes the answer to one request with so many charges off those of a group: nothing when it came too late.
pub(super) fn split<'a>(bytes: &mut &'a [u8], charges: usize) -> Option<&'a [u8]> {
    let (at, rest) = bytes.split_first_chunk::<INSTANT>()?;
    if number(at) == 0 {
        *bytes = rest;
        return None;
    }
    let (own, rest) = bytes.split_at_checked(INSTANT + ROW * charges)?;
    *bytes = rest;
    Some(own)
}

/// What the script answered.
pub(super) struct Answer {
    /// The server's time.
    pub(super) at: Timestamp,
    /// The same in the time that the rows are told in.
    pub(super) present: Timestamp,
    pub(super) rows: Vec<Row>,
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Answer {
    /// Reads an answer to so many charges; instants are told in the caller's time, whose present is `now`, unless
    /// the clocks agree.
    pub(super) fn read(bytes: &[u8], charges: usize, now: Timestamp) -> Option<Answer> {
        let (at, rows) = bytes.split_first_chunk::<INSTANT>()?;
        let at = i64::try_from(number(at)).ok()?;
        let ahead = now.as_millis() - at;
        let ahead = if ahead.abs() <= AGREE_MS { 0 } else { ahead };
        let callers = |bytes: &[u8]| match i64::try_from(number(bytes)) {
            Ok(0) | Err(_) => None,
            Ok(instant) => Some(Timestamp::from_millis(instant + ahead)),
        };
        let row = |row: &[u8]| {
            let count = number(row.get(..8)?);
            let quota_used_up = row.get(20) == Some(&1);
            let full = callers(row.get(14..20)?).map(|retry_at| Full { count, retry_at, quota_used_up });
            Some(Row { count, oldest: callers(row.get(8..14)?), full })
        };
        let rows: Vec<Row> = rows.chunks(ROW).map(row).collect::<Option<_>>()?;
        let present = Timestamp::from_millis(at + ahead);
        (rows.len() == charges).then_some(Answer { at: Timestamp::from_millis(at), present, rows })
    }

    /// In the words of counters; as they stood before anything was charged.
    pub(super) fn charged(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Charged {
        let mut charged = Charged::default();
        for (charge, row) in charges.iter().zip(&self.rows) {
            charged.tell(charge, charge.taken(weight), row.full, || (row.count, row.oldest), now);
        }
        charged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_the_callers_time() {
        let (now, server) = (Timestamp::from_millis(1_000_000), 1_767_000_000_000u64);
        let mut bytes = server.to_be_bytes()[2..].to_vec();
        bytes.extend(7u64.to_be_bytes());
        bytes.extend(&(server + 500).to_be_bytes()[2..]);
        bytes.extend(&(server + 900).to_be_bytes()[2..]);
        bytes.push(1);
        let answer = Answer::read(&bytes, 1, now).unwrap();
        assert_eq!(answer.at.as_millis(), 1_767_000_000_000);
        let full = answer.rows[0].full.unwrap();
        assert_eq!((answer.rows[0].count, full.retry_at.as_millis()), (7, 1_000_900));
        assert_eq!(answer.rows[0].oldest.unwrap().as_millis(), 1_000_500);
        assert!(full.quota_used_up && Answer::read(&bytes, 2, now).is_none());
        assert!(Answer::read(&bytes[..20], 1, now).is_none());
    }
}
