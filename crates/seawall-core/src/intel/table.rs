//! Sorted numbers with values in few bytes, read where they lie: nothing is unpacked at start, and the pages
//! that nobody asks for are never loaded.
//!
//! ```text
//! header   "SWT1", bits of the zero count, has values, entries a block (u16), blocks (u32), entries (u32)
//! keys     the first key of each block (u64)
//! offsets  where each block begins in the body (u32)
//! body     a block: [value] then ([distance to the key before] [value])…, as varints
//! ```
//!
//! Keys such as networks are far apart and end in zeros; with four bits of zero count, a distance is written
//! as its hexadecimal digits without the zeros at its end, and how many these were. Integers are
//! little-endian.

const MAGIC: &[u8; 4] = b"SWT1";
const HEADER: usize = 16;
const KEY: usize = 8;
const OFFSET: usize = 4;
/// A zero count fits into four bits.
const MAX_ZEROS: u32 = 15;

/// A table over its bytes. Damaged bytes give wrong answers or none, never a panic.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    shape: Shape,
    entries: usize,
    keys: &'a [[u8; KEY]],
    offsets: &'a [[u8; OFFSET]],
    body: &'a [u8],
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Whether keys are mostly multiples of powers of 16.
    pub round_keys: bool,
    /// Whether keys have values; without, a key is only there or not.
    pub values: bool,
    /// Entries a block: more are smaller and slower.
    pub block: u16,
}

/// A key and its value; without values, zero.
pub type Entry = (u64, u32);

impl<'a> Table<'a> {
    /// Reads the header. `None` if these bytes are no table.
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return None };
        let [m, a, g, i, zero_bits, values, s0, s1, b0, b1, b2, b3, e0, e1, e2, e3] = *header;
        if u32::from_le_bytes([m, a, g, i]) != u32::from_le_bytes(*MAGIC) {
            return None;
        }
        let blocks = u32::from_le_bytes([b0, b1, b2, b3]) as usize;
        let Some(width) = blocks.checked_mul(KEY) else { return None };
        let Some((keys, rest)) = rest.split_at_checked(width) else { return None };
        let Some((offsets, body)) = rest.split_at_checked(width / KEY * OFFSET) else { return None };
        let shape =
            Shape { round_keys: zero_bits != 0, values: values != 0, block: u16::from_le_bytes([s0, s1]) };
        let entries = u32::from_le_bytes([e0, e1, e2, e3]) as usize;
        Some(Table { shape, entries, keys: keys.as_chunks().0, offsets: offsets.as_chunks().0, body })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The greatest key that is not above `key`, with its value.
    pub fn floor(&self, key: u64) -> Option<Entry> {
        let mut entries = self.entries_of(self.block_of(key)?);
        let mut found = entries.next()?;
        while let Some(entry) = entries.next_up_to(key) {
            found = entry;
        }
        Some(found)
    }

    /// The value of exactly this key.
    pub fn get(&self, key: u64) -> Option<u32> {
        self.floor(key).filter(|entry| entry.0 == key).map(|entry| entry.1)
    }

    /// Every entry in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        let table = *self;
        (0..table.offsets.len()).flat_map(move |block| table.entries_of(block))
    }

    /// The last block whose first key is not above `key`.
    fn block_of(&self, key: u64) -> Option<usize> {
        self.keys.partition_point(|first| u64::from_le_bytes(*first) <= key).checked_sub(1)
    }

    fn entries_of(&self, block: usize) -> Entries<'a> {
        let offset =
            |block: usize| self.offsets.get(block).map(|offset| u32::from_le_bytes(*offset) as usize);
        let span = || {
            let end = offset(block + 1).unwrap_or(self.body.len());
            self.body.get(offset(block)?..end)
        };
        let first = self.keys.get(block).map(|first| u64::from_le_bytes(*first));
        Entries { bytes: span().unwrap_or_default().iter(), shape: self.shape, first, key: 0 }
    }
}

/// The entries of one block.
struct Entries<'a> {
    bytes: std::slice::Iter<'a, u8>,
    shape: Shape,
    /// The key of the entry to come, when it is the first.
    first: Option<u64>,
    key: u64,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.key = match self.first.take() {
            Some(first) => first,
            None => self.key.wrapping_add(self.distance()?),
        };
        self.valued()
    }
}

