//! The parts of a workbook are XML: read event by event, shallow, without document types and without references to
//! anything but single characters.

use std::io::BufReader;

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

use super::package::Bounded;

/// Elements in elements.
const DEEP: usize = 64;
/// Bytes of one tag.
const TAG: usize = 64 << 10;

const MALFORMED: &str = "cannot be read: it holds XML that is not well-formed";
const TOO_LONG: &str =
    "cannot be read: it unpacks to more than a table may hold; save the sheet as CSV, or in parts";

/// What stands next in a part.
pub(super) enum Next {
    /// An element begins.
    Start(BytesStart<'static>),
    /// An element ends; its name without prefix.
    End(String),
    /// Text, a piece of it.
    Text(String),
}

/// A part that is read.
pub(super) struct Part<'a> {
    reader: Reader<BufReader<Bounded<'a>>>,
    buffer: Vec<u8>,
    depth: usize,
    /// The end of an element that was empty.
    ends: Option<String>,
}

impl<'a> Part<'a> {
    pub(super) fn new(file: BufReader<Bounded<'a>>) -> Self {
        Part { reader: Reader::from_reader(file), buffer: Vec::new(), depth: 0, ends: None }
    }

    /// What stands next; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Next>, &'static str> {
        if let Some(name) = self.ends.take() {
            return Ok(Some(Next::End(name)));
        }
        loop {
            self.buffer.clear();
            let event = self.reader.read_event_into(&mut self.buffer);
            let found = match event {
                Ok(Event::Start(tag)) if tag.len() > TAG => return Err(MALFORMED),
                Ok(Event::Start(tag)) => {
                    self.depth += 1;
                    Next::Start(tag.into_owned())
                }
                Ok(Event::Empty(tag)) if tag.len() > TAG => return Err(MALFORMED),
                Ok(Event::Empty(tag)) => {
                    self.ends = Some(tag.local_name().as_ref().to_owned());
                    Next::Start(tag.into_owned())
                }
                Ok(Event::End(tag)) => {
                    self.depth = self.depth.saturating_sub(1);
                    Next::End(tag.local_name().as_ref().to_owned())
                }
                Ok(Event::Text(text)) => Next::Text(text.to_string()),
                Ok(Event::CData(text)) => Next::Text(text.to_string()),
                Ok(Event::GeneralRef(name)) => {
                    let character = name.resolve_char_ref().map_err(|_| MALFORMED)?;
                    let known = || resolve_predefined_entity(&name).map(str::to_owned);
                    let text = character.map(String::from).or_else(known);
                    Next::Text(text.ok_or("cannot be read: it refers to an entity")?)
                }
                Ok(Event::DocType(_)) => return Err("cannot be read: it declares a document type"),
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => continue,
                Ok(Event::Eof) if self.reader.get_ref().get_ref().is_spent() => return Err(TOO_LONG),
                Ok(Event::Eof) if self.depth > 0 => return Err(MALFORMED),
                Ok(Event::Eof) => return Ok(None),
                Err(_) if self.reader.get_ref().get_ref().is_spent() => return Err(TOO_LONG),
                Err(_) => return Err(MALFORMED),
            };
            if self.depth > DEEP {
                return Err("cannot be read: its XML is nested too deep");
            }
            return Ok(Some(found));
        }
    }
}

/// An attribute by its name without prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    // Without a check for repeated names, which would look at every pair of them.
    let mut all = tag.attributes();
    let found = all.with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == name)?;
    unescape(&found.value).ok().map(|value| value.into_owned())
}
