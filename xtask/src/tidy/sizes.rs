//! How long things may be.

use crate::sources::Source;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// Functions that are longer, and why that is best. The list may only get shorter.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

pub fn files(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.is_rust()).filter_map(|source| {
        let lines = source.without_tests().lines().count();
        (lines > FILE_LINES).then(|| format!("{}: {lines} lines without tests; split it", source.path))
    });
    long.collect()
}

pub fn functions(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    // Tables of cases are long and simple; tests in files of their own are as free as those below the code.
    let code = sources.iter().filter(|source| source.is_rust() && !source.path.contains("/tests/"));
    for source in code {
        for (name, lines) in lengths(source.without_tests()) {
            let known = LONG_FUNCTIONS.iter().any(|(path, long, _)| *path == source.path && *long == name);
            if lines > FUNCTION_LINES && !known {
                wrong.push(format!("{}: fn {name} has {lines} lines; split it", source.path));
            }
        }
    }
    wrong
}

/// Functions and their lines, by indentation: the code is formatted.
fn lengths(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| Some((at, function(line)?)));
    let length = |at: usize, indent: usize| {
        let (end, declared) = (format!("{}}}", " ".repeat(indent)), format!("{})", " ".repeat(indent)));
        let ends = |line: &&str| {
            // What a trait only declares ends without a body.
            *line == end || *line == format!("{end},") || line.starts_with(&declared) && line.ends_with(';')
        };
        lines.iter().skip(at).position(ends).map_or(1, |n| n + 1)
    };
    starts.map(|(at, (name, indent))| (name, length(at, indent))).collect()
}

/// The name and indentation of a function that begins in this line and does not end in it.
fn function(line: &str) -> Option<(String, usize)> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern"];
    let known = before.split_whitespace().all(|word| qualifiers.contains(&word));
    if !known || line.ends_with('}') || line.ends_with(';') {
        return None;
    }
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    Some((name.to_owned(), line.len() - code.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let text = "pub fn one() {\n    1;\n}\n\nimpl X {\n    async fn two<T>(\n        a: T,\n    ) {\n    }\n\n    fn three() {}\n}\n// fn four\n";
        assert_eq!(lengths(text), [("one".to_owned(), 3), ("two".to_owned(), 4)]);
        let declared = "trait T {\n    fn one(\n        &self,\n    ) -> u8;\n\n    fn two() {\n    }\n}\n";
        assert_eq!(lengths(declared), [("one".to_owned(), 3), ("two".to_owned(), 2)]);
    }
}
