//! What can be replayed beside traces: logs of providers, mapped to the lines of a trace.
//!
//! What a log does not know stays unknown: it has no client addresses, and most have no confirmations. The notes
//! that come with the lines say so, for the summary.

mod csv;
mod eight;
mod json;
mod notes;
mod record;
mod twilio;
mod value;

use std::io::{BufRead, Read};

use clap::ValueEnum;
use seawall_core::trace::Line;

use super::super::Failure;
use notes::Notes;
use record::{Made, Record, Wrong};

/// The largest log, which is held in memory to be sorted.
const LARGEST: u64 = 4 << 30;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A trace, as `seawall simulate` writes it.
    Trace,
    /// 8x8's export of messages.
    #[value(name = "8x8-csv")]
    EightCsv,
    /// 8x8's message details or delivery receipts: objects in an array, or one a line.
    #[value(name = "8x8-json")]
    EightJson,
    /// Twilio's message log, as the console exports it.
    TwilioMessagesCsv,
    /// Twilio's message log, as its API lists it.
    TwilioMessagesJson,
    /// Twilio Verify's attempts, as its API lists them.
    TwilioVerifyJson,
}

/// Where lines come from.
pub(super) enum Source {
    /// A trace, read line by line.
    Trace(Box<dyn BufRead>),
    /// A log, read whole and sorted.
    Log(Imported),
}

/// A log as lines of a trace.
pub(super) struct Imported {
    /// Ordered by time.
    pub lines: Vec<Line<'static>>,
    /// What the log could not tell, a sentence each.
    pub notes: Vec<String>,
}

/// Reads a log; leaves a trace to be read.
pub(super) fn read(
    mut from: Box<dyn BufRead>,
    name: &str,
    format: Option<Format>,
) -> Result<Source, Failure> {
    let cannot = |error: std::io::Error| format!("cannot read {name}: {error}");
    let format = match format {
        Some(format) => format,
        None => told(from.fill_buf().map_err(cannot)?),
    };
    if format == Format::Trace {
        return Ok(Source::Trace(from));
    }
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::Failed(format!("{name} is larger than 4 GiB; split it by time")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Failure::Wrong(format!("{name} is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
    })?;
    import(&text, format).map(Source::Log).map_err(|wrong| Failure::Wrong(format!("{name}, {wrong}")))
}

/// By what it begins with. What nothing else is known of is a trace, whose reader says what is wrong with it.
fn told(begin: &[u8]) -> Format {
    let text = String::from_utf8_lossy(begin);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().next().unwrap_or_default();
    let header = first.to_ascii_lowercase().replace('_', "");
    if !text.starts_with(['{', '[']) {
        return match () {
            () if header.contains("umid") && header.contains("msisdn") => Format::EightCsv,
            () if header.contains("sid") && header.contains("direction") => Format::TwilioMessagesCsv,
            () => Format::Trace,
        };
    }
    match () {
        () if first.contains("\"op\"") => Format::Trace,
        () if text.contains("\"channel_data\"") => Format::TwilioVerifyJson,
        () if text.contains("\"umid\"") => Format::EightJson,
        () if text.contains("\"num_segments\"") => Format::TwilioMessagesJson,
        () => Format::Trace,
    }
}

fn import(text: &str, format: Format) -> Result<Imported, Wrong> {
    let records = match format {
        Format::EightCsv => csv::records(text, &["umid", "msisdn", "createdat"])?,
        Format::TwilioMessagesCsv => csv::records(text, &["sid", "to"])?,
        _ => json::records(text)?,
    };
    let make: fn(&Record) -> Result<Made, Wrong> = match format {
        Format::EightCsv | Format::EightJson => eight::message,
        Format::TwilioVerifyJson => twilio::attempt,
        _ => twilio::message,
    };
    let mut notes = Notes::new(format == Format::TwilioVerifyJson);
    let mut lines = Vec::with_capacity(records.len());
    for record in &records {
        match make(record)? {
            Made::Line(line, learned) => {
                notes.took(learned);
                lines.push(*line);
            }
            Made::Passed(why) => notes.passed(why),
        }
    }
    lines.sort_by(|a, b| (a.t, &*a.id).cmp(&(b.t, &*b.id)));
    Ok(Imported { notes: notes.sentences(lines.len())?, lines })
}

#[cfg(test)]
mod tests;
