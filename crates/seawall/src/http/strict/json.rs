//! JSON that can be read in one way only: one pass over the bytes before they are understood. What this pass
//! does not look at (grammar, numbers, what follows the end) the parser after it refuses.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use memchr::memchr2;

use super::shown;

/// Objects and lists within each other, at most.
pub const MAX_DEPTH: usize = 16;
/// Keys of one object that are compared one by one; with more they are hashed.
const FEW: usize = 16;

/// Why JSON is not accepted. Reads as the end of "The body …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAccepted {
    what: What,
    /// Bytes from the beginning of the body.
    at: usize,
    /// Such as `messages[3].text`; empty for the body itself.
    place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    ByteOrderMark,
    NotUtf8,
    TooDeep,
    KeyTwice,
    Nul,
    HalfCharacter,
}

impl NotAccepted {
    /// The field it is about, if it is about one.
    pub fn field(&self) -> Option<&str> {
        Some(self.place.as_str()).filter(|place| !place.is_empty())
    }
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotAccepted { what, at, place } = self;
        match what {
            What::ByteOrderMark => f.write_str("begins with a byte order mark; leave it out"),
            What::NotUtf8 => write!(f, "is not UTF-8 at byte {at}"),
            What::TooDeep => write!(f, "is nested deeper than {MAX_DEPTH} levels at byte {at}; flatten it"),
            What::KeyTwice => write!(f, "has the key `{place}` twice, again before byte {at}; send it once"),
            What::Nul => write!(f, "has a NUL character at byte {at}; leave it out"),
            What::HalfCharacter => {
                write!(f, "has half of a surrogate pair at byte {at}; send the whole character")
            }
        }
    }
}

/// Checks a body; gives it as text, so that it need not be checked again.
pub fn check(bytes: &[u8]) -> Result<&str, NotAccepted> {
    let refused = |what, at, text| NotAccepted { what, at, place: place(text, at) };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(refused(What::ByteOrderMark, 0, ""));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let before = bytes.get(..at).and_then(|before| std::str::from_utf8(before).ok());
        refused(What::NotUtf8, at, before.unwrap_or_default())
    })?;
    match scan(text) {
        Ok(()) => Ok(text),
        Err((What::TooDeep, at)) => Err(refused(What::TooDeep, at, "")),
        Err((what, at)) => Err(refused(what, at, text)),
    }
}

/// What was found, and where.
type Found<T> = Result<T, (What, usize)>;

fn scan(text: &str) -> Found<()> {
    let bytes = text.as_bytes();
    let mut objects = Objects::new();
    let (mut at, mut last) = (0, Quoted::default());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                last = quoted(bytes, at + 1)?;
                at = last.to;
            }
            // Only an object's keys are followed by one outside of a string.
            b':' if !objects.add(last.of(text)) => return Err((What::KeyTwice, at)),
            b'{' | b'[' => objects.open(at)?,
            b'}' | b']' => objects.close(),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// What stands between quotes: bytes from, and up to the closing one.
#[derive(Clone, Copy, Default)]
struct Quoted {
    from: usize,
    to: usize,
    escaped: bool,
}

impl Quoted {
    fn of<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let raw = text.get(self.from..self.to).unwrap_or_default();
        if self.escaped { unescaped(raw) } else { Cow::Borrowed(raw) }
    }
}

/// Reads a string whose opening quote stands before `from`.
fn quoted(bytes: &[u8], from: usize) -> Found<Quoted> {
    let (mut at, mut escaped) = (from, false);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        // Without an end it is no JSON, which the parser says.
        let Some(next) = stop(rest) else {
            return Ok(Quoted { from, to: bytes.len(), escaped });
        };
        at += next;
        if rest.get(next) == Some(&b'"') {
            return Ok(Quoted { from, to: at, escaped });
        }
        escaped = true;
        at = after_escape(bytes, at)?;
    }
}

/// The next quote or backslash. Most strings are short; for long ones it pays to look at many bytes at once.
fn stop(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 16;
    let (short, long) = bytes.split_at(bytes.len().min(SHORT));
    let near = short.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    near.or_else(|| memchr2(b'"', b'\\', long).map(|at| at + SHORT))
}

/// Where it goes on after an escape that begins at `at`.
fn after_escape(bytes: &[u8], at: usize) -> Found<usize> {
    if bytes.get(at + 1) != Some(&b'u') {
        return Ok(at + 2);
    }
    match unit(bytes, at + 2) {
        Some(0) => Err((What::Nul, at)),
        Some(0xd800..=0xdbff) => {
            let second = bytes.get(at + 6..at + 8).filter(|b| b == b"\\u").and_then(|_| unit(bytes, at + 8));
            if matches!(second, Some(0xdc00..=0xdfff)) { Ok(at + 12) } else { Err((What::HalfCharacter, at)) }
        }
        Some(0xdc00..=0xdfff) => Err((What::HalfCharacter, at)),
        Some(_) => Ok(at + 6),
        // Not four hexadecimal digits: no JSON.
        None => Ok(at + 2),
    }
}

