//! Reading the source files.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory of source files.
pub struct From(PathBuf);

impl From {
    pub fn new(dir: &str) -> Result<Self, String> {
        let dir = PathBuf::from(dir);
        if dir.is_dir() { Ok(From(dir)) } else { Err(format!("{} is no directory", dir.display())) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.path(name);
        if name.ends_with(".gz") {
            return unzipped(&path);
        }
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn text(&self, name: &str) -> Result<String, String> {
        String::from_utf8(self.bytes(name)?).map_err(|_| format!("{name} is not UTF-8"))
    }

    /// The words of a file of this name; see [`words`].
    pub fn words(&self, name: &str) -> Result<Vec<String>, String> {
        Ok(words(&self.text(name)?))
    }

    /// The rows of a CSV file, the header dropped if it is not data.
    pub fn csv(&self, name: &str, header: bool) -> Result<Vec<Vec<String>>, String> {
        let text = self.text(name)?;
        Ok(text.lines().skip(usize::from(header)).filter(|line| !line.is_empty()).map(fields).collect())
    }
}

/// The first word of each line, comments apart.
pub fn words(text: &str) -> Vec<String> {
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect()
}

fn unzipped(path: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new("gzip").arg("-dc").arg(path).output().map_err(|e| format!("gzip: {e}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The fields of a CSV line; a quote stands for itself when doubled. No source has a line break in a field.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => push(&mut fields, '"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => push(&mut fields, c),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

fn push(fields: &mut [String], c: char) {
    if let Some(field) = fields.last_mut() {
        field.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(fields("1.0.0.0,1,\"Cloudflare, Inc.\""), ["1.0.0.0", "1", "Cloudflare, Inc."]);
        assert_eq!(fields("7, \"say \"\"hi\"\"\",,x "), ["7", "say \"hi\"", "", "x"]);
        assert_eq!(fields(""), [""]);
    }
}
