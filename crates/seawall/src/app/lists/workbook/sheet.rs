//! Which parts of a workbook hold the first sheet and its texts, and the cells of that sheet.

use super::super::csv::{Broken, Line, meant};
use super::package::Package;
use super::xml::{Next, Part, attribute};
use super::{COLUMNS, TEXT};

/// Bytes of a part that only says where others are.
const SMALL: u64 = 4 << 20;
/// Bytes of the texts that cells share, and of a sheet, unpacked.
const STRINGS: u64 = 64 << 20;
const SHEET: u64 = 256 << 20;
/// Texts that cells share.
const SHARED: usize = 1_000_000;
/// Characters of one cell: what a spreadsheet allows.
const CELL: usize = 32_767;

const NO_SHEET: &str = "cannot be read: it has no sheet";
const TOO_MUCH: &str = "cannot be read: its cells hold more text than a table may";

type Read<T> = Result<T, &'static str>;

/// Where the first sheet is, and the texts that cells share.
pub(super) struct Parts {
    pub(super) sheet: String,
    pub(super) strings: Option<String>,
}

/// What a part refers to.
struct Relation {
    id: String,
    kind: String,
    target: String,
}

fn relations(package: &Package<'_>, name: &str) -> Read<Vec<Relation>> {
    let Some(file) = package.file(name, SMALL)? else { return Ok(Vec::new()) };
    let (mut part, mut found) = (Part::new(file), Vec::new());
    while let Some(next) = part.next()? {
        let Next::Start(tag) = next else { continue };
        let text = |name| attribute(&tag, name).unwrap_or_default();
        // What is elsewhere stays there.
        if tag.local_name().as_ref() == "Relationship" && text("TargetMode") != "External" {
            found.push(Relation { id: text("Id"), kind: text("Type"), target: text("Target") });
        }
    }
    Ok(found)
}

/// A target is relative to the part that names it, or to the whole.
fn place(base: &str, target: &str) -> String {
    match target.strip_prefix('/') {
        Some(whole) => whole.to_owned(),
        None => format!("{base}{target}"),
    }
}

/// Finds them.
pub(super) fn parts(package: &Package<'_>) -> Read<Parts> {
    let roots = relations(package, "_rels/.rels")?;
    let root = roots.iter().find(|relation| relation.kind.ends_with("/officeDocument"));
    let workbook = root.map_or_else(|| "xl/workbook.xml".to_owned(), |root| place("", &root.target));
    let (base, file) = workbook.rsplit_once('/').map_or(("", workbook.as_str()), |(b, f)| (b, f));
    let base = if base.is_empty() { String::new() } else { format!("{base}/") };
    let related = relations(package, &format!("{base}_rels/{file}.rels"))?;
    let wanted = first_sheet(package, &workbook)?;
    let sheet =
        related.iter().find(|relation| relation.id == wanted && relation.kind.ends_with("/worksheet"));
    let strings = related.iter().find(|relation| relation.kind.ends_with("/sharedStrings"));
    Ok(Parts {
        sheet: place(&base, &sheet.ok_or(NO_SHEET)?.target),
        strings: strings.map(|relation| place(&base, &relation.target)),
    })
}

/// The relation of the first sheet that is shown.
fn first_sheet(package: &Package<'_>, workbook: &str) -> Read<String> {
    let mut part = Part::new(package.file(workbook, SMALL)?.ok_or(NO_SHEET)?);
    while let Some(next) = part.next()? {
        let Next::Start(tag) = next else { continue };
        let hidden = || attribute(&tag, "state").is_some_and(|state| state != "visible");
        if tag.local_name().as_ref() == "sheet" && !hidden() {
            return attribute(&tag, "id").ok_or(NO_SHEET);
        }
    }
    Err(NO_SHEET)
}

/// The texts that cells share, in their order. What is said about how a text sounds is left out.
pub(super) fn strings(package: &Package<'_>, name: &str) -> Read<Vec<Box<str>>> {
    let Some(file) = package.file(name, STRINGS)? else { return Ok(Vec::new()) };
    let (mut part, mut found) = (Part::new(file), Vec::new());
    let (mut text, mut open, mut sounds) = (String::new(), false, false);
    while let Some(next) = part.next()? {
        match next {
            Next::Start(tag) => match tag.local_name().as_ref() {
                "si" => text.clear(),
                "rPh" => sounds = true,
                "t" => open = !sounds,
                _ => {}
            },
            Next::Text(piece) if open => text.push_str(&piece),
            Next::Text(_) => {}
            Next::End(name) => match name.as_str() {
                "t" => open = false,
                "rPh" => sounds = false,
                "si" if found.len() == SHARED => return Err(TOO_MUCH),
                "si" => found.push(std::mem::take(&mut text).into_boxed_str()),
                _ => {}
            },
        }
    }
    Ok(found)
}

