//! Records in few bytes, as they are sealed: fields in a fixed order, numbers as varints, nothing named.
//!
//! What is sealed is written for every message and read for few of them; as JSON it was three times as large
//! and most of the work. A packed record begins with [`VERSION`]. To change a record's form, raise it and keep
//! reading the old one.

mod records;

use seawall_core::id::Id;
use seawall_core::time::Timestamp;

/// The first byte of a packed record.
const VERSION: u8 = 1;

/// A value that can be packed. Reading gives `None` for bytes that no packing made, and never panics.
pub(crate) trait Packed: Sized {
    /// Appends the value.
    fn pack(&self, out: &mut Vec<u8>);
    /// Takes a value off the front.
    fn unpack(from: &mut &[u8]) -> Option<Self>;
}

/// Begins a packed record.
pub(crate) fn begin(out: &mut Vec<u8>) {
    out.push(VERSION);
}

/// What follows the beginning of a packed record; `None` when it is of another version.
pub(crate) fn begun(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split_first().filter(|(version, _)| **version == VERSION).map(|(_, rest)| rest)
}

/// Packs one record.
pub(crate) fn whole(value: &impl Packed, out: &mut Vec<u8>) {
    begin(out);
    value.pack(out);
}

/// Reads one record; `None` if anything is left over.
pub(crate) fn read<T: Packed>(bytes: &[u8]) -> Option<T> {
    let mut from = begun(bytes)?;
    T::unpack(&mut from).filter(|_| from.is_empty())
}

/// Packs a text or bytes with its length.
pub(crate) fn pack_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.len().pack(out);
    out.extend_from_slice(bytes);
}

/// The bytes that [`pack_bytes`] wrote.
pub(crate) fn unpack_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::unpack(from)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

/// The text that [`pack_bytes`] wrote.
pub(crate) fn unpack_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(unpack_bytes(from)?).ok()
}

/// Packs what may be missing.
pub(crate) fn pack_option(value: Option<&impl Packed>, out: &mut Vec<u8>) {
    value.is_some().pack(out);
    if let Some(value) = value {
        value.pack(out);
    }
}

/// A structure's fields, all of them, in the order in which they are packed. A field that is missing here is
/// an error of the compiler.
macro_rules! packed {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::packed::Packed for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $( $crate::packed::Packed::pack($field, out); )+
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                $( let $field = $crate::packed::Packed::unpack(from)?; )+
                Some(Self { $($field),+ })
            }
        }
    };
}

/// An enumeration's values and the numbers that stand for them; the numbers are stable for ever.
macro_rules! numbered {
    ($name:ty { $($value:ident = $number:literal),+ $(,)? }) => {
        impl $crate::packed::Packed for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                out.push(match self { $( Self::$value => $number, )+ });
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                match u8::unpack(from)? {
                    $( $number => Some(Self::$value), )+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {numbered, packed};

impl Packed for u8 {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        Some(*byte)
    }
}

impl Packed for u64 {
    fn pack(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left > 0x7f {
            out.push(low(left) | 0x80);
            left >>= 7;
        }
        out.push(low(left));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let byte = u8::unpack(from)?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(shift)?;
            if shifted >> shift != bits {
                return None;
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lowest seven bits are what is wanted")]
fn low(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Integers that travel as `u64`.
macro_rules! as_u64 {
    ($($name:ty),+) => { $(
        impl Packed for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                u64::try_from(*self).unwrap_or(u64::MAX).pack(out);
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                u64::unpack(from)?.try_into().ok()
            }
        }
    )+ };
}

as_u64!(u16, u32, usize);

impl Packed for i64 {
    /// Small magnitudes are short, whatever their sign.
    fn pack(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let folded = u64::unpack(from)?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

impl Packed for bool {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        match u8::unpack(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Packed for f64 {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        eight(from).map(f64::from_le_bytes)
    }
}

/// Eight bytes as they are: for hashes and random numbers, which a varint would only lengthen.
fn eight(from: &mut &[u8]) -> Option<[u8; 8]> {
    let (bytes, rest) = from.split_first_chunk::<8>()?;
    *from = rest;
    Some(*bytes)
}

impl Packed for String {
    fn pack(&self, out: &mut Vec<u8>) {
        pack_bytes(self.as_bytes(), out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_text(from).map(str::to_owned)
    }
}

impl<T: Packed> Packed for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        pack_option(self.as_ref(), out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Some(None) }
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        self.len().pack(out);
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        // The length is not believed before as many values were read.
        (0..usize::unpack(from)?).map(|_| T::unpack(from)).collect()
    }
}

impl Packed for Id {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.row().to_le_bytes());
        out.extend_from_slice(&self.tail().to_le_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let row = i64::from_le_bytes(eight(from)?);
        Some(Id::new(row, u64::from_le_bytes(eight(from)?)))
    }
}

impl Packed for Timestamp {
    fn pack(&self, out: &mut Vec<u8>) {
        self.as_millis().cast_unsigned().pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        u64::unpack(from).map(|ms| Timestamp::from_millis(ms.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Mixed = (u64, i64, Vec<String>, Option<bool>, u16);

    fn pack(v: &Mixed) -> Vec<u8> {
        let mut out = Vec::new();
        v.0.pack(&mut out);
        v.1.pack(&mut out);
        v.2.pack(&mut out);
        v.3.pack(&mut out);
        v.4.pack(&mut out);
        out
    }

    fn unpack(from: &mut &[u8]) -> Option<Mixed> {
        Some((
            u64::unpack(from)?,
            i64::unpack(from)?,
            Vec::unpack(from)?,
            Option::unpack(from)?,
            u16::unpack(from)?,
        ))
    }

    proptest! {
        #[test]
        fn what_is_packed_reads_back(v: Mixed) {
            let bytes = pack(&v);
            let mut from = bytes.as_slice();
            prop_assert_eq!(unpack(&mut from), Some(v));
            prop_assert!(from.is_empty());
        }

        #[test]
        fn junk_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&mut bytes.as_slice());
            let _ = read::<crate::records::DecisionBody>(&bytes);
        }
    }

    #[test]
    fn another_version_and_trailing_bytes_are_refused() {
        let mut bytes = Vec::new();
        whole(&300u64, &mut bytes);
        assert_eq!(bytes, [VERSION, 0xac, 0x02]);
        assert_eq!(read::<u64>(&bytes), Some(300));
        bytes.push(0);
        assert_eq!(read::<u64>(&bytes), None);
        assert_eq!(read::<u64>(&[VERSION + 1, 0]), None);
        assert_eq!(u64::unpack(&mut [0xff; 11].as_slice()), None, "more than 64 bits");
        assert_eq!(
            Vec::<u64>::unpack(&mut [0xff, 0xff, 0xff, 0x7f, 1].as_slice()),
            None,
            "a length that lies"
        );
    }
}
