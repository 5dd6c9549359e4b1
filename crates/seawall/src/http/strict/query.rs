//! A query that says each thing once.

use std::borrow::Cow;

use super::{Fault, shown};

/// Parameters in one query, at most.
const AT_MOST: usize = 64;

/// Whether a parameter may stand there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It is refused by name.
    Refused,
    /// The dialect asks for those that it knows.
    Ignored,
}

/// Checks a query as it was sent, without its `?`.
pub fn query(raw: &str, repeats: Repeats) -> Result<(), Fault> {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name).map_err(|wrong| fault(format!("The name of a parameter {wrong}.")))?;
        if let Err(wrong) = decoded(value) {
            let name = shown(&name);
            return Err(fault(format!("The parameter `{name}` {wrong}.")).about(name));
        }
        if repeats == Repeats::Refused && names.contains(&name) {
            let name = shown(&name);
            return Err(fault(format!("The parameter `{name}` is given twice; send it once.")).about(name));
        }
        if names.len() == AT_MOST {
            return Err(fault(format!("The query has more than {AT_MOST} parameters; send fewer.")));
        }
        names.push(name);
    }
    Ok(())
}

fn fault(detail: String) -> Fault {
    Fault::bad("invalid-query", detail)
}

/// Percent-decoded strictly: what is broken is not passed through as it stands.
fn decoded(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'%' && b != b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => (hex(*high, *low).ok_or(BROKEN)?, after),
            (b'%', _) => return Err(BROKEN),
            (b'+', after) => (b' ', after),
            (byte, after) => (*byte, after),
        };
        if byte.is_ascii_control() {
            return Err("has a control character; leave it out");
        }
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "is not UTF-8; encode it anew")
}

const BROKEN: &str = "has a broken percent-encoding; write a percent sign as %25";

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_once_and_readable() {
        let ask = |raw: &str| query(raw, Repeats::Refused).map_err(|fault| fault.detail);
        for fine in ["", "a=1&b=2", "to=%2B6591234567", "a", "a=&b", "&&a=1&", "q=caf%C3%A9+x&r=a%25b"] {
            assert_eq!(ask(fine), Ok(()), "{fine}");
        }
        let refused =
            ["a=1&a=2", "a=1&%61=2", "a=%", "a=%2", "a=%zz", "a=%00", "a=%0a", "a=%ff", "%ff=1", "a+b&a%20b"];
        insta::assert_snapshot!(refused.map(|raw| ask(raw).unwrap_err()).join("\n"), @r#"
        The parameter `a` is given twice; send it once.
        The parameter `a` is given twice; send it once.
        The parameter `a` has a broken percent-encoding; write a percent sign as %25.
        The parameter `a` has a broken percent-encoding; write a percent sign as %25.
        The parameter `a` has a broken percent-encoding; write a percent sign as %25.
        The parameter `a` has a control character; leave it out.
        The parameter `a` has a control character; leave it out.
        The parameter `a` is not UTF-8; encode it anew.
        The name of a parameter is not UTF-8; encode it anew.
        The parameter `a b` is given twice; send it once.
        "#);
        assert_eq!(query("a=1&a=2", Repeats::Ignored), Ok(()));
        let many = |n: usize| (0..n).map(|n| format!("p{n}=1&")).collect::<String>();
        assert!(ask(&many(64)).is_ok() && ask(&many(65)).is_err());
    }
}
