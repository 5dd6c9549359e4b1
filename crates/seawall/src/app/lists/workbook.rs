//! Workbooks (`.xlsx`, Office Open XML) as tables: the first sheet that is shown, each cell as the text in it. A formula is
//! what it was worth when the file was saved. They come from strangers: everything is bounded, nothing is looked up
//! elsewhere, and a document type is refused.

mod package;
mod sheet;
mod xml;

use super::csv::{Broken, Line};
use package::Package;

/// Columns of a table.
const COLUMNS: usize = 256;
/// Bytes of all cells together, as they are held.
const TEXT: usize = 160 << 20;

/// Why a file is no table.
fn broken(problem: &'static str) -> Broken {
    Broken { row: 0, problem }
}

/// Whether a file claims to be a workbook, of whatever age.
pub fn is_workbook(file: &[u8]) -> bool {
    file.starts_with(b"PK") || file.starts_with(&OLD)
}

/// What older workbooks, and encrypted ones, begin with.
const OLD: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// The rows of a workbook, the header first, each with its number; at most `most` and one more, so that it is seen that
/// there are too many. What is wrong with the file as a whole is wrong with row 0.
pub fn rows(file: &[u8], most: usize) -> Result<Vec<Line>, Broken> {
    if file.starts_with(&OLD) {
        return Err(broken(
            "cannot be read: it is encrypted or of the old format; save it as .xlsx without a password",
        ));
    }
    let package = Package::open(file).map_err(broken)?;
    let parts = sheet::parts(&package).map_err(broken)?;
    let strings = match &parts.strings {
        Some(name) => sheet::strings(&package, name).map_err(broken)?,
        None => Vec::new(),
    };
    sheet::rows(&package, &parts.sheet, &strings, most)
}

#[cfg(test)]
mod tests;
