//! Comma-separated values (RFC 4180) that no spreadsheet runs.
//!
//! What begins like a formula is written with an apostrophe before it, and read without. A `;` separates
//! as well as a comma does when the header says so: spreadsheets of half of Europe write it.

/// A cell as it is written.
pub fn cell(text: &str) -> String {
    let safe = if is_formula(unguarded(text)) { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', ';', '"', '\n', '\r', '\t']) || safe.starts_with(' ') || safe.ends_with(' ') {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

/// A cell as it was meant: without the apostrophe that [`cell`] put before it.
pub(super) fn meant(text: String) -> String {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(unguarded(rest)) => rest.to_owned(),
        _ => text,
    }
}

fn unguarded(text: &str) -> &str {
    text.trim_start_matches('\'')
}

/// Some readers drop leading quotes and spaces before they look.
fn is_formula(text: &str) -> bool {
    let bare = text.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
    bare.starts_with(['=', '+', '-', '@', '|', '%']) || text.starts_with(['\t', '\r', '\n'])
}

/// A row with its number, the header being row 1.
pub type Line = (usize, Vec<String>);

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// In which row, the header being row 1.
    pub row: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The rows of a text, the header first; empty lines are left out, and counted. Each row with its number.
pub fn rows(text: &str) -> Result<Vec<Line>, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header = text.lines().next().unwrap_or_default();
    let separator = if header.contains(';') && !header.contains(',') { ';' } else { ',' };
    let mut reader =
        Reader { separator, row: 1, cells: Vec::new(), cell: String::new(), state: State::Start };
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c == '\r' && reader.state != State::Quoted && letters.peek() == Some(&'\n') {
            continue;
        }
        found.extend(reader.take(c)?);
    }
    if reader.state == State::Quoted {
        return Err(reader.broken("begins a quote that never ends"));
    }
    found.extend(reader.line());
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind a quote that ends the cell, or is the first of two that stand for one.
    Closing,
}

struct Reader {
    separator: char,
    row: usize,
    cells: Vec<String>,
    cell: String,
    state: State,
}

impl Reader {
    fn take(&mut self, c: char) -> Result<Option<(usize, Vec<String>)>, Broken> {
        match (self.state, c) {
            (State::Quoted, '"') => self.state = State::Closing,
            (State::Quoted, c) => self.cell.push(c),
            (State::Closing, '"') => {
                self.cell.push('"');
                self.state = State::Quoted;
            }
            (State::Start, '"') => self.state = State::Quoted,
            (_, '\n') => return Ok(self.line()),
            (_, c) if c == self.separator => self.end_cell(),
            (State::Closing, _) => return Err(self.broken("has text behind a closing quote")),
            (_, c) => {
                self.cell.push(c);
                self.state = State::Plain;
            }
        }
        Ok(None)
    }

    fn end_cell(&mut self) {
        self.cells.push(meant(std::mem::take(&mut self.cell)));
        self.state = State::Start;
    }

    /// Ends a row. An empty line is none.
    fn line(&mut self) -> Option<(usize, Vec<String>)> {
        let empty = self.cells.is_empty() && self.cell.is_empty() && self.state == State::Start;
        self.end_cell();
        let row = (self.row, std::mem::take(&mut self.cells));
        self.row += 1;
        (!empty).then_some(row)
    }

    fn broken(&self, problem: &'static str) -> Broken {
        Broken { row: self.row, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_are_quoted_and_never_run() {
        for (text, want) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("+6591234567", "'+6591234567"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("=cmd|' /C calc'!A0,x", "\"'=cmd|' /C calc'!A0,x\""),
        ] {
            assert_eq!(cell(text), want, "{text:?}");
        }
    }

    #[test]
    fn tables_are_read_as_spreadsheets_write_them() {
        let cells = |text: &str| -> Vec<Vec<String>> {
            rows(text).unwrap().into_iter().map(|(_, cells)| cells).collect()
        };
        let wanted = [vec!["value", "note"], vec!["+6591234567", "a \"b\", c"]];
        assert_eq!(cells("value,note\r\n'+6591234567,\"a \"\"b\"\", c\"\r\n"), wanted);
        assert_eq!(cells("\u{feff}value;note\n+6591234567;\"a \"\"b\"\", c\"\n\n"), wanted);
        assert_eq!(rows("a\n\nb\n").unwrap().iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(rows("a\n\"b\n"), Err(Broken { row: 2, problem: "begins a quote that never ends" }));
        assert_eq!(rows("a\nb\n\"c\"d\n").unwrap_err().row, 3);
        assert!(rows("").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn every_cell_reads_as_it_was_written(cells in prop::collection::vec(".{0,12}", 2..4)) {
            let line = cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",") + "\r\n";
            let header = "a,b\r\n";
            let read = rows(&(header.to_owned() + &line)).unwrap();
            prop_assert_eq!(&read[1].1, &cells);
        }

        #[test]
        fn no_cell_begins_like_a_formula(text in "['\" ]{0,3}[-=+@|%\t]?.{0,10}") {
            let shown = cell(&text);
            let inner = shown.trim_start_matches('"').trim_start();
            prop_assert!(!inner.starts_with(['=', '+', '-', '@', '|', '%', '\t']), "{shown}");
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,60}") {
            let _ = rows(&text);
        }
    }
}
