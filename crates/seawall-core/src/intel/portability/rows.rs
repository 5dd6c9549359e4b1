//! The rows of a file of ported numbers, taken one after the other and then sorted.

use std::collections::HashMap;
use std::fmt;

use super::{Carrier, DAY_MILLIS, MOST_NETWORKS, NETWORK_BITS, Portability, Range};
use crate::intel::OperatorCode;
use crate::msisdn::Msisdn;
use crate::time::Timestamp;

/// Numbers and ranges of one file.
const MOST_ROWS: usize = 50_000_000;
const LONGEST_LINE: usize = 4096;
const LONGEST_NAME: usize = 100;
const COLUMNS: [&str; 6] = ["number", "mccmnc", "mcc", "mnc", "operator", "date"];

/// A row that does not fit. It does not repeat the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongRow {
    /// From 1.
    pub line: u32,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for WrongRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// A number's row, until all are sorted.
struct Entry {
    /// The number and its network.
    packed: u64,
    day: u16,
}

/// A file that is being read.
#[derive(Default)]
pub struct Rows {
    line: u32,
    /// For each column of the file, its place in [`COLUMNS`].
    header: Option<Vec<usize>>,
    numbers: Vec<Entry>,
    ranges: Vec<(Range, u32)>,
    carriers: Vec<Carrier>,
    places: HashMap<Carrier, u64>,
}

impl Rows {
    /// Takes the next line, without its end. The first one names the columns; empty ones are passed over.
    pub fn line(&mut self, line: &str) -> Result<(), WrongRow> {
        self.line = self.line.saturating_add(1);
        let line = if self.line == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let taken = match line.trim() {
            _ if line.len() > LONGEST_LINE => Err(format!("has more than {LONGEST_LINE} bytes")),
            "" if self.header.is_some() => Ok(()),
            text => cells(text).and_then(|cells| self.row(&cells)),
        };
        taken.map_err(|problem| self.wrong(problem))
    }

    fn wrong(&self, problem: String) -> WrongRow {
        WrongRow { line: self.line.max(1), problem }
    }

    fn row(&mut self, cells: &[String]) -> Result<(), String> {
        let Some(columns) = &self.header else {
            self.header = Some(header(cells)?);
            return Ok(());
        };
        if cells.len() != columns.len() {
            return Err(format!("has {} cells, the header has {}", cells.len(), columns.len()));
        }
        let mut row = [""; COLUMNS.len()];
        for (column, cell) in columns.iter().zip(cells) {
            if let Some(place) = row.get_mut(*column) {
                *place = cell.trim();
            }
        }
        let [number, mccmnc, mcc, mnc, operator, date] = row;
        let (first, last) = number_or_range(number)?;
        let day = day(date)?;
        let code = code(mccmnc, mcc, mnc)?;
        if operator.chars().count() > LONGEST_NAME {
            return Err(format!("`operator` has more than {LONGEST_NAME} characters"));
        }
        let name = Some(operator).filter(|name| !name.is_empty()).map(Box::from);
        let place = self.place(Carrier { name, code })?;
        let packed = first << NETWORK_BITS | place;
        if self.numbers.len() + self.ranges.len() >= MOST_ROWS {
            return Err(format!("is more than {MOST_ROWS} rows; use ranges"));
        }
        match last {
            None => self.numbers.push(Entry { packed, day }),
            Some(last) => self.ranges.push((Range { first: packed, last, day }, self.line)),
        }
        Ok(())
    }

    fn place(&mut self, carrier: Carrier) -> Result<u64, String> {
        if carrier == Carrier::default() {
            return Err("names no network; fill mccmnc or operator".to_owned());
        }
        if let Some(place) = self.places.get(&carrier) {
            return Ok(*place);
        }
        if self.carriers.len() >= MOST_NETWORKS {
            return Err(format!("names one network more than {MOST_NETWORKS}"));
        }
        let place = u64::try_from(self.carriers.len()).unwrap_or(u64::MAX);
        self.carriers.push(carrier.clone());
        self.places.insert(carrier, place);
        Ok(place)
    }