impl Entries<'_> {
    /// The next entry behind the first, if its key is not above `most`; its value is read only then.
    #[inline]
    fn next_up_to(&mut self, most: u64) -> Option<Entry> {
        self.key = self.key.wrapping_add(self.distance()?);
        if self.key > most { None } else { self.valued() }
    }

    #[inline]
    fn valued(&mut self) -> Option<Entry> {
        let value = if self.shape.values { varint(&mut self.bytes)? } else { 0 };
        Some((self.key, u32::try_from(value).ok()?))
    }

    #[inline]
    fn distance(&mut self) -> Option<u64> {
        let written = varint(&mut self.bytes)?;
        if self.shape.round_keys { Some((written >> 4) << ((written & 15) * 4)) } else { Some(written) }
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
#[inline]
pub(super) fn varint(bytes: &mut std::slice::Iter<'_, u8>) -> Option<u64> {
    let first = *bytes.next()?;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    let mut shift = 7;
    while shift < u64::BITS {
        let byte = *bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
    None
}

pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Writes a table. `None` if keys do not rise, a distance between round keys is too great, or there is too
/// much of it.
pub fn write(shape: Shape, entries: &[Entry]) -> Option<Vec<u8>> {
    let rising = entries.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0));
    if !rising || shape.block == 0 {
        return None;
    }
    let (mut keys, mut offsets, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for block in entries.chunks(usize::from(shape.block)) {
        offsets.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
        write_block(shape, block, &mut keys, &mut body)?;
    }
    let mut out = MAGIC.to_vec();
    out.extend([u8::from(shape.round_keys) * 4, u8::from(shape.values)]);
    out.extend(shape.block.to_le_bytes());
    out.extend(u32::try_from(offsets.len() / OFFSET).ok()?.to_le_bytes());
    out.extend(u32::try_from(entries.len()).ok()?.to_le_bytes());
    out.extend([keys, offsets, body].concat());
    Some(out)
}

fn write_block(shape: Shape, block: &[Entry], keys: &mut Vec<u8>, body: &mut Vec<u8>) -> Option<()> {
    let mut before = None;
    for (key, value) in block {
        match before.replace(*key) {
            None => keys.extend(key.to_le_bytes()),
            Some(before) => write_varint(written_distance(shape, key - before)?, body),
        }
        if shape.values {
            write_varint(u64::from(*value), body);
        }
    }
    Some(())
}

fn written_distance(shape: Shape, distance: u64) -> Option<u64> {
    if !shape.round_keys {
        return Some(distance);
    }
    let zeros = (distance.trailing_zeros() / 4).min(MAX_ZEROS);
    let digits = distance >> (zeros * 4);
    (digits >> 60 == 0).then_some(digits << 4 | u64::from(zeros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn shape() -> impl Strategy<Value = Shape> {
        (any::<bool>(), any::<bool>(), 1_u16..40).prop_map(|(round_keys, values, block)| Shape {
            round_keys,
            values,
            block,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(
            shape in shape(),
            map in btree_map(0_u64..1 << 59, any::<u32>(), 0..200),
            asked in proptest::collection::vec(0_u64..1 << 59, 0..50),
        ) {
            let entries: Vec<Entry> = map.iter().map(|(k, v)| (*k, if shape.values { *v } else { 0 })).collect();
            let bytes = write(shape, &entries).unwrap();
            let table = Table::new(&bytes).unwrap();
            prop_assert_eq!(table.len(), entries.len());
            prop_assert_eq!(table.iter().collect::<Vec<_>>(), entries.clone());
            for key in entries.iter().flat_map(|(k, _)| [*k, k + 1, k.saturating_sub(1)]).chain(asked) {
                let want = entries.iter().rev().find(|entry| entry.0 <= key).copied();
                prop_assert_eq!(table.floor(key), want);
                prop_assert_eq!(table.get(key), want.filter(|entry| entry.0 == key).map(|entry| entry.1));
            }
        }

        #[test]
        fn round_keys_are_kept_at_every_scale(keys in proptest::collection::btree_set((0_u64..4096, 0_u32..13), 1..100)) {
            let keys: std::collections::BTreeSet<u64> =
                keys.into_iter().map(|(digits, zeros)| digits << (zeros * 4)).collect();
            let entries: Vec<Entry> = keys.into_iter().map(|key| (key, 7)).collect();
            let bytes = write(Shape { round_keys: true, values: true, block: 8 }, &entries).unwrap();
            prop_assert_eq!(Table::new(&bytes).unwrap().iter().collect::<Vec<_>>(), entries);
        }

        #[test]
        fn damage_is_survived(junk in proptest::collection::vec(any::<u8>(), 0..300), key: u64) {
            let mut bytes = b"SWT1\x04\x01\x04\x00\x03\x00\x00\x00\x09\x00\x00\x00".to_vec();
            bytes.extend(junk);
            if let Some(table) = Table::new(&bytes) {
                let _ = (table.floor(key), table.iter().count());
            }
        }
    }

    #[test]
    fn unsorted_entries_are_refused() {
        let shape = Shape { round_keys: false, values: true, block: 16 };
        assert_eq!(write(shape, &[(2, 0), (1, 0)]), None);
        assert_eq!(write(shape, &[(1, 0), (1, 0)]), None);
        assert!(Table::new(b"SWT2\0\0\0\0\0\0\0\0\0\0\0\0").is_none());
        assert!(Table::new(b"").is_none());
    }
}