/// Four hexadecimal digits.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// A key as it is meant: `"\u0074o"` is `to`.
fn unescaped(raw: &str) -> Cow<'_, str> {
    let quoted = format!("\"{raw}\"");
    serde_json::from_str::<String>(&quoted).map_or(Cow::Borrowed(raw), Cow::Owned)
}

/// The objects (and lists, which have no keys) around the place that is read.
struct Objects<'t> {
    levels: [Level; MAX_DEPTH],
    depth: usize,
    /// Keys of all open objects, the outermost first; of each object the first [`FEW`].
    keys: Vec<Cow<'t, str>>,
    /// All keys of objects with more, with the object they are in.
    many: HashSet<(usize, Cow<'t, str>)>,
}

#[derive(Clone, Copy, Default)]
struct Level {
    /// Where it begins in the text: its name.
    opened: usize,
    /// Where its keys begin.
    first: usize,
    /// A bit for each key it may have: most keys need not be compared.
    seen: u64,
    spilled: bool,
}

impl<'t> Objects<'t> {
    fn new() -> Self {
        let levels = [Level::default(); MAX_DEPTH];
        Objects { levels, depth: 0, keys: Vec::with_capacity(FEW), many: HashSet::new() }
    }

    fn open(&mut self, at: usize) -> Found<()> {
        let level = self.levels.get_mut(self.depth).ok_or((What::TooDeep, at))?;
        *level = Level { opened: at, first: self.keys.len(), ..Level::default() };
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        let first = self.levels.get(self.depth).map_or(0, |level| level.first);
        self.keys.truncate(first);
    }

    /// Whether the key is new in its object.
    fn add(&mut self, key: Cow<'t, str>) -> bool {
        let Some(level) = self.depth.checked_sub(1).and_then(|top| self.levels.get_mut(top)) else {
            return true;
        };
        let here = self.keys.get(level.first..).unwrap_or_default();
        if here.len() < FEW {
            let bit = bit(&key);
            if level.seen & bit != 0 && here.contains(&key) {
                return false;
            }
            level.seen |= bit;
            self.keys.push(key);
            return true;
        }
        if !level.spilled {
            level.spilled = true;
            self.many.extend(here.iter().map(|key| (level.opened, key.clone())));
        }
        self.many.insert((level.opened, key))
    }
}

/// One of 64 bits, the same for the same key.
fn bit(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let (first, last) = (bytes.first().copied().unwrap_or(0), bytes.last().copied().unwrap_or(0));
    1 << ((bytes.len() ^ usize::from(first) ^ (usize::from(last) << 3)) & 63)
}

/// A step into the body.
enum Step {
    Key(String),
    Item(usize),
}

/// The names on the way to a place in the text. Only for what is refused: it costs time.
fn place(text: &str, until: usize) -> String {
    let (bytes, mut steps) = (text.as_bytes(), Vec::new());
    let (mut at, mut last) = (0, Quoted::default());
    while let Some(byte) = bytes.get(at).filter(|_| at <= until) {
        match (byte, steps.last_mut()) {
            (b'"', _) => match quoted(bytes, at + 1) {
                Ok(found) if found.to < until => {
                    last = found;
                    at = found.to;
                }
                _ => break,
            },
            (b':', Some(Step::Key(name))) => *name = shown(&last.of(text)),
            (b',', Some(Step::Key(name))) => name.clear(),
            (b',', Some(Step::Item(n))) => *n += 1,
            (b'{', _) => steps.push(Step::Key(String::new())),
            (b'[', _) => steps.push(Step::Item(0)),
            (b'}' | b']', _) => drop(steps.pop()),
            _ => {}
        }
        at += 1;
    }
    spelled(&steps)
}

