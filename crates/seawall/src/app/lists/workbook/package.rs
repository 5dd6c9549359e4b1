//! The container of a workbook: a ZIP archive that is there as a whole (APPNOTE 6.3, without encryption and ZIP64).

use std::io::{BufReader, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// Files in the archive.
const FILES: usize = 1_000;
/// Bytes of the end of an archive: its record and the longest comment.
const END: usize = 22 + 65_535;

const NO_WORKBOOK: &str = "cannot be read: it is no workbook; save it as .xlsx or as CSV in UTF-8";
const ENCRYPTED: &str = "cannot be read: it is encrypted; save it without a password";

/// Where a file stands in the archive.
struct Entry {
    name: String,
    /// 0: as it is, 8: deflated.
    method: u16,
    packed: usize,
    at: usize,
    /// CRC-32 of what it unpacks to.
    sum: usize,
}

/// An archive.
pub(super) struct Package<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

impl<'a> Package<'a> {
    /// Reads the list of files.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let end = end(bytes).ok_or(NO_WORKBOOK)?;
        let (count, mut at) = (u16_at(bytes, end + 10), u32_at(bytes, end + 16));
        let count = usize::from(count.ok_or(NO_WORKBOOK)?);
        if count == 0 || count > FILES {
            return Err("cannot be read: a workbook has 1 to 1000 parts");
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let (entry, next) = entry(bytes, at.ok_or(NO_WORKBOOK)?)?;
            entries.push(entry);
            at = Some(next);
        }
        Ok(Package { bytes, entries })
    }

    /// A file, unpacked while it is read. What is longer than `most` bytes ends early: see [`Bounded::is_spent`].
    pub(super) fn file(&self, name: &str, most: u64) -> Result<Option<BufReader<Bounded<'a>>>, &'static str> {
        let name = name.trim_start_matches('/');
        let Some(entry) = self.entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)) else {
            return Ok(None);
        };
        let packed = self.packed(entry).ok_or(NO_WORKBOOK)?;
        let inner: Box<dyn Read + 'a> = match entry.method {
            0 => Box::new(packed),
            8 => Box::new(DeflateDecoder::new(packed)),
            _ => return Err("cannot be read: it is packed in an unusual way; save it again as .xlsx"),
        };
        Ok(Some(BufReader::new(Bounded {
            inner,
            left: most,
            spent: false,
            sum: Crc::new(),
            wanted: entry.sum,
        })))
    }

    /// The packed bytes; they begin behind the file's own header, whose names may be longer than in the list.
    fn packed(&self, entry: &Entry) -> Option<&'a [u8]> {
        let header = self.bytes.get(entry.at..entry.at.checked_add(30)?)?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        let names = usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
        let from = entry.at.checked_add(30)?.checked_add(names)?;
        self.bytes.get(from..from.checked_add(entry.packed)?)
    }
}

/// Where the record at the end begins.
fn end(bytes: &[u8]) -> Option<usize> {
    let from = bytes.len().saturating_sub(END);
    let tail = bytes.get(from..)?;
    tail.windows(4).rposition(|four| four == b"PK\x05\x06").map(|at| from + at)
}

fn entry(bytes: &[u8], at: usize) -> Result<(Entry, usize), &'static str> {
    let head = bytes.get(at..).and_then(|rest| rest.get(..46)).filter(|head| head.starts_with(b"PK\x01\x02"));
    let head = head.ok_or(NO_WORKBOOK)?;
    let short = |place| u16_at(head, place).ok_or(NO_WORKBOOK);
    if short(8)? & 1 == 1 {
        return Err(ENCRYPTED);
    }
    let [name, extra, comment] = [short(28)?, short(30)?, short(32)?].map(usize::from);
    let text = bytes.get(at + 46..at + 46 + name).ok_or(NO_WORKBOOK)?;
    let entry = Entry {
        name: String::from_utf8_lossy(text).replace('\\', "/"),
        method: short(10)?,
        sum: u32_at(head, 16).ok_or(NO_WORKBOOK)?,
        packed: u32_at(head, 20).ok_or(NO_WORKBOOK)?,
        at: u32_at(head, 42).ok_or(NO_WORKBOOK)?,
    };
    Ok((entry, at + 46 + name + extra + comment))
}

/// A file that is read up to a bound, whatever the archive says about its length.
pub(super) struct Bounded<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    spent: bool,
    sum: Crc,
    wanted: usize,
}

impl Bounded<'_> {
    /// Whether there was more.
    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        if room == 0 {
            // One byte more tells a file of just that length from a longer one.
            self.spent = self.inner.read(&mut [0])? > 0;
            return Ok(0);
        }
        let most = into.len().min(room);
        let read = self.inner.read(into.get_mut(..most).unwrap_or_default())?;
        self.left -= read as u64;
        self.sum.update(into.get(..read).unwrap_or_default());
        if read == 0 && most > 0 && usize::try_from(self.sum.sum()) != Ok(self.wanted) {
            return Err(std::io::Error::other("its sum is another"));
        }
        Ok(read)
    }
}
