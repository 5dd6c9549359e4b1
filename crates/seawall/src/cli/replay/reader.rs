//! The lines of a trace, one after the other, from a file or from standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use seawall_core::trace::Line;

use super::super::Failure;

/// A longer line is no request.
const LONGEST: usize = 1 << 20;

/// A trace being read.
pub(super) struct Reader {
    from: Box<dyn BufRead>,
    name: String,
    line: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

/// Standard input, or a file with its size where it has one.
pub(super) fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), String> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(1 << 20, std::io::stdin())), None));
    }
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(cannot)?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    Ok((Box::new(BufReader::with_capacity(1 << 20, file)), size))
}

/// How errors call it.
pub(super) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

impl Reader {
    pub fn new(from: Box<dyn BufRead>, name: String) -> Self {
        Reader { from, name, line: 0, bytes: 0, buffer: Vec::new() }
    }

    /// The next line, empty ones passed over.
    pub fn next(&mut self) -> Result<Option<Line<'_>>, Failure> {
        loop {
            self.buffer.clear();
            let mut limited = (&mut self.from).take(LONGEST as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| format!("cannot read {}: {error}", self.name))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.bytes += read as u64;
            if read > LONGEST {
                return Err(
                    self.wrong(&format!("is longer than {LONGEST} bytes; one request a line is needed"))
                );
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let line = self.buffer.trim_ascii_end();
        // Text that is known to be UTF-8 as a whole need not be looked at piece by piece.
        let read = match std::str::from_utf8(line) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(line),
        };
        match read {
            Ok(line) => Ok(Some(line)),
            Err(error) => Err(Failure::Wrong(malformed(&self.name, self.line, &error))),
        }
    }

    /// An error of the line that was read last: exit code 2.
    pub fn wrong(&self, problem: &str) -> Failure {
        Failure::Wrong(format!("{}, line {}: {}", self.name, self.line, masked(problem)))
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn malformed(name: &str, line: u64, error: &serde_json::Error) -> String {
    let text = error.to_string();
    let problem = text.split(" at line ").next().unwrap_or(&text);
    // What is missing has no column.
    let column = if error.column() > 0 { format!(", column {}", error.column()) } else { String::new() };
    format!("{name}, line {line}{column}: {}", masked(problem))
}

/// Errors repeat what was written there; a full number is not repeated.
pub(super) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() >= 7 {
            digits.truncate(digits.len() - 4);
            digits.push_str("xxxx");
        }
        shown.push_str(&digits);
        digits.clear();
        if c != '\0' {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, String> {
        let mut reader =
            Reader::new(Box::new(std::io::Cursor::new(text.as_bytes().to_vec())), "t".to_owned());
        let mut count = 0;
        loop {
            match reader.next() {
                Ok(Some(_)) => count += 1,
                Ok(None) => return Ok(count),
                Err(Failure::Wrong(problem) | Failure::Failed(problem)) => return Err(problem),
            }
        }
    }

    const CHECK: &str =
        r#"{"t":"2026-01-05T10:00:00Z","id":"c1","op":"verify.check","of":"r1","correct":false}"#;

    #[test]
    fn lines_are_counted_and_empty_ones_passed_over() {
        assert_eq!(read(&format!("{CHECK}\n\n{CHECK}")), Ok(2));
        let problem = read(&format!("{CHECK}\n\n{{\"t\":5}}\n")).unwrap_err();
        assert!(problem.starts_with("t, line 3, column 6: invalid type: integer `5`"), "{problem}");
        let problem = read(&format!("{CHECK}\n{}", CHECK.replace("\"c1\"", "+"))).unwrap_err();
        assert!(problem.starts_with("t, line 2, column "), "{problem}");
        let cut = CHECK.get(..40).unwrap();
        assert!(read(cut).unwrap_err().contains("line 1, column 40: EOF"), "{:?}", read(cut));
    }

    #[test]
    fn a_line_has_an_end() {
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(LONGEST));
        assert!(read(&long).unwrap_err().contains("line 1: is longer than"));
    }

    #[test]
    fn a_full_number_is_not_repeated() {
        assert_eq!(
            masked("invalid type: integer `6591234567`, at 2026"),
            "invalid type: integer `659123xxxx`, at 2026"
        );
        assert_eq!(masked("6591234567"), "659123xxxx");
    }
}
