//! A send's dimensions in few bytes: refilling a million windows reads a million of these.

use seawall_core::limit::Dimensions;
use seawall_core::money::Cost;

/// Values that are always there.
const FIXED: usize = 5;

const IP: u8 = 1;
const IP48: u8 = 2;
const CALLER48: u8 = 4;
const USER: u8 = 8;
const PRINT: u8 = 16;

/// Behind the values that are nearly always there come entries of a tag and eight bytes. A tag below this is
/// a number of digits, and the entry a range; these came first and keep their form.
const TAGS: u8 = 0x80;
const COST: u8 = TAGS;
const ROUTE: u8 = TAGS + 1;
const IP24: u8 = TAGS + 2;
/// The name of a caller's key; its value follows.
const KEY: u8 = TAGS + 3;
const VALUE: u8 = TAGS + 4;
/// The decision that a message redeemed.
const REDEEMS: u8 = TAGS + 5;

/// Flags, operation, then eight bytes for each value that is there; the number itself is a column beside it.
pub(crate) fn encode(d: &Dimensions) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(d));
    encode_to(d, &mut out);
    out
}

/// How many bytes [`encode`] gives.
pub(crate) fn size(d: &Dimensions) -> usize {
    let optional = optional(d).iter().filter(|(_, value)| value.is_some()).count();
    let entries = d.ranges.len() + entries(d).iter().filter(|(_, value)| value.is_some()).count();
    2 + 8 * (FIXED + optional) + 9 * (entries + 2 * d.keys.len())
}

/// Appends what [`encode`] gives.
pub(crate) fn encode_to(d: &Dimensions, out: &mut Vec<u8>) {
    let optional = optional(d);
    let flags = optional.iter().filter(|(_, v)| v.is_some()).fold(0, |flags, (bit, _)| flags | bit);
    out.extend_from_slice(&[flags, d.op]);
    let fixed: [u64; FIXED] = [d.range, d.caller, d.key, d.sub, d.country];
    for value in fixed.into_iter().chain(optional.into_iter().filter_map(|(_, v)| v)) {
        out.extend_from_slice(&value.to_le_bytes());
    }
    let mut entry = |tag: u8, value: u64| {
        out.push(tag);
        out.extend_from_slice(&value.to_le_bytes());
    };
    d.ranges.iter().for_each(|(digits, range)| entry(*digits, *range));
    for (tag, value) in entries(d) {
        value.into_iter().for_each(|value| entry(tag, value));
    }
    for (name, value) in &d.keys {
        entry(KEY, *name);
        entry(VALUE, *value);
    }
}

fn optional(d: &Dimensions) -> [(u8, Option<u64>); 5] {
    [(IP, d.ip), (IP48, d.ip48), (CALLER48, d.caller48), (USER, d.user), (PRINT, d.print)]
}

fn entries(d: &Dimensions) -> [(u8, Option<u64>); 4] {
    [(COST, d.cost.map(Cost::pack)), (ROUTE, d.route), (IP24, d.ip24), (REDEEMS, d.redeems)]
}

/// Back from [`encode`]; `None` if the bytes are not such.
pub(crate) fn decode(bytes: &[u8], number: i64) -> Option<Dimensions> {
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
    let to = number.cast_unsigned();
    let fixed = Dimensions { op, to, range, caller, key, sub, country, ..Dimensions::default() };
    let mut found = Dimensions { ip, ip48, caller48, user, print, ..fixed };
    while let Some((&[tag], tail)) = rest.split_first_chunk::<1>() {
        let (value, tail) = tail.split_first_chunk::<8>()?;
        take(&mut found, tag, u64::from_le_bytes(*value))?;
        rest = tail;
    }
    Some(found)
}

fn take(found: &mut Dimensions, tag: u8, value: u64) -> Option<()> {
    match tag {
        digits if digits < TAGS => found.ranges.push((digits, value)),
        COST => found.cost = Cost::unpack(value),
        ROUTE => found.route = Some(value),
        IP24 => found.ip24 = Some(value),
        REDEEMS => found.redeems = Some(value),
        KEY => found.keys.push((value, 0)),
        VALUE => found.keys.last_mut()?.1 = value,
        // Written by a newer version: what is known is enough.
        _ => {}
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use seawall_core::money::Currency;

    prop_compose! {
        fn cost()(micros in 0u64..1 << 49, letters in "[A-Z]{3}") -> Cost {
            Cost { micros, currency: Currency::parse(&letters).unwrap() }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            v in prop::array::uniform7(any::<u64>()), o in prop::array::uniform8(any::<Option<u64>>()),
            ranges in prop::collection::vec((0u8..TAGS, any::<u64>()), 0..4), cost in prop::option::of(cost()),
            keys in prop::collection::vec(any::<(u64, u64)>(), 0..9)
        ) {
            let [op, to, range, caller, key, sub, country] = v;
            let [ip, ip48, caller48, user, print, route, ip24, redeems] = o;
            let op = op as u8;
            let fixed = Dimensions { op, to, range, caller, key, sub, country, ranges, ..Dimensions::default() };
            let d = Dimensions { redeems, ip, ip48, ip24, caller48, user, print, route, cost, keys, ..fixed };
            prop_assert_eq!(encode(&d).len(), size(&d));
            prop_assert_eq!(decode(&encode(&d), to as i64), Some(d));
        }

        #[test]
        fn junk_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes, 0);
        }
    }
}
