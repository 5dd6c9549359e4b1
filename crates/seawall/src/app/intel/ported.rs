//! The operator's file of ported numbers (CSV), read line by line.

use std::io::{BufRead, BufReader};
use std::path::Path;

use seawall_core::intel::portability::{Portability, Rows};

/// The configuration key that names it.
pub(super) const KEY: &str = "intel.portability_csv";

/// Bytes of one line that are read at most; what is longer is refused by its line.
const LINE_AT_MOST: u64 = 8 * 1024;

/// Reads and checks the whole file.
pub(super) fn read(path: &Path) -> Result<Portability, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let mut file = BufReader::with_capacity(1 << 16, std::fs::File::open(path).map_err(failed)?);
    let (mut rows, mut line) = (Rows::default(), Vec::new());
    let mut number = 0u64;
    loop {
        line.clear();
        number += 1;
        if std::io::Read::take(&mut file, LINE_AT_MOST).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|_| format!("line {number}: is not UTF-8"))?;
        rows.line(text.trim_end_matches(['\n', '\r'])).map_err(|wrong| wrong.to_string())?;
    }
    rows.finish().map_err(|wrong| wrong.to_string())
}
