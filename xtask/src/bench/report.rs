//! The table of results.

/// What a row is held against.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// The value must be at least this.
    AtLeast(f64),
    /// The value must be at most this.
    AtMost(f64),
    /// For information.
    None,
}

/// One result.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure, with its unit.
    pub value: String,
    /// The floor measured in the same run, with its unit.
    pub floor: String,
    /// What is compared with the bar, as a number and as text.
    pub result: f64,
    /// Unit of the result: `x` for a ratio.
    pub unit: &'static str,
    /// The bar.
    pub bar: Bar,
}

impl Row {
    fn verdict(&self) -> &'static str {
        let met = match self.bar {
            Bar::AtLeast(bar) => self.result >= bar,
            Bar::AtMost(bar) => self.result <= bar,
            Bar::None => return "-",
        };
        if met { "ok" } else { "missed" }
    }

    fn cells(&self) -> [String; 6] {
        let bar = match self.bar {
            Bar::AtLeast(bar) => format!(">= {}{}", number(bar), self.unit),
            Bar::AtMost(bar) => format!("<= {}{}", number(bar), self.unit),
            Bar::None => "-".to_owned(),
        };
        let result = format!("{}{}", number(self.result), self.unit);
        [self.name.clone(), self.value.clone(), self.floor.clone(), result, bar, self.verdict().to_owned()]
    }
}

/// Short, with the digits that matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{}k", (value / 100.0).round() / 10.0),
        v if v >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    let titles = ["what", "value", "floor", "result", "bar", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(titles).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_met_or_missed() {
        let row = |result, bar| Row {
            name: String::new(),
            value: String::new(),
            floor: String::new(),
            result,
            unit: "x",
            bar,
        };
        assert_eq!(row(0.5, Bar::AtLeast(0.5)).verdict(), "ok");
        assert_eq!(row(0.49, Bar::AtLeast(0.5)).verdict(), "missed");
        assert_eq!(row(2.1, Bar::AtMost(2.0)).verdict(), "missed");
        assert_eq!(row(2.1, Bar::None).verdict(), "-");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            (number(0.503), number(12.4), number(43_210.0)),
            ("0.50".into(), "12".into(), "43.2k".into())
        );
    }
}
