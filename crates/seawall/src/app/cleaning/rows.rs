//! The rows of a cleaning: read from a table, each with what became of it.

use std::collections::{BTreeMap, HashMap};

use seawall_connect::lookup::Network;
use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::msisdn::{Msisdn, MsisdnError, NumberKind, ParsedNumber};
use seawall_store::StoreError;
use seawall_store::notes::Note;
use serde::{Deserialize, Serialize};

use super::{Counts, Options, ROWS};
use crate::app::collections::Wrong;
use crate::app::lists::csv::{self, Broken, Line};
use crate::app::lists::workbook;

/// Rows of one table.
pub const MOST_ROWS: usize = 100_000;
/// Names that the column of numbers may have by itself.
const NUMBER: [&str; 6] = ["number", "phone", "phone_number", "msisdn", "mobile", "to"];
/// Characters of a cell that are kept to be shown.
const SHOWN: usize = 64;
/// What may become of a row, in the order of the answer.
const VERDICTS: [&str; 8] =
    ["ok", "invalid", "duplicate", "opted_out", "disposable", "reassigned", "unreachable", "unknown"];

/// What is known of a number beside its digits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    pub opted_out: bool,
    pub disposable: bool,
    pub ported: Option<bool>,
    pub reachable: Option<bool>,
    pub reassigned: bool,
    pub operator: Option<Network>,
    /// Why a provider said nothing, or was not asked.
    pub problem: Option<String>,
    /// What asking cost, in micro-units.
    pub cost: i64,
    /// Whether a provider is to be asked.
    pub asks: bool,
}

/// What is kept of a row beside its number.
#[derive(Serialize, Deserialize)]
struct Cells {
    row: usize,
    input: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<Box<Known>>,
}

/// One row.
pub(super) struct Row {
    /// Of its note.
    pub id: Id,
    /// Of a number in national form.
    pub country: Option<Country>,
    /// The row of the table; the header is row 1.
    pub row: usize,
    pub input: Box<str>,
    pub number: Result<ParsedNumber, MsisdnError>,
    /// The row that has the same number first.
    pub duplicate_of: Option<usize>,
    pub known: Option<Box<Known>>,
}

impl Row {
    /// As it is kept: about its number, so that an erasure finds it.
    pub fn note(&self, cleaning: Id) -> Result<Note, StoreError> {
        let cells = Cells {
            row: self.row,
            input: self.input.clone(),
            country: self.country.map(|country| country.to_string()),
            duplicate_of: self.duplicate_of,
            known: self.known.clone(),
        };
        Ok(Note {
            id: self.id,
            kind: ROWS.to_owned(),
            number: self.number.map_or(Msisdn::ERASED, |number| number.msisdn),
            scope: format!("{}-{}", cleaning.to_hex(), self.row),
            when: self.id.at(),
            body: serde_json::to_string(&cells)?,
        })
    }

    /// Back from [`Row::note`].
    pub fn read(note: &Note) -> Result<Self, StoreError> {
        let cells: Cells = serde_json::from_str(&note.body)?;
        let country = cells.country.as_deref().and_then(Country::parse);
        let number = if note.number == Msisdn::ERASED {
            // Why it is none is found out again.
            Err(Msisdn::parse(&cells.input, country).err().unwrap_or(MsisdnError::Empty))
        } else {
            Msisdn::parse(&note.number.to_e164(), None)
        };
        let Cells { row, input, duplicate_of, known, .. } = cells;
        Ok(Row { id: note.id, country, row, input, number, duplicate_of, known })
    }

    /// The number of a row that is looked at: valid, and the first of its kind.
    pub fn wanted(&self) -> Option<ParsedNumber> {
        self.number.ok().filter(|number| number.valid && self.duplicate_of.is_none())
    }

    /// Whether a provider is still to be asked about it.
    pub fn asks(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.asks)
    }

    /// Forgets a number that is erased.
    pub fn forget(&mut self, number: Msisdn) {
        if self.number.is_ok_and(|own| own.msisdn == number) {
            (self.input, self.number, self.known) = ("".into(), Err(MsisdnError::Empty), None);
        }
    }

    /// The one word for it: the first of these that holds.
    pub fn verdict(&self) -> &'static str {
        if !self.number.is_ok_and(|number| number.valid) {
            return "invalid";
        }
        if self.duplicate_of.is_some() {
            return "duplicate";
        }
        match self.known.as_deref() {
            Some(known) if known.opted_out => "opted_out",
            Some(known) if known.disposable => "disposable",
            Some(known) if known.reassigned => "reassigned",
            Some(known) if known.reachable == Some(false) => "unreachable",
            Some(known) if known.problem.is_none() && !known.asks => "ok",
            _ => "unknown",
        }
    }
}

/// Whether somebody who carries phones can say more of a number.
pub(super) fn has_phone(kind: NumberKind) -> bool {
    matches!(kind, NumberKind::Mobile | NumberKind::FixedLineOrMobile | NumberKind::PersonalNumber)
}