fn spelled(steps: &[Step]) -> String {
    let mut place = String::new();
    for step in steps {
        match step {
            Step::Key(name) if name.is_empty() => {}
            Step::Key(name) if place.is_empty() => place.push_str(name),
            Step::Key(name) => place.extend([".", name]),
            Step::Item(n) => place.push_str(&format!("[{n}]")),
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn said(body: &[u8]) -> String {
        check(body).map_or_else(|wrong| format!("{} | {wrong}", wrong.field().unwrap_or("-")), str::to_owned)
    }

    #[test]
    fn what_is_not_accepted_is_named_with_its_place() {
        let cases: [&[u8]; 17] = [
            b"\xef\xbb\xbf{}",
            b"{\"to\":\"a\xff\"}",
            b"{\"to\":1,\"to\":2}",
            b"{\"to\":1,\"\\u0074o\":2}",
            b"{\"client\":{\"ip\":1,\"ip\":2}}",
            b"{\"messages\":[{\"a\":1},{\"a\":1,\"b\":[],\"a\":1}]}",
            b"{\"text\":\"a\\u0000\"}",
            b"{\"a\":1,\"messages\":[{},{\"text\":\"\\ud800\"}]}",
            b"{\"text\":\"\\udc00\\ud800\"}",
            b"{\"text\":\"\\ud83dx\"}",
            b"{\"text\":\"\\ud83d\\u0041\"}",
            b"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
            b"{\"a\\u0000\":1}",
            // These are in order; or no JSON, which is not said here.
            b"{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}",
            b"{\"text\":\"\\ud83d\\ude00 \\\" \\\\ : { \\u00e9\"}",
            b"{\"a\":\"b\",\"c\":\"a\",\"b\":\"a\"}",
            b"\"a\":1,\"a\":1,]]]]",
        ];
        insta::assert_snapshot!(cases.map(said).join("\n"), @r#"
        - | begins with a byte order mark; leave it out
        to | is not UTF-8 at byte 8
        to | has the key `to` twice, again before byte 12; send it once
        to | has the key `to` twice, again before byte 17; send it once
        client.ip | has the key `client.ip` twice, again before byte 22; send it once
        messages[1].a | has the key `messages[1].a` twice, again before byte 38; send it once
        text | has a NUL character at byte 10; leave it out
        messages[1].text | has half of a surrogate pair at byte 31; send the whole character
        text | has half of a surrogate pair at byte 9; send the whole character
        text | has half of a surrogate pair at byte 9; send the whole character
        text | has half of a surrogate pair at byte 9; send the whole character
        - | is nested deeper than 16 levels at byte 16; flatten it
        - | has a NUL character at byte 3; leave it out
        {"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}
        {"text":"\ud83d\ude00 \" \\ : { \u00e9"}
        {"a":"b","c":"a","b":"a"}
        "a":1,"a":1,]]]]
        "#);
    }

    #[test]
    fn objects_with_many_keys_are_compared_as_well() {
        let keys: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
        let body = format!("{{\"inner\":{{{}}},{}}}", keys.join(","), keys.join(","));
        assert!(check(body.as_bytes()).is_ok());
        for again in [0, 15, 16, 17, 999] {
            let twice = body.replace("\"k999\":999}", &format!("\"k999\":999,\"k{again}\":0}}"));
            let wrong = check(twice.as_bytes()).unwrap_err();
            assert!([format!("inner.k{again}"), format!("k{again}")].contains(&wrong.place), "{wrong:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_tidied() {
        let body = format!("{{\"{0}\":1,\"{0}\":2,\"x\\u0007\":1,\"x\\u0007\":2}}", "n".repeat(100));
        assert_eq!(check(body.as_bytes()).unwrap_err().place.chars().count(), 65);
        assert_eq!(check(b"{\"x\\u0007\":1,\"x\\u0007\":2}").unwrap_err().place, "x?");
    }

    #[test]
    fn a_megabyte_of_keys_takes_no_square_of_time() {
        let keys: String = (0..150_000).map(|n| format!("\"{n:x}\":0,")).collect();
        let begun = std::time::Instant::now();
        assert!(check(format!("{{{keys}\"\":0}}").as_bytes()).is_ok());
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    /// JSON as a tree, in which keys may repeat.
    fn written() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("-1.5e3".to_owned()),
            "[a-c:{}\\[\\],é]{0,4}".prop_map(|text| format!("\"{text}\"")),
            Just("\"\\\"\\u00e9\\\\\"".to_owned()),
        ];
        leaf.prop_recursive(6, 64, 4, |inner| {
            let key = prop_oneof!["[a-e]{1,2}", Just("\\u0061".to_owned()), Just("q\\\"".to_owned())];
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(",")));
            let pairs = prop::collection::vec((key, inner), 0..24);
            let object = pairs.prop_map(|pairs| {
                let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("\"{k}\" : {v}")).collect();
                format!("{{{}}}", pairs.join(", "))
            });
            prop_oneof![list, object]
        })
    }

    /// Whether an object has a key twice, by a parser of its own.
    struct Once;

    impl<'de> serde::Deserialize<'de> for Once {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Visit).map(|()| Once)
        }
    }

    struct Visit;

    impl<'de> serde::de::Visitor<'de> for Visit {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
            while list.next_element::<Once>()?.is_some() {}
            Ok(())
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut keys = HashSet::new();
            while let Some((key, _)) = map.next_entry::<String, Once>()? {
                if !keys.insert(key) {
                    return Err(serde::de::Error::custom("twice"));
                }
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_parser_that_compares_keys(body in written()) {
            prop_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{}", body);
            let once = serde_json::from_str::<Once>(&body).is_ok();
            prop_assert_eq!(check(body.as_bytes()).is_ok(), once, "{}", body);
        }

        #[test]
        fn any_bytes_are_accepted_or_not(bytes: Vec<u8>) {
            let _ = check(&bytes);
        }

        #[test]
        fn any_mixture_is_accepted_or_not(text in "[\\[\\]{}:,\"\\\\u0d8ctru1]{0,60}") {
            let _ = check(text.as_bytes());
        }
    }
}
