//! Where requests begin and end on an HTTP/1 connection, followed along with the bytes. hyper settles a
//! length that is said twice (RFC 9112 §6.3) and goes on; a proxy in front may have settled it the other
//! way. So whoever says it twice is refused, and the connection ends.

use memchr::memchr;

/// The request's framing can be read in two ways, and how. An extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous(pub &'static str);

const BOTH: &str = "Content-Length and Transfer-Encoding are given together; send one of them.";
const LENGTHS: &str = "Content-Length is given twice; send it once.";
const NUMBER: &str = "Content-Length is not a number.";
const CODING: &str = "Transfer-Encoding can only be `chunked`, once.";
const LINES: &str = "A line of the head does not end with CR and LF.";
const CHUNKS: &str = "The chunks of the body are not in order.";

/// Bytes of a line that are looked at. More than any name and length that counts here.
const LINE: usize = 64;

/// Follows one connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    within: Within,
    line: Line,
    head: Head,
    /// Requests whose head has ended.
    heads: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    /// The line of a request, or empty lines before it.
    #[default]
    Start,
    Headers,
    /// So many bytes of a body.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk, its end of line included.
    Chunk(u64),
    Trailers,
    /// Nothing after this is followed: the connection ends.
    Lost,
}

/// The beginning of a line, over however many reads it came.
#[derive(Debug)]
struct Line {
    bytes: [u8; LINE],
    length: usize,
    last: u8,
}

impl Default for Line {
    fn default() -> Self {
        Line { bytes: [0; LINE], length: 0, last: 0 }
    }
}

#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    chunked: bool,
    wrong: Option<&'static str>,
}

impl Framing {
    /// Takes bytes as they come. Gives the first request that is ambiguous: its number, from one, and why.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Option<(u32, Ambiguous)> {
        while !bytes.is_empty() {
            match self.within {
                Within::Lost => return None,
                Within::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.within = if left == 0 { Within::Start } else { Within::Body(left) };
                }
                Within::Chunk(left) => {
                    let left = skip(&mut bytes, left);
                    self.within = if left == 0 { Within::ChunkSize } else { Within::Chunk(left) };
                }
                Within::Start | Within::Headers | Within::ChunkSize | Within::Trailers => {
                    if self.line.take(&mut bytes)
                        && let Some(wrong) = self.ended()
                    {
                        self.within = Within::Lost;
                        return Some((self.heads, Ambiguous(wrong)));
                    }
                }
            }
        }
        None
    }

    /// A line has ended: what is wrong by now.
    fn ended(&mut self) -> Option<&'static str> {
        let (line, tidy) = self.line.content();
        let empty = line.is_empty();
        let mut next = self.within;
        match self.within {
            Within::Start if empty => {}
            Within::Start => {
                self.head = Head { wrong: (!tidy).then_some(LINES), ..Head::default() };
                next = Within::Headers;
            }
            Within::Headers if empty => {
                self.heads = self.heads.saturating_add(1);
                if let Some(wrong) = self.head.wrong.or((!tidy).then_some(LINES)) {
                    return Some(wrong);
                }
                next = self.head.body();
            }
            Within::Headers => self.head.header(line, tidy),
            Within::ChunkSize | Within::Trailers if !tidy => return Some(CHUNKS),
            Within::ChunkSize => match chunk(line) {
                Some(0) => next = Within::Trailers,
                Some(size) => next = Within::Chunk(size),
                None => return Some(CHUNKS),
            },
            Within::Trailers if empty => next = Within::Start,
            Within::Trailers | Within::Body(_) | Within::Chunk(_) | Within::Lost => {}
        }
        self.within = next;
        self.line.length = 0;
        None
    }
}

/// Leaves out up to `left` bytes; gives how many are still to be left out.
fn skip(bytes: &mut &[u8], left: u64) -> u64 {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(here..).unwrap_or_default();
    left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX))
}

impl Line {
    /// Takes bytes up to the end of the line; whether it was there.
    fn take(&mut self, bytes: &mut &[u8]) -> bool {
        let end = memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let room = self.bytes.get_mut(self.length.min(LINE)..).unwrap_or_default();
        let kept = room.len().min(line.len());
        if let (Some(room), Some(line)) = (room.get_mut(..kept), line.get(..kept)) {
            room.copy_from_slice(line);
        }
        self.length = self.length.saturating_add(line.len());
        self.last = line.last().copied().unwrap_or(self.last);
        *bytes = rest.get(1..).unwrap_or_default();
        end.is_some()
    }

    /// The line without its end, and whether that was CR and LF.
    fn content(&self) -> (&[u8], bool) {
        let tidy = self.length > 0 && self.last == b'\r';
        let length = self.length - usize::from(tidy);
        (self.bytes.get(..length.min(LINE)).unwrap_or_default(), tidy)
    }
}

