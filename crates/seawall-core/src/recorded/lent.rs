//! Parts of a record that are lent while a request is decided, and read without copying where the JSON allows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::detect::{Family, KeyKind, Signal};
use crate::list::ListHit;

/// A text, borrowed when it can be. A type of its own because serde copies a `Cow` within an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(Cow::Borrowed(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// Some texts.
#[derive(Clone, Debug)]
pub enum Names<'a> {
    /// Those of a request.
    Lent(&'a [String]),
    /// The lists of these hits.
    Hits(&'a [ListHit]),
    /// Those of a record.
    Read(Vec<Text<'a>>),
}

impl Default for Names<'_> {
    fn default() -> Self {
        Names::Lent(&[])
    }
}

impl<'a> Names<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Names::Lent(names) => names.len(),
            Names::Hits(hits) => hits.len(),
            Names::Read(names) => names.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    pub fn get(&self, at: usize) -> Option<&str> {
        match self {
            Names::Lent(names) => names.get(at).map(String::as_str),
            Names::Hits(hits) => hits.get(at).map(|hit| hit.list.as_str()),
            Names::Read(names) => names.get(at).map(Text::as_str),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl PartialEq for Names<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Names::Read)
    }
}

/// Some texts by name.
#[derive(Clone, Debug)]
pub enum Pairs<'a> {
    /// Those of a request.
    Lent(&'a BTreeMap<String, String>),
    /// Those of a record.
    Read(Vec<(Text<'a>, Text<'a>)>),
}

impl Default for Pairs<'_> {
    fn default() -> Self {
        Pairs::Read(Vec::new())
    }
}

impl<'a> Pairs<'a> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Pairs::Lent(pairs) => pairs.is_empty(),
            Pairs::Read(pairs) => pairs.is_empty(),
        }
    }

    /// The text of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self {
            Pairs::Lent(pairs) => pairs.get(name).map(String::as_str),
            Pairs::Read(pairs) => pairs.iter().find(|(n, _)| n.0 == name).map(|(_, text)| text.as_str()),
        }
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Pairs::Lent(pairs) => serializer.collect_map(pairs.iter()),
            Pairs::Read(pairs) => serializer.collect_map(pairs.iter().map(|(name, text)| (name, text))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("texts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or_default().min(64));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs::Read(pairs))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Causes of a suspicion.
#[derive(Clone, Debug)]
pub enum Clues<'a> {
    /// Detection's signals.
    Lent(&'a [Signal]),
    /// Those of a record.
    Read(Vec<Clue<'a>>),
}

/// A [`Signal`] without its sentence, which the reasons have when it counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clue<'a> {
    /// What kind of observation.
    pub family: Family,
    /// What it is about.
    pub kind: KeyKind,
    /// Which one.
    #[serde(borrow)]
    pub key: Text<'a>,
    /// What it alone would make the probability.
    pub probability: f32,
    /// How much was seen.
    pub seen: f32,
    /// How much was to be expected.
    pub expected: f32,
}

/// One cause, wherever it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cause<'a> {
    /// What kind of observation.
    pub family: Family,
    /// What it is about.
    pub kind: KeyKind,
    /// Which one.
    pub key: &'a str,
    /// What it alone would make the probability.
    pub probability: f32,
    /// How much was seen.
    pub seen: f32,
    /// How much was to be expected.
    pub expected: f32,
}

impl<'a> From<&'a Signal> for Cause<'a> {
    fn from(signal: &'a Signal) -> Self {
        let Signal { family, kind, ref key, probability, seen, expected, .. } = *signal;
        Cause { family, kind, key, probability, seen, expected }
    }
}

impl<'a> From<&'a Clue<'_>> for Cause<'a> {
    fn from(clue: &'a Clue<'_>) -> Self {
        let Clue { family, kind, ref key, probability, seen, expected } = *clue;
        Cause { family, kind, key: key.as_str(), probability, seen, expected }
    }
}

impl<'a> From<&'a Signal> for Clue<'a> {
    fn from(signal: &'a Signal) -> Self {
        let Signal { family, kind, ref key, probability, seen, expected, .. } = *signal;
        Clue { family, kind, key: Text::from(key.as_str()), probability, seen, expected }
    }
}

impl Default for Clues<'_> {
    fn default() -> Self {
        Clues::Lent(&[])
    }
}

impl Clues<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Clues::Lent(signals) => signals.len(),
            Clues::Read(clues) => clues.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Cause<'_>> {
        (0..self.len()).filter_map(|at| match self {
            Clues::Lent(signals) => signals.get(at).map(Cause::from),
            Clues::Read(clues) => clues.get(at).map(Cause::from),
        })
    }

    /// The kind of observation that one of them is.
    pub fn family(&self, at: usize) -> Option<&'static str> {
        let family = match self {
            Clues::Lent(signals) => signals.get(at).map(|signal| signal.family),
            Clues::Read(clues) => clues.get(at).map(|clue| clue.family),
        };
        family.map(word)
    }
}

/// The wire word of a family.
pub(crate) fn word(family: Family) -> &'static str {
    match family {
        Family::Outcome => "outcome",
        Family::Concentration => "concentration",
        Family::Velocity => "velocity",
        Family::Prior => "prior",
        Family::Guessing => "guessing",
        Family::Sender => "sender",
        Family::Model => "model",
    }
}

impl Serialize for Clues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Clues::Lent(signals) => serializer.collect_seq(signals.iter().map(Clue::from)),
            Clues::Read(clues) => serializer.collect_seq(clues),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Clues<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Clues::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_borrowed_unless_it_is_escaped() {
        let texts: Vec<Option<Text<'_>>> = serde_json::from_str(r#"["plain","a\nb",null]"#).unwrap();
        assert!(matches!(texts[0], Some(Text(Cow::Borrowed("plain")))));
        assert!(matches!(&texts[1], Some(Text(Cow::Owned(text))) if text == "a\nb"));
        assert_eq!(texts[2], None);
    }

    #[test]
    fn families_have_the_words_of_the_api() {
        for family in [
            Family::Outcome,
            Family::Concentration,
            Family::Velocity,
            Family::Prior,
            Family::Guessing,
            Family::Sender,
            Family::Model,
        ] {
            assert_eq!(serde_json::to_value(family).unwrap(), word(family));
        }
    }
}
