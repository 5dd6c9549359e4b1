//! How far long work has come: a bar on a terminal, nothing otherwise (the summary is the line at the end).

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines between two looks.
const EVERY: u64 = 4_096;

/// The bar.
pub(in crate::cli) struct Progress(ProgressBar);

impl Progress {
    /// Of so many bytes or lines; `None`: nobody knows. `busy`: standard output is in use, and the terminal would
    /// show both.
    pub fn new(whole: Option<u64>, busy: bool) -> Self {
        let shown = std::io::stderr().is_terminal() && !(busy && std::io::stdout().is_terminal());
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = if whole.is_some() { "{msg} {wide_bar} {percent}%" } else { "{spinner} {msg}" };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress(ProgressBar::with_draw_target(whole, target).with_style(style))
    }

    /// So many lines, and so much of the whole.
    pub fn at(&self, lines: u64, position: u64) {
        if lines.is_multiple_of(EVERY) {
            self.0.set_position(position);
            self.0.set_message(format!("{lines} requests"));
        }
    }

    /// Of a database: so many pages are left of so many.
    pub fn pages(&self, left: i32, of: i32) {
        self.0.set_length(u64::try_from(of).unwrap_or(0));
        self.0.set_position(u64::try_from(of - left).unwrap_or(0));
    }

    /// Done.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