/// One cell while it is read.
#[derive(Default)]
struct Cell {
    column: usize,
    kind: String,
    value: String,
}

impl Cell {
    /// Its text.
    fn text(self, strings: &[Box<str>]) -> Option<String> {
        let value = match self.kind.as_str() {
            "s" => strings.get(self.value.trim().parse::<usize>().ok()?)?.to_string(),
            "b" => if self.value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
            "str" | "inlineStr" | "e" | "d" => self.value,
            _ => number(self.value.trim()),
        };
        (value.chars().count() <= CELL).then(|| meant(value))
    }
}

/// A number as somebody would write it: telephone numbers are stored as floats.
fn number(text: &str) -> String {
    let float = text.contains(['.', 'e', 'E']).then(|| text.parse::<f64>().ok()).flatten();
    match float.filter(|float| float.fract() == 0.0 && float.abs() < 1e15) {
        Some(whole) => format!("{whole:.0}"),
        None => text.to_owned(),
    }
}

/// The column of a place such as `AB12`, counted from 0.
fn column(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    let number =
        letters.fold(0, |sum, letter| sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.checked_sub(1)
}

/// The rows of a sheet; see [`super::rows`].
pub(super) fn rows(
    package: &Package<'_>,
    sheet: &str,
    strings: &[Box<str>],
    most: usize,
) -> Result<Vec<Line>, Broken> {
    let whole = |problem| Broken { row: 0, problem };
    let file = package.file(sheet, SHEET).map_err(whole)?.ok_or(whole(NO_SHEET))?;
    let mut table = Table { strings, most, text: 0, row: 0, cells: Vec::new(), found: Vec::new() };
    let (mut part, mut cell, mut open) = (Part::new(file), None::<Cell>, false);
    while let Some(next) = part.next().map_err(whole)? {
        match next {
            Next::Start(tag) => match tag.local_name().as_ref() {
                "row" => table.begin(attribute(&tag, "r"))?,
                "c" => {
                    let at = attribute(&tag, "r").and_then(|place| column(&place));
                    let kind = attribute(&tag, "t").unwrap_or_default();
                    cell = Some(Cell { column: at.unwrap_or(table.cells.len()), kind, value: String::new() });
                }
                "v" | "t" => open = cell.is_some(),
                _ => {}
            },
            Next::Text(piece) if open => cell.iter_mut().for_each(|cell| cell.value.push_str(&piece)),
            Next::Text(_) => {}
            Next::End(name) => match name.as_str() {
                "v" | "t" => open = false,
                "c" => table.put(cell.take())?,
                "row" if table.end()? => break,
                _ => {}
            },
        }
    }
    Ok(table.found)
}

/// The table so far.
struct Table<'a> {
    strings: &'a [Box<str>],
    most: usize,
    text: usize,
    row: usize,
    cells: Vec<String>,
    found: Vec<Line>,
}

impl Table<'_> {
    fn broken(&self, problem: &'static str) -> Broken {
        Broken { row: self.row, problem }
    }

    fn begin(&mut self, number: Option<String>) -> Result<(), Broken> {
        let next = number.map_or(Some(self.row + 1), |number| number.trim().parse().ok());
        let Some(next) = next.filter(|next| (self.row + 1..=1 << 20).contains(next)) else {
            return Err(self.broken("is followed by a row that is out of order"));
        };
        self.row = next;
        Ok(())
    }

    fn put(&mut self, cell: Option<Cell>) -> Result<(), Broken> {
        let Some(cell) = cell else { return Ok(()) };
        let column = cell.column;
        let text = cell.text(self.strings).ok_or(self.broken("has a cell that cannot be read"))?;
        if text.is_empty() {
            return Ok(());
        }
        if column >= COLUMNS {
            return Err(self.broken("has more than 256 columns"));
        }
        self.text += text.len();
        if self.text > TEXT {
            return Err(Broken { row: 0, problem: TOO_MUCH });
        }
        let missing = (column + 1).saturating_sub(self.cells.len());
        self.cells.extend(std::iter::repeat_n(String::new(), missing));
        if let Some(place) = self.cells.get_mut(column) {
            *place = text;
        }
        Ok(())
    }

    /// Whether there are enough rows.
    fn end(&mut self) -> Result<bool, Broken> {
        let cells = std::mem::take(&mut self.cells);
        if !cells.is_empty() {
            // An empty cell costs as much as a short one.
            self.text += cells.len() * size_of::<String>();
            self.found.push((self.row, cells));
        }
        Ok(self.found.len() > self.most + 1)
    }
}
