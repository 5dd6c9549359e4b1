//! What must not reach the gateway: each payload in each place that it is meant for, and raw bytes.

use serde_json::{Value, json};

use super::corpus::{Known, filled, read, text};
use super::http::{Answer, provoke, request};
use super::{Stage, Tally};

/// Plays every line.
pub async fn play(stage: &Stage) -> Result<Tally, String> {
    let known = Known::from([
        ("sub".to_owned(), stage.guarded.subaccount.clone()),
        ("key".to_owned(), stage.guarded.api_key.clone()),
    ]);
    let mut tally = Tally::default();
    for line in read("attacks.jsonl")? {
        let wanted = line.get("status").and_then(Value::as_u64).unwrap_or(403);
        for (about, bytes) in attempts(&line, &known) {
            let before = stage.tap.bytes();
            let answer = provoke(stage.nginx.addr, &bytes).await;
            tally.count(&about, stopped(wanted, &answer, stage.tap.bytes() - before));
        }
    }
    Ok(tally)
}

fn stopped(wanted: u64, answer: &Answer, reached: u64) -> Result<(), String> {
    if reached > 0 {
        return Err(format!("{reached} bytes reached the gateway, which said {}", answer.status));
    }
    if u64::from(answer.status) != wanted {
        return Err(format!("{} instead of {wanted}", answer.status));
    }
    Ok(())
}

/// Everything that a line asks for, each with its name.
fn attempts(line: &Value, known: &Known) -> Vec<(String, Vec<u8>)> {
    let kind = text(line, "kind");
    if let Some(raw) = line.get("raw").and_then(Value::as_str) {
        return vec![(format!("{kind}: {}", text(line, "about")), spelled_out(&filled(raw, known)))];
    }
    let list = |name: &str| line.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let target = |target: &Value| {
        let target = filled(target.as_str().unwrap_or_default(), known);
        (format!("{kind}: {target}"), request("GET", &target, known_key(known), &[], b""))
    };
    let payload = text(line, "payload");
    let placed = |place: &Value| {
        let place = place.as_str().unwrap_or_default();
        (format!("{kind} in {place}: {payload:?}"), placed(place, payload, known))
    };
    list("targets").iter().map(target).chain(list("in").iter().map(placed)).collect()
}

fn known_key(known: &Known) -> &str {
    known.get("key").map_or("", String::as_str)
}

/// A request that is in order but for the payload in its place.
fn placed(place: &str, payload: &str, known: &Known) -> Vec<u8> {
    let (what, name) = place.split_once(':').unwrap_or((place, ""));
    let sub = known.get("sub").map_or("", String::as_str);
    let messages_path = format!("/api/v1/subaccounts/{sub}/messages");
    let message = || json!({"destination": "+6591230001", "text": "hello", "source": "Acme"});
    let post = |path: &str, body: Value| {
        let json = [("Content-Type", "application/json")];
        request("POST", path, known_key(known), &json, body.to_string().as_bytes())
    };
    match what {
        "query" => {
            let path = format!("/api/v1/accounts/acme/prices?country=SG&q={}", encoded(payload));
            request("GET", &path, known_key(known), &[], b"")
        }
        "path" => post(&format!("/api/v1/subaccounts/{}/messages", encoded(payload)), message()),
        "header" => in_header(name, payload, known),
        "field" => post(&messages_path, with(message(), name, payload)),
        "name" => post(&messages_path, with(message(), payload, "x")),
        "batch" => {
            let body = json!({"messages": [message(), with(message(), name, payload)]});
            post(&format!("{messages_path}/batch"), body)
        }
        "big" => {
            let long =
                with(message(), "text", "The shop closes at 18:00 today; we open again tomorrow at 9.");
            let mut messages = vec![long; 100];
            messages.insert(50, with(message(), name, payload));
            post(&format!("{messages_path}/batch"), json!({"messages": messages}))
        }
        "session" => {
            let body = with(json!({"destination": "+6591230001"}), name, payload);
            post(&format!("/api/v2/subaccounts/{sub}/sessions"), body)
        }
        "native" => post("/v1/verifications", with(json!({"to": "+6591230001"}), name, payload)),
        _ => {
            let form = [("Content-Type", "application/x-www-form-urlencoded")];
            let body = format!("to=1&text={}", encoded(payload));
            request("POST", &messages_path, known_key(known), &form, body.as_bytes())
        }
    }
}

fn in_header(name: &str, payload: &str, known: &Known) -> Vec<u8> {
    let value = match name {
        "Cookie" => format!("session={payload}"),
        "Authorization" => format!("Bearer {payload}"),
        _ => payload.to_owned(),
    };
    request("GET", "/v1/messages", known_key(known), &[(name, &value)], b"")
}

/// An object with one more field.
fn with(mut object: Value, name: &str, value: &str) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(name.to_owned(), value.into());
    }
    object
}

/// Percent-encoded but for letters and digits.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Bytes from a text with `@{repeat:N:…}` and `@{length}`, the length of what follows the head.
fn spelled_out(text: &str) -> Vec<u8> {
    let mut text = text.to_owned();
    while let Some((before, rest)) = text.split_once("@{repeat:") {
        let (times, rest) = rest.split_once(':').unwrap_or(("0", rest));
        let (what, after) = rest.split_once('}').unwrap_or((rest, ""));
        text = format!("{before}{}{after}", what.repeat(times.parse().unwrap_or(0)));
    }
    let length = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    text.replace("@{length}", &length.to_string()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_spelled_out() {
        let text = "POST / HTTP/1.1\r\nContent-Length: @{length}\r\nX: @{repeat:3:ab}\r\n\r\n@{repeat:2:c,}d";
        let wanted = "POST / HTTP/1.1\r\nContent-Length: 5\r\nX: ababab\r\n\r\nc,c,d";
        assert_eq!(spelled_out(text), wanted.as_bytes());
    }

    #[test]
    fn a_payload_stands_in_its_place_and_the_rest_is_in_order() {
        let known = Known::from([("sub".to_owned(), "s".to_owned()), ("key".to_owned(), "k".to_owned())]);
        let bytes = |place: &str| String::from_utf8(placed(place, "<a b>", &known)).unwrap();
        assert!(bytes("query").starts_with("GET /api/v1/accounts/acme/prices?country=SG&q=%3Ca%20b%3E HTTP"));
        assert!(bytes("path").starts_with("POST /api/v1/subaccounts/%3Ca%20b%3E/messages HTTP"));
        assert!(bytes("header:Cookie").contains("\r\nCookie: session=<a b>\r\n"));
        assert!(bytes("field:source").contains("\"source\":\"<a b>\""));
        assert!(bytes("name").contains("\"<a b>\":\"x\""));
        assert!(bytes("form").ends_with("&text=%3Ca%20b%3E"));
    }
}
