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
/// Texts a group: an offset for each text would take more room than the texts' lengths.
const GROUP: usize = 16;

/// Texts over their bytes. Damaged bytes give wrong answers or none, never a panic.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a> {
    len: usize,
    offsets: &'a [u8],
    body: &'a [u8],
}

impl<'a> Strings<'a> {
    /// Reads the header. `None` if these bytes are no texts.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let group = u32_at(bytes, 4)?;
        let len = u32_at(bytes, 8)?;
        let known = bytes.starts_with(MAGIC) && group == GROUP;
        let (offsets, body) = bytes.get(HEADER..)?.split_at_checked(len.div_ceil(GROUP).checked_mul(4)?)?;
        known.then_some(Strings { len, offsets, body })
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
        let mut bytes = self.body.get(u32_at(self.offsets, index / GROUP * 4)?..)?.iter();
        for _ in 0..index % GROUP {
            let skipped = usize::try_from(varint(&mut bytes)?).ok()?;
            bytes = bytes.as_slice().get(skipped..)?.iter();
        }
        let len = usize::try_from(varint(&mut bytes)?).ok()?;
        let text = bytes.as_slice().get(..len)?;
        std::str::from_utf8(text).ok().filter(|_| index < self.len)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let (chunk, _) = bytes.get(at..)?.split_first_chunk()?;
    usize::try_from(u32::from_le_bytes(*chunk)).ok()
}

/// Writes texts. `None` if there is too much of them.
pub fn write<T: AsRef<str>>(texts: &[T]) -> Option<Vec<u8>> {
    let (mut offsets, mut body) = (Vec::new(), Vec::new());
    for group in texts.chunks(GROUP) {
        offsets.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
        for text in group {
            write_varint(text.as_ref().len() as u64, &mut body);
            body.extend(text.as_ref().as_bytes());
        }
    }
    let mut out = MAGIC.to_vec();
    out.extend(u32::try_from(GROUP).ok()?.to_le_bytes());
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
        fn what_is_written_is_found(texts in proptest::collection::vec(".{0,200}", 0..60)) {
            let bytes = write(&texts).unwrap();
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
