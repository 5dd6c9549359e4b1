//! Many short texts by their index, read where they lie.
//!
//! ```text
//! header   "SWS1", texts a group (u32), texts (u32)
//! offsets  where each group begins in the body (u32)
//! body     for each text its length (varint) and its bytes, UTF-8
//! ```

use super::table::{varint, write_varint};

const MAGIC: &[u8; 4] = b"SWS1";
const HEADER: usize = 12;
/// Texts over their bytes. Damaged bytes give wrong answers or none, never a panic.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    len: usize,
    group: usize,
    offsets: &'a [[u8; 4]],
    body: &'a [u8],
}

impl<'a> Strings<'a> {
    /// Reads the header. `None` if these bytes are no texts.
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return None };
        let [m, a, g, i, g0, g1, g2, g3, l0, l1, l2, l3] = *header;
        let group = u32::from_le_bytes([g0, g1, g2, g3]) as usize;
        if u32::from_le_bytes([m, a, g, i]) != u32::from_le_bytes(*MAGIC) || group == 0 {
            return None;
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some(width) = len.div_ceil(group).checked_mul(4) else { return None };
        let Some((offsets, body)) = rest.split_at_checked(width) else { return None };
        Some(Strings { len, group, offsets: offsets.as_chunks().0, body })
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The text of this index.
    pub fn get(&self, index: u32) -> Option<&'a str> {
        let index = usize::try_from(index).ok()?;
        let mut bytes =
            self.body.get(u32::from_le_bytes(*self.offsets.get(index / self.group)?) as usize..)?.iter();
        for _ in 0..index % self.group {
            let skipped = usize::try_from(varint(&mut bytes)?).ok()?;
            bytes = bytes.as_slice().get(skipped..)?.iter();
        }
        let len = usize::try_from(varint(&mut bytes)?).ok()?;
        let text = bytes.as_slice().get(..len)?;
        std::str::from_utf8(text).ok().filter(|_| index < self.len)
    }
}

/// Writes texts, so many to an offset: more are smaller and slower. `None` if there is too much of them.
pub fn write<T: AsRef<str>>(group: u8, texts: &[T]) -> Option<Vec<u8>> {
    let (mut offsets, mut body) = (Vec::new(), Vec::new());
    if group == 0 {
        return None;
    }
    for group in texts.chunks(group.into()) {
        offsets.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
        for text in group {
            write_varint(text.as_ref().len() as u64, &mut body);
            body.extend(text.as_ref().as_bytes());
        }
    }
    let mut out = MAGIC.to_vec();
    out.extend(u32::from(group).to_le_bytes());
    out.extend(u32::try_from(texts.len()).ok()?.to_le_bytes());
    out.extend([offsets, body].concat());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_found(texts in proptest::collection::vec(".{0,200}", 0..60), group in 1..20_u8) {
            let bytes = write(group, &texts).unwrap();
            let strings = Strings::new(&bytes).unwrap();
            prop_assert_eq!(strings.len(), texts.len());
            for (index, text) in texts.iter().enumerate() {
                prop_assert_eq!(strings.get(index as u32), Some(text.as_str()));
            }
            prop_assert_eq!(strings.get(texts.len() as u32), None);
            prop_assert_eq!(strings.get(u32::MAX), None);
        }

        #[test]
        fn damage_is_survived(junk in proptest::collection::vec(any::<u8>(), 0..100), index in 0_u32..40) {
            let bytes = [b"SWS1\x10\0\0\0\x20\0\0\0".to_vec(), junk].concat();
            let _ = Strings::new(&bytes).and_then(|strings| strings.get(index).map(str::len));
        }
    }
}
