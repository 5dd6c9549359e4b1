//! What came out: a row for each bar.

/// Rows, in the order in which they were measured.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    what: String,
    bar: &'static str,
    figure: String,
    holds: bool,
}

impl Table {
    /// Adds a row, and shows it at once.
    pub fn row(&mut self, holds: bool, what: &str, bar: &'static str, figure: String) {
        println!("{} {what}: {figure} ({bar})", if holds { "ok  " } else { "FAIL" });
        self.0.push(Row { what: what.to_owned(), bar, figure, holds });
    }

    /// Shows all of it. An error names what missed its bar.
    pub fn finish(self) -> Result<(), String> {
        println!("\n| | bar | figure | |\n|---|---|---|---|");
        for Row { what, bar, figure, holds } in &self.0 {
            println!("| {what} | {bar} | {figure} | {} |", if *holds { "ok" } else { "FAIL" });
        }
        let missed: Vec<_> = self.0.into_iter().filter(|row| !row.holds).map(|row| row.what).collect();
        if missed.is_empty() { Ok(()) } else { Err(format!("not reached: {}", missed.join(", "))) }
    }
}