    /// Ends the file. Of several rows of one number the newest counts, of several of one day the last.
    pub fn finish(mut self) -> Result<Portability, WrongRow> {
        if self.header.is_none() {
            let columns = "number, mccmnc (or mcc and mnc), operator and date";
            return Err(self.wrong(format!("is empty; a header with the columns {columns} is needed")));
        }
        self.numbers.sort_by_key(|entry| (entry.packed >> NETWORK_BITS, entry.day));
        let (mut numbers, mut days) = (Vec::new(), Vec::new());
        numbers.reserve_exact(self.numbers.len());
        days.reserve_exact(self.numbers.len());
        let mut rest = self.numbers.iter().peekable();
        while let Some(entry) = rest.next() {
            let same = |next: &&&Entry| next.packed >> NETWORK_BITS == entry.packed >> NETWORK_BITS;
            if rest.peek().filter(same).is_none() {
                numbers.push(entry.packed);
                days.push(entry.day);
            }
        }
        let ranges = apart(self.ranges)?;
        Ok(Portability { numbers, days, ranges, carriers: self.carriers })
    }
}

/// Sorts ranges; none may reach into another.
fn apart(mut ranges: Vec<(Range, u32)>) -> Result<Vec<Range>, WrongRow> {
    ranges.sort_by_key(|(range, line)| (range.first >> NETWORK_BITS, *line));
    for ((one, line), (next, other)) in ranges.iter().zip(ranges.iter().skip(1)) {
        if next.first >> NETWORK_BITS <= one.last {
            let problem = format!("the range reaches into that of line {}", line.min(other));
            return Err(WrongRow { line: *line.max(other), problem });
        }
    }
    Ok(ranges.into_iter().map(|(range, _)| range).collect())
}

/// For each cell of the first line, which column it names.
fn header(cells: &[String]) -> Result<Vec<usize>, String> {
    let mut columns: Vec<usize> = Vec::with_capacity(cells.len());
    for cell in cells {
        let name = cell.trim().to_ascii_lowercase();
        let strange = || {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            format!("`{shown}` is no column; there are {}", COLUMNS.join(", "))
        };
        let column = COLUMNS.iter().position(|known| *known == name).ok_or_else(strange)?;
        if columns.contains(&column) {
            return Err(format!("has the column `{name}` twice"));
        }
        columns.push(column);
    }
    let [number, mccmnc, mcc, mnc, operator] = [0, 1, 2, 3, 4].map(|column| columns.contains(&column));
    if !number {
        return Err("has no column `number`".to_owned());
    }
    match mccmnc || (mcc && mnc) || operator {
        true => Ok(columns),
        false => Err("has no column `mccmnc` (or `mcc` and `mnc`) or `operator`".to_owned()),
    }
}

/// The cells of a line. A quoted one may hold commas, and quotes twice.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let mut cells = vec![String::new()];
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = letters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            ',' if !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    match quoted {
        true => Err("begins a quote that does not end on the same line".to_owned()),
        false => Ok(cells),
    }
}

/// One number, or the first and the last one of a range.
fn number_or_range(text: &str) -> Result<(u64, Option<u64>), String> {
    let one = |text: &str| {
        let digits = text.trim().strip_prefix('+').unwrap_or(text.trim());
        Msisdn::from_e164(&format!("+{digits}")).map(Msisdn::as_u64)
    };
    let wrong = || {
        "`number` is no number in international form such as +6591234567, and no range such as \
         +6591230000-+6591239999"
            .to_owned()
    };
    let Some((first, last)) = text.split_once('-') else {
        return one(text).map(|number| (number, None)).ok_or_else(wrong);
    };
    let (first, last) = one(first).zip(one(last)).ok_or_else(wrong)?;
    if last < first || first.checked_ilog10() != last.checked_ilog10() {
        return Err("the range ends before it begins, or its ends differ in length".to_owned());
    }
    Ok((first, Some(last)))
}

/// Days since 1970; 0 when nothing is said.
fn day(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let at = Some(text)
        .filter(|text| text.len() == 10)
        .and_then(|text| Timestamp::parse(&format!("{text}T00:00:00Z")));
    let day = at.and_then(|at| u16::try_from(at.as_millis() / DAY_MILLIS).ok()).filter(|day| *day > 0);
    day.ok_or_else(|| "`date` is a day such as 2026-01-05".to_owned())
}

fn code(mccmnc: &str, mcc: &str, mnc: &str) -> Result<Option<OperatorCode>, String> {
    if !mccmnc.is_empty() {
        let code = OperatorCode::parse(mccmnc);
        return code.map(Some).ok_or_else(|| "`mccmnc` is five or six digits, such as 52501".to_owned());
    }
    if mcc.is_empty() && mnc.is_empty() {
        return Ok(None);
    }
    let code = OperatorCode::parse(&format!("{mcc}{mnc}")).filter(|_| mcc.len() == 3);
    code.map(Some)
        .ok_or_else(|| "`mcc` is three digits and `mnc` two or three, such as 525 and 01".to_owned())
}