impl Head {
    fn header(&mut self, line: &[u8], tidy: bool) {
        if !tidy {
            self.wrong = self.wrong.or(Some(LINES));
        }
        if let Some(value) = value(line, b"content-length:") {
            let twice = self.length.is_some().then_some(LENGTHS);
            self.wrong = self.wrong.or(twice).or(self.chunked.then_some(BOTH));
            // Also one that begins further behind than is looked at.
            self.wrong = self.wrong.or(number(value, 10).is_none().then_some(NUMBER));
            self.length = Some(number(value, 10).unwrap_or(u64::MAX));
        } else if let Some(value) = value(line, b"transfer-encoding:") {
            let coded = (self.chunked || !value.eq_ignore_ascii_case(b"chunked")).then_some(CODING);
            self.wrong = self.wrong.or(self.length.is_some().then_some(BOTH)).or(coded);
            self.chunked = true;
        }
    }

    /// What follows the head.
    fn body(&self) -> Within {
        match self.length {
            _ if self.chunked => Within::ChunkSize,
            Some(length) if length > 0 => Within::Body(length),
            _ => Within::Start,
        }
    }
}

fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (before, after) = line.split_at_checked(name.len())?;
    before.eq_ignore_ascii_case(name).then(|| after.trim_ascii())
}

/// Bytes of a chunk and its end of line; 0 for the last one. Extensions are passed over.
fn chunk(line: &[u8]) -> Option<u64> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
    match number(digits, 16)? {
        0 => Some(0),
        size => size.checked_add(2),
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Option<(u32, &'static str)> {
        Framing::default().feed(text.as_bytes()).map(|(number, Ambiguous(why))| (number, why))
    }

    const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\n";

    #[test]
    fn one_reading_passes() {
        let fine = [
            String::new(),
            "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
            format!("{POST}Content-Length: 3\r\n\r\n\n\r\n{POST}content-length:0\r\n\r\n"),
            format!(
                "{POST}Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\n\r\nx\r\n0\r\nA: b\r\n\r\n{POST}Content-Length: 1\r\n\r\nx"
            ),
            format!("{POST}X-Content-Length: 1\r\nContent-Lengths: 2\r\nY: {}\r\n\r\n", "y".repeat(500)),
        ];
        for text in fine {
            assert_eq!(found(&text), None, "{text}");
        }
    }

    #[test]
    fn two_readings_are_found_with_the_number_of_their_request() {
        let (cl, te) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
        let before = "GET /a HTTP/1.1\r\n\r\n";
        let cases = [
            (format!("{POST}{cl}{te}\r\n"), 1, BOTH),
            (format!("{before}{POST}{te}{cl}\r\n"), 2, BOTH),
            (format!("{before}{before}{POST}{cl}{cl}\r\n"), 3, LENGTHS),
            (format!("{POST}{te}{te}\r\n"), 1, CODING),
            (format!("{POST}Transfer-Encoding: gzip, chunked\r\n\r\n"), 1, CODING),
            (format!("{POST}Transfer-Encoding: xchunked\r\n\r\n"), 1, CODING),
            ("GET / HTTP/1.1\nHost: x\r\n\r\n".to_owned(), 1, LINES),
            (format!("{POST}A: b\n\r\n"), 1, LINES),
            (format!("{POST}\n"), 1, LINES),
            (format!("{POST}Content-Length:{}5\r\n\r\n", " ".repeat(60)), 1, NUMBER),
            (format!("{POST}Content-Length: 5, 5\r\n\r\n"), 1, NUMBER),
            (format!("{POST}{te}\r\nx\r\n"), 1, CHUNKS),
            (format!("{POST}{te}\r\n1\nx\r\n"), 1, CHUNKS),
            (format!("{POST}{te}\r\n+1\r\nx\r\n"), 1, CHUNKS),
            (format!("{POST}{te}\r\n3\r\nabc\r\n0\r\n\r\n{POST}{te}{cl}\r\n"), 2, BOTH),
            (format!("{POST}{cl}\r\nabcd{POST}{te}{cl}\r\n"), 2, BOTH),
        ];
        for (text, number, why) in cases {
            assert_eq!(found(&text), Some((number, why)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_does_not_matter(cuts: Vec<prop::sample::Index>, te in any::<bool>()) {
            let body = if te {
                "Transfer-Encoding: chunked\r\n\r\n5\r\nab\r\nc\r\n0\r\n\r\n"
            } else {
                "Content-Length: 5\r\n\r\nab\r\nc"
            };
            let text = format!("{POST}{body}{POST}Content-Length: 1\r\nA: b\r\ncontent-LENGTH: 1\r\n\r\nx");
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let mut framing = Framing::default();
            let parts = places.windows(2).filter_map(|ends| framing.feed(&text.as_bytes()[ends[0]..ends[1]]));
            prop_assert_eq!(parts.collect::<Vec<_>>(), vec![(2, Ambiguous(LENGTHS))]);
        }

        #[test]
        fn any_bytes_can_be_followed(bytes: Vec<u8>, text in "[GETchunked:0-9\\r\\n ]{0,200}") {
            let mut framing = Framing::default();
            framing.feed(text.as_bytes());
            framing.feed(&bytes);
        }
    }
}
