//! What was decided, one JSON object a line, to a file or to standard output.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use seawall_core::decision::Verdict;
use seawall_core::reason::Reason;
use seawall_core::replay::Decided;
use seawall_core::trace::Line;
use serde::Serialize;

/// One decision.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    t: seawall_core::time::Timestamp,
    verdict: Verdict,
    risk: u8,
    reasons: &'a [Reason],
    sent: bool,
}

/// Where decisions go.
pub(super) struct Decisions {
    out: Box<dyn Write>,
    /// The one being written.
    line: Vec<u8>,
    name: String,
    /// A regular file: half of it does not stay, because it looks like a whole one.
    file: Option<PathBuf>,
    gone: bool,
}

impl Decisions {
    /// To that file, or to standard output.
    pub fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else {
            let out = Box::new(BufWriter::with_capacity(1 << 20, std::io::stdout()));
            let (name, line) = ("standard output".to_owned(), Vec::new());
            return Ok(Decisions { out, line, name, file: None, gone: false });
        };
        let file = File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        let regular = file.metadata().is_ok_and(|meta| meta.is_file());
        Ok(Decisions {
            out: Box::new(BufWriter::with_capacity(1 << 20, file)),
            line: Vec::new(),
            name: path.display().to_string(),
            file: regular.then(|| path.to_path_buf()),
            gone: false,
        })
    }

    /// Writes one. A reader that went away (`| head`) has had enough: see [`Decisions::unwanted`].
    pub fn write(&mut self, line: &Line<'_>, decided: &Decided) -> Result<(), String> {
        let decision = &decided.decision;
        let shown = Shown {
            id: &line.id,
            t: line.t,
            verdict: decision.verdict,
            risk: decision.risk,
            reasons: &decision.reasons,
            sent: decided.sent,
        };
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, &shown).map_err(std::io::Error::from);
        self.line.push(b'\n');
        let written = written.and_then(|()| self.out.write_all(&self.line));
        self.settle(written)
    }

    /// Whether nobody reads them any more.
    pub fn unwanted(&self) -> bool {
        self.gone
    }

    /// All of them are written.
    pub fn finish(&mut self) -> Result<(), String> {
        let flushed = self.out.flush();
        self.settle(flushed)
    }

    /// They end here, by an error: the file goes.
    pub fn give_up(self) {
        let Decisions { mut out, file, .. } = self;
        match file {
            Some(path) => {
                let _ = std::fs::remove_file(path);
            }
            None => {
                let _ = out.flush();
            }
        }
    }

    fn settle(&mut self, written: std::io::Result<()>) -> Result<(), String> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            result => result.map_err(|error| format!("cannot write {}: {error}", self.name)),
        }
    }
}