/// What became of all rows; `table`: how many it had, some of which may be erased.
pub(super) fn counts(rows: &[Row], read: usize, table: usize) -> Counts {
    let mut by_verdict: BTreeMap<String, usize> =
        VERDICTS.iter().map(|verdict| ((*verdict).to_owned(), 0)).collect();
    let (mut ported, mut to_ask) = (0, 0);
    for row in rows {
        if let Some(count) = by_verdict.get_mut(row.verdict()) {
            *count += 1;
        }
        ported += usize::from(row.known.as_ref().is_some_and(|known| known.ported == Some(true)));
        to_ask += usize::from(row.asks());
    }
    Counts { rows: table, read, by_verdict, ported, to_ask }
}

/// Where the columns stand.
struct Columns {
    number: usize,
    country: Option<usize>,
}

fn columns(header: &[String], options: &Options) -> Result<Columns, Wrong> {
    let names: Vec<String> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    let place = |wanted: &str| names.iter().position(|name| name == wanted);
    let number = match &options.column {
        Some(column) => place(&column.trim().to_ascii_lowercase())
            .ok_or_else(|| Wrong::field("column", "names no column of the table's first row")),
        None => NUMBER.iter().find_map(|name| place(name)).ok_or_else(|| {
            let known = NUMBER.join(", ");
            Wrong::field(
                "(body)",
                format!("has no column called one of {known} in its first row; say which with `column`"),
            )
        }),
    };
    Ok(Columns { number: number?, country: place("country") })
}

/// A table as it was sent.
#[derive(Debug)]
pub enum Table {
    /// Comma-separated values.
    Csv(String),
    /// A workbook (`.xlsx`).
    Workbook(Vec<u8>),
}

impl Table {
    fn lines(&self) -> Result<Vec<Line>, Broken> {
        match self {
            Table::Csv(text) => csv::rows(text),
            Table::Workbook(file) => workbook::rows(file, MOST_ROWS),
        }
    }
}

/// Reads a table. What is wrong with a number is part of the answer and no error.
pub(super) fn read(table: &Table, options: &Options) -> Result<Vec<Row>, Wrong> {
    let country = |text: &str| Country::parse(text.trim());
    let home = options.country.as_deref().map(|text| {
        country(text).ok_or_else(|| Wrong::field("country", "is two letters by ISO 3166-1, such as SG"))
    });
    let home = home.transpose()?;
    let broken = |Broken { row, problem }| match row {
        0 => Wrong::field("(body)", problem),
        row => Wrong::field("(body)", format!("row {row} {problem}")),
    };
    let mut lines = table.lines().map_err(broken)?.into_iter();
    let (_, header) = lines.next().ok_or_else(|| Wrong::field("(body)", "is empty"))?;
    let columns = columns(&header, options)?;
    if lines.len() > MOST_ROWS {
        return Err(Wrong::field("(body)", format!("has more than {MOST_ROWS} rows; send it in parts")));
    }
    let mut seen = HashMap::with_capacity(lines.len());
    let mut found = Vec::with_capacity(lines.len());
    for (row, cells) in lines {
        let input = cells.get(columns.number).map(|cell| cell.trim()).unwrap_or_default();
        let own = columns.country.and_then(|at| cells.get(at)).and_then(|cell| country(cell));
        let country = own.or(home);
        let number = Msisdn::parse(input, country);
        let first = number.ok().map(|number| *seen.entry(number.msisdn).or_insert(row));
        let duplicate_of = first.filter(|first| *first != row);
        let input = input.chars().take(SHOWN).collect::<String>().into();
        found.push(Row {
            id: Id::from_bytes([0; 16]),
            country,
            row,
            input,
            number,
            duplicate_of,
            known: None,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Vec<Row> {
        read(&Table::Csv(text.to_owned()), &Options::default()).map_err(|_| "refused").unwrap()
    }

    #[test]
    fn spellings_of_one_number_are_duplicates() {
        let rows = table(
            "name,phone,country\nA,+65 9123 4567,\nB,91234567,SG\nC,0065-9123-4567,\nD,12,\nE,,\nF,9123 4567,ZZ\n",
        );
        let seen: Vec<_> = rows.iter().map(|row| (row.row, row.duplicate_of, row.verdict())).collect();
        assert_eq!(
            seen,
            [
                (2, None, "unknown"),
                (3, Some(2), "duplicate"),
                (4, Some(2), "duplicate"),
                (5, None, "invalid"),
                (6, None, "invalid"),
                (7, None, "invalid")
            ]
        );
    }

    #[test]
    fn a_table_without_numbers_is_refused() {
        for text in ["", "a,b\n1,2\n", "number\n\"1"] {
            assert!(read(&Table::Csv(text.to_owned()), &Options::default()).is_err(), "{text}");
        }
        let options = Options { column: Some("Tel".to_owned()), ..Options::default() };
        let tel = Table::Csv("tel;x\n+6591234567;1\n".to_owned());
        assert_eq!(read(&tel, &options).map_err(|_| "refused").unwrap().len(), 1);
    }
}
