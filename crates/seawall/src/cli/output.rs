//! Standard output. A reader that went away (`| head`) is no reason to panic, as `println!` would.

use std::io::{ErrorKind, Write};

use serde::Serialize;

/// One text and the end of its line.
pub(super) fn line(text: &str) -> Result<(), String> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write the answer: {error}"))
        }
        _ => Ok(()),
    }
}

/// One JSON object, on one line.
pub(super) fn json(value: &impl Serialize) -> Result<(), String> {
    line(&serde_json::to_string(value).map_err(|error| error.to_string())?)
}

/// Names and values, one a line.
pub(super) fn pairs(pairs: &[(&str, &str)]) -> Result<(), String> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    pairs.iter().try_for_each(|(name, value)| line(&format!("{name:width$}  {value}")))
}

/// A table whose columns are as wide as they need to be.
pub(super) fn table(rows: &[Vec<String>]) -> Result<(), String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |n: usize| {
        rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().try_for_each(|row| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        line(cells.join("  ").trim_end())
    })
}

/// Text as it is.
pub(super) fn text(text: &str) -> Result<(), String> {
    line(text.trim_end_matches(['\r', '\n']))
}

/// Some fields of objects as a table; what is not there is a dash.
pub(super) fn objects<'a>(
    fields: &[&str],
    objects: impl Iterator<Item = &'a serde_json::Value>,
) -> Result<(), String> {
    use serde_json::Value;
    let cell = |object: &Value, field: &str| match object.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(value) => value.to_string(),
    };
    let head = fields.iter().map(|field| (*field).to_owned()).collect();
    let rows = objects.map(|object| fields.iter().map(|field| cell(object, field)).collect());
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
