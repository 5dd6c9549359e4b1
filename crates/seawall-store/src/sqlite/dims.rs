//! A send's dimensions in few bytes: refilling a million windows reads a million of these.

use seawall_core::limit::Dimensions;

const IP: u8 = 1;
const IP48: u8 = 2;
const CALLER48: u8 = 4;
const USER: u8 = 8;
const PRINT: u8 = 16;

/// Flags, operation, then eight bytes for each value that is there; the number itself is a column beside it.
pub(super) fn encode(d: &Dimensions) -> Vec<u8> {
    let optional = [(IP, d.ip), (IP48, d.ip48), (CALLER48, d.caller48), (USER, d.user), (PRINT, d.print)];
    let flags = optional.iter().filter(|(_, v)| v.is_some()).fold(0, |flags, (bit, _)| flags | bit);
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&[flags, d.op]);
    let fixed = [d.range, d.caller, d.key, d.sub, d.country];
    for value in fixed.into_iter().chain(optional.into_iter().filter_map(|(_, v)| v)) {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for (digits, range) in &d.ranges {
        out.push(*digits);
        out.extend_from_slice(&range.to_le_bytes());
    }
    out
}

/// Back from [`encode`]; `None` if the bytes are not such.
pub(super) fn decode(bytes: &[u8], number: i64) -> Option<Dimensions> {
    let (&[flags, op], mut rest) = bytes.split_first_chunk::<2>()?;
    let mut next = || {
        let (value, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        Some(u64::from_le_bytes(*value))
    };
    let (range, caller, key, sub, country) = (next()?, next()?, next()?, next()?, next()?);
    let mut optional = |bit: u8| {
        if flags & bit == 0 { Some(None) } else { next().map(Some) }
    };
    let (ip, ip48, caller48) = (optional(IP)?, optional(IP48)?, optional(CALLER48)?);
    let (user, print) = (optional(USER)?, optional(PRINT)?);
    let mut ranges = Vec::new();
    while let Some((&[digits], tail)) = rest.split_first_chunk::<1>() {
        let (value, tail) = tail.split_first_chunk::<8>()?;
        ranges.push((digits, u64::from_le_bytes(*value)));
        rest = tail;
    }
    let to = number.cast_unsigned();
    Some(Dimensions { op, to, range, ip, ip48, caller, caller48, key, sub, country, user, print, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            v in prop::array::uniform7(any::<u64>()), o in prop::array::uniform5(any::<Option<u64>>()),
            ranges in prop::collection::vec(any::<(u8, u64)>(), 0..4)
        ) {
            let [op, to, range, caller, key, sub, country] = v;
            let [ip, ip48, caller48, user, print] = o;
            let op = op as u8;
            let d = Dimensions { op, to, range, ip, ip48, caller, caller48, key, sub, country, user, print, ranges };
            prop_assert_eq!(decode(&encode(&d), to as i64), Some(d));
        }

        #[test]
        fn junk_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes, 0);
        }
    }
}
