//! Inputs that nobody would write, grown from ones that somebody did: a mutation engine, the same for every target and
//! the same for the same seed. An input whose outcome is of a new kind joins the pool that others grow from.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sim::Rng;

/// Inputs do not grow beyond this.
const LONGEST: usize = 4096;
/// Inputs in the pool; further ones replace any of them.
const POOL: usize = 2048;

/// What is tried.
pub struct Target<'a> {
    /// Its name.
    pub name: &'a str,
    /// Inputs that mean something.
    pub seeds: &'a [Vec<u8>],
    /// Words that mean something within them.
    pub words: &'a [&'a [u8]],
}

/// An input that broke something.
#[derive(Clone, Debug)]
pub struct Crash {
    /// The input.
    pub input: Vec<u8>,
    /// What does not hold, or how it panicked.
    pub why: String,
    /// After how many executions.
    pub after: u64,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Inputs tried.
    pub executions: u64,
    /// Kinds of outcomes seen.
    pub kinds: usize,
}

/// Tries an input; a panic is an error, too.
pub fn attempt(input: &[u8], check: &dyn Fn(&[u8]) -> Result<u64, String>) -> Result<u64, String> {
    catch_unwind(AssertUnwindSafe(|| check(input))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Tries inputs while `more` says so (it is told how many there were), until one breaks something. `check` gives
/// the kind of the outcome, as a number, or says what does not hold.
pub fn hunt(
    target: &Target<'_>,
    seed: u64,
    more: &mut dyn FnMut(u64) -> bool,
    check: &dyn Fn(&[u8]) -> Result<u64, String>,
) -> Result<Report, Crash> {
    let mut rng = Rng::new(seed, target.name);
    let mut pool: Vec<Vec<u8>> = target.seeds.to_vec();
    let (mut kinds, mut executions) = (HashSet::new(), 0u64);
    let mut first = target.seeds.iter();
    while more(executions) {
        let input = first.next().cloned().unwrap_or_else(|| mutated(&pool, target.words, &mut rng));
        executions += 1;
        match attempt(&input, check) {
            Ok(kind) if kinds.insert(kind) && pool.len() < POOL => pool.push(input),
            Ok(_) => {}
            Err(why) => return Err(Crash { input, why, after: executions }),
        }
    }
    Ok(Report { executions, kinds: kinds.len() })
}

/// One to eight changes to an input of the pool.
pub fn mutated(pool: &[Vec<u8>], words: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.pick(pool).cloned().unwrap_or_default();
    for _ in 0..=rng.below(3) + if rng.chance(0.1) { 5 } else { 0 } {
        change(&mut bytes, pool, words, rng);
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Values at the edges of what bytes mean.
const EDGES: &[&[u8]] = &[
    &[0],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0, 0, 0, 0],
    &[0xff; 4],
    b"\"",
    b"\\",
    b"\r\n",
    b"{",
    b"[",
    b"%",
    b"+",
    b",",
    b"\xc3\xa9",
    b"\xe2\x82\xac",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xcc\x81",
    b"\xd9\xa3",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"::",
    b"/",
    b"=",
    b"&",
    b";",
    b"(",
    b")",
    b" ",
];

fn change(bytes: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&[u8]], rng: &mut Rng) {
    let at = rng.index(bytes.len() + 1);
    let span = at..(at + 1 + rng.index(16)).min(bytes.len()).max(at);
    match rng.below(10) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.bits().to_le_bytes().first().copied().unwrap_or_default();
            }
        }
        2 => drop(bytes.drain(span)),
        3 => insert(bytes, at, rng.pick(EDGES).copied().unwrap_or_default()),
        4 | 5 => insert(bytes, at, rng.pick(words).copied().unwrap_or(b"a")),
        6 => {
            let part = bytes.get(span).unwrap_or_default().repeat(1 + rng.index(40));
            insert(bytes, at, part.get(..LONGEST).unwrap_or(&part));
        }
        7 => {
            let other = rng.pick(pool).cloned().unwrap_or_default();
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(rng.index(other.len() + 1)..).unwrap_or_default());
        }
        8 => {
            // A digit becomes another, so that lengths and numbers nearly fit.
            if let Some(byte) = bytes.get_mut(at).filter(|byte| byte.is_ascii_digit()) {
                *byte = b'0' + u8::try_from(rng.below(10)).unwrap_or(0);
            }
        }
        _ => {
            let to = rng.index(bytes.len() + 1);
            let part = bytes.get(span).unwrap_or_default().to_vec();
            insert(bytes, to, &part);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    let tail = bytes.split_off(at.min(bytes.len()));
    bytes.extend_from_slice(part);
    bytes.extend_from_slice(&tail);
    bytes.truncate(LONGEST);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Vec<Vec<u8>> {
        vec![b"{\"length\": 3}".to_vec()]
    }

    #[test]
    fn the_same_seed_tries_the_same_inputs() {
        let seeds = target();
        let target = Target { name: "t", seeds: &seeds, words: &[b"null"] };
        let tried = |seed| {
            let all = std::cell::RefCell::new(Vec::new());
            let check = |input: &[u8]| {
                all.borrow_mut().push(input.to_vec());
                Ok(input.len() as u64)
            };
            hunt(&target, seed, &mut |done| done < 500, &check).unwrap();
            all.into_inner()
        };
        assert_eq!(tried(1), tried(1));
        assert_ne!(tried(1), tried(2));
        assert!(tried(1).iter().all(|input| input.len() <= LONGEST));
    }

    #[test]
    fn what_breaks_is_found_and_a_panic_is_caught() {
        let seeds = target();
        let target = Target { name: "t", seeds: &seeds, words: &[b"null"] };
        let check = |input: &[u8]| {
            let text = String::from_utf8_lossy(input);
            assert!(!text.contains("nullnull"), "two of them");
            Ok(u64::from(text.contains("null")))
        };
        let crash = hunt(&target, 7, &mut |done| done < 20_000, &check).unwrap_err();
        assert!(crash.why.contains("two of them"), "{crash:?}");
        assert!(attempt(&crash.input, &check).is_err());
    }
}
