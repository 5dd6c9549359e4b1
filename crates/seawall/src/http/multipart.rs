//! `multipart/form-data` (RFC 7578) of a body that is there as a whole.

/// Parts of one form.
const MOST: usize = 32;
/// Bytes of the headers of one part.
const HEAD: usize = 4096;

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its name.
    pub name: String,
    /// The name of the file that it holds.
    pub file_name: Option<String>,
    /// What it holds.
    pub data: &'a [u8],
}

/// The boundary that a content type announces; `None` when it announces no form.
pub fn boundary(content_type: &str) -> Option<String> {
    let (media, parameters) = content_type.split_once(';')?;
    if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let found = parameter(parameters, "boundary")?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    ((1..=70).contains(&found.len()) && found.bytes().all(fits) && !found.ends_with(' ')).then_some(found)
}

/// The parts of a body, or what is wrong with it.
pub fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, &'static str> {
    let line = format!("--{boundary}");
    let between = format!("\r\n{line}");
    let mut rest = match body.strip_prefix(line.as_bytes()) {
        Some(rest) => rest,
        None => split(body, between.as_bytes()).ok_or("it does not hold its boundary")?.1,
    };
    let mut found = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        if found.len() == MOST {
            return Err("it has too many parts");
        }
        let (padding, part) = split(rest, b"\r\n").ok_or("it ends early")?;
        if !padding.iter().all(|b| b" \t".contains(b)) {
            return Err("a boundary is followed by something else");
        }
        let (inner, after) = split(part, between.as_bytes()).ok_or("it ends early")?;
        found.push(read(inner)?);
        rest = after;
    }
}

fn read(inner: &[u8]) -> Result<Part<'_>, &'static str> {
    let (head, data) = split(inner, b"\r\n\r\n").ok_or("a part has no headers")?;
    let head = std::str::from_utf8(head).ok().filter(|head| head.len() <= HEAD);
    let head = head.ok_or("the headers of a part cannot be read")?;
    let said = head.lines().filter_map(|line| line.split_once(':'));
    let mut disposition =
        said.filter(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition")).map(|(_, v)| v);
    let (kind, parameters) =
        disposition.next().and_then(|v| v.split_once(';')).ok_or("a part does not say its name")?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("a part is no form-data");
    }
    let name = parameter(parameters, "name").ok_or("a part does not say its name")?;
    Ok(Part { name, file_name: parameter(parameters, "filename"), data })
}

/// What stands before and after the first `mark`.
fn split<'a>(body: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let first = *mark.first()?;
    let mut from = 0;
    loop {
        let at = from + body.get(from..)?.iter().position(|b| *b == first)?;
        let (before, rest) = body.split_at_checked(at)?;
        if let Some(after) = rest.strip_prefix(mark) {
            return Some((before, after));
        }
        from = at + 1;
    }
}

/// A parameter of a header: a token, or quoted with `\` before what is meant literally.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, value) = rest.split_once('=')?;
        let name = name.trim_start_matches([';', ' ', '\t']).trim();
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, after) = value.split_once(';').unwrap_or((value, ""));
                (value.trim().to_owned(), after)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return Some((value, text.get(at + 1..)?)),
            // Browsers send the paths of files with plain backslashes.
            '\\' if !escaped && text.get(at + 1..)?.starts_with(['"', '\\']) => escaped = true,
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn boundaries() {
        let of = |text: &str| boundary(text);
        assert_eq!(of("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(of("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c\"").as_deref(), Some("a b:c"));
        for wrong in ["multipart/form-data", "multipart/mixed; boundary=a", "multipart/form-data; boundary="]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(of(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
        assert_eq!(of("multipart/form-data; boundary=\"a\u{e4}\""), None);
    }

    #[test]
    fn a_form_as_browsers_write_it() {
        let body = b"--XX\r\nContent-Disposition: form-data; name=\"groups\"\r\n\r\n1,2\r\n--XX\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".csv\"\r\nContent-Type: text/csv\r\n\r\n\
            msisdn\r\n+65\r\n--X\r\n\r\n--XX--\r\n";
        let found = parts(body, "XX").unwrap();
        assert_eq!((found[0].name.as_str(), found[0].data), ("groups", &b"1,2"[..]));
        assert_eq!(found[1].file_name.as_deref(), Some("a \"b\".csv"));
        assert_eq!(found[1].data, b"msisdn\r\n+65\r\n--X\r\n");
        assert_eq!(parts(b"preamble\r\n--XX--", "XX"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for wrong in [
            &b""[..],
            b"--XX",
            b"--XX\r\n",
            b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx",
            b"--XX\r\n\r\nx\r\n--XX--",
            b"--XX\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--XX--",
            b"--XX\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--XX--",
            b"--XXY\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--XX--",
        ] {
            assert!(parts(wrong, "XX").is_err(), "{:?}", String::from_utf8_lossy(wrong));
        }
        let many = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n".repeat(33) + "--XX--";
        assert_eq!(parts(many.as_bytes(), "XX"), Err("it has too many parts"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(prop::sample::select(&b"-X\r\n:;=\"\\ aname"[..]), 0..80)) {
            let _ = parts(&body, "X");
            let _ = boundary(&String::from_utf8_lossy(&body));
        }

        #[test]
        fn data_comes_back_as_it_was(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut body = b"--bnd\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n".to_vec();
            body.extend(&data);
            body.extend(b"\r\n--bnd--\r\n");
            prop_assume!(!data.windows(7).any(|w| w == b"\r\n--bnd"));
            prop_assert_eq!(parts(&body, "bnd").unwrap()[0].data, &data[..]);
        }
    }
}
