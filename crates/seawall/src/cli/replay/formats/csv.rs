//! A table of comma-separated values (RFC 4180) with a header, read with the line on which each row begins.

use super::record::{Record, Wrong, plain};

/// The rows behind the header, which has at least these columns.
pub(super) fn records(text: &str, needed: &[&str]) -> Result<Vec<Record>, Wrong> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Rows::of(text);
    let Some((_, header)) = rows.next().transpose()? else {
        return Err(Wrong::new("line 1", "is empty; a header with the names of the columns is needed"));
    };
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    if let Some(missing) = needed.iter().find(|needed| !names.iter().any(|name| name == *needed)) {
        return Err(Wrong::new("line 1", format!("has no column `{missing}`; is it another format?")));
    }
    let mut records = Vec::new();
    for row in rows {
        let (line, cells) = row?;
        if cells.len() != names.len() {
            let problem = format!("has {} columns, the header has {}", cells.len(), names.len());
            return Err(Wrong::new(format!("line {line}"), problem));
        }
        let cells = names.iter().cloned().zip(cells.into_iter().map(|cell| cell.trim().to_owned()));
        records.push(Record { place: format!("line {line}"), cells: cells.collect(), table: true });
    }
    Ok(records)
}

/// Rows with the line on which they begin, empty ones left out.
struct Rows<'a> {
    letters: std::iter::Peekable<std::str::Chars<'a>>,
    separator: char,
    line: usize,
}

impl<'a> Rows<'a> {
    fn of(text: &'a str) -> Self {
        let header = text.lines().next().unwrap_or_default();
        let separator = if header.contains(';') && !header.contains(',') { ';' } else { ',' };
        Rows { letters: text.chars().peekable(), separator, line: 1 }
    }

    /// One cell and whether its row goes on.
    fn cell(&mut self) -> Result<(String, bool), Wrong> {
        let mut cell = String::new();
        if self.letters.peek() == Some(&'"') {
            self.letters.next();
            self.quoted(&mut cell)?;
        }
        loop {
            match self.letters.next() {
                Some('\r') if self.letters.peek() == Some(&'\n') => {}
                Some('\n') => {
                    self.line += 1;
                    return Ok((cell, false));
                }
                Some(c) if c == self.separator => return Ok((cell, true)),
                Some(c) => cell.push(c),
                None => return Ok((cell, false)),
            }
        }
    }

    fn quoted(&mut self, cell: &mut String) -> Result<(), Wrong> {
        let begun = self.line;
        loop {
            match self.letters.next() {
                Some('"') if self.letters.peek() == Some(&'"') => {
                    self.letters.next();
                    cell.push('"');
                }
                Some('"') => return Ok(()),
                Some(c) => {
                    self.line += usize::from(c == '\n');
                    cell.push(c);
                }
                None => return Err(Wrong::new(format!("line {begun}"), "begins a quote that never ends")),
            }
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<(usize, Vec<String>), Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.letters.peek()?;
            let line = self.line;
            let mut cells = Vec::new();
            loop {
                match self.cell() {
                    Ok((cell, more)) => {
                        cells.push(cell);
                        if !more {
                            break;
                        }
                    }
                    Err(wrong) => {
                        // Nothing behind it can be read.
                        self.letters = "".chars().peekable();
                        return Some(Err(wrong));
                    }
                }
            }
            if cells.len() > 1 || cells.iter().any(|cell| !cell.trim().is_empty()) {
                return Some(Ok((line, cells)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_their_line() {
        let text = "\u{feff}Sid,Price Unit,Body\r\nSM1,USD,\"two\r\nlines, \"\"quoted\"\"\"\r\n\r\nSM2,,x";
        let records = records(text, &["sid"]).unwrap();
        let seen: Vec<_> = records.iter().map(|r| (r.place.as_str(), r.get(&["sid"]).unwrap())).collect();
        assert_eq!(seen, [("line 2", "SM1"), ("line 5", "SM2")]);
        assert_eq!(records[0].get(&["body"]), Some("two\r\nlines, \"quoted\""));
        assert_eq!((records[0].get(&["priceunit"]), records[1].get(&["priceunit"])), (Some("USD"), None));
    }

    #[test]
    fn what_is_no_table_is_said_with_its_line() {
        let wrong = |text: &str| records(text, &["a"]).unwrap_err().to_string();
        assert_eq!(wrong(""), "line 1: is empty; a header with the names of the columns is needed");
        assert_eq!(wrong("a,b\n1,2\n1\n"), "line 3: has 1 columns, the header has 2");
        assert_eq!(wrong("a,b\n1,\"2\n3"), "line 2: begins a quote that never ends");
        assert_eq!(wrong("b,c\n"), "line 1: has no column `a`; is it another format?");
        assert_eq!(records("a;b\n1;2\n", &["a"]).unwrap().len(), 1);
    }
}
