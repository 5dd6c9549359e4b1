//! What can be read in two ways is refused, by every dialect in its own words, and changes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::Gateway;

const TO: &str = "+6591234567";

/// Sends bytes; gives what came back until the gateway closed, or went silent.
async fn exchange(gateway: &Gateway, bytes: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(gateway.running.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match tokio::time::timeout(Duration::from_millis(700), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&answer).into_owned(), true),
            Ok(Ok(read)) => answer.extend_from_slice(&buffer[..read]),
            Err(_) => return (String::from_utf8_lossy(&answer).into_owned(), false),
        }
    }
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|part| &part[..3]).collect()
}

/// Nothing was accepted by any of the requests before.
async fn nothing_happened(gateway: &Gateway) {
    for path in ["/admin/v1/messages", "/admin/v1/verifications", "/admin/v1/decisions"] {
        let page = gateway.admin("GET", path, None).await.expect(200);
        assert_eq!(page["data"], json!([]), "{path}");
    }
}

/// (body, what the refusal says, the field it names)
fn bodies() -> Vec<(Vec<u8>, &'static str, Option<&'static str>)> {
    let text = |text: &str| text.replace("TO", TO).into_bytes();
    vec![
        (text(r#"{"to":"TO","destination":"TO","text":"x","text":"y"}"#), "key `text` twice", Some("text")),
        (
            text(r#"{"to":"TO","destination":"TO","text":"x","\u0074ext":"y"}"#),
            "key `text` twice",
            Some("text"),
        ),
        (
            text(r#"{"client":{"ip":"192.0.2.1","ip":"192.0.2.2"}}"#),
            "key `client.ip` twice",
            Some("client.ip"),
        ),
        (text(r#"{"to":"TO","destination":"TO","text":"a\u0000b"}"#), "NUL", Some("text")),
        (text(r#"{"to":"TO","destination":"TO","text":"a\ud83d"}"#), "surrogate", Some("text")),
        (text(r#"{"messages":[{},{"text":"\udc00"}]}"#), "surrogate", Some("messages[1].text")),
        (text("\u{feff}{}"), "byte order mark", None),
        (b"{\"to\":\"\xc3\x28\"}".to_vec(), "not UTF-8 at byte 7", Some("to")),
        (b"\xff\xfe{\x00}\x00".to_vec(), "not UTF-8 at byte 0", None),
        (text(&format!("{}1{}", "[".repeat(17), "]".repeat(17))), "deeper than 16 levels", None),
        (text(&format!("{{\"x\":{}", "{\"x\":".repeat(10_000))), "deeper than 16 levels", None),
        (text(r#"{"codeLength":NaN}"#), "line 1, column", None),
        (text(r#"{"codeLength":Infinity}"#), "line 1, column", None),
        (text(r#"{"codeLength":0x6}"#), "line 1, column", None),
        (text(r#"{"codeLength":06}"#), "line 1, column", None),
        (text(r#"{"codeLength":+6}"#), "line 1, column", None),
        (text(r#"{"codeLength":6.}"#), "line 1, column", None),
        (text(r#"{"codeLength":1e999}"#), "line 1, column", None),
        (text(r#"{"to":"TO"}{"to":"TO"}"#), "line 1, column", None),
        (text(r#"{"to":"TO",}"#), "line 1, column", None),
        (text(r#"{'to':'TO'}"#), "line 1, column", None),
        (text("{\"to\":\"a\nb\"}"), "line 2, column", None),
        (text("{/* x */}"), "line 1, column", None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_one_reading() {
    let gateway = Gateway::new().await;
    let (key, sub) = (gateway.first.api_key.clone(), gateway.sub().to_owned());
    let ask = async |path: &str, token: &str, body: Vec<u8>| {
        let request = gateway.http.post(format!("{}{path}", gateway.base)).bearer_auth(token);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    for (body, said, field) in bodies() {
        let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        for path in ["/v1/messages", "/v1/verifications", "/v1/messages/batch", "/admin/v1/limits"] {
            let token = if path.starts_with("/admin") { &gateway.first.admin_token } else { &key };
            let (status, problem) = ask(path, token, body.clone()).await;
            let detail = problem["detail"].as_str().unwrap();
            assert_eq!(status, 400, "{path} {shown}: {problem}");
            assert!(!detail.contains("91234567"), "{detail}");
            // A field that is not known, or of another type, may be met before the grammar is broken.
            if said.starts_with("line") && problem["code"] == "invalid-request" {
                assert!(!path.starts_with("/admin"), "{shown}: {problem}");
                continue;
            }
            assert_eq!(problem["code"], "malformed-json", "{path} {shown}: {problem}");
            assert!(detail.contains(&said.replace(", column", " column")), "{shown}: {detail}");
            assert_eq!(problem["field"].as_str(), field, "{shown}");
        }
        let eight = format!("/api/v1/subaccounts/{sub}");
        for path in [
            format!("{eight}/messages"),
            format!("{eight}/messages/batch"),
            eight.replace("v1", "v2") + "/sessions",
        ] {
            let (status, error) = ask(&path, &key, body.clone()).await;
            assert_eq!((status, &error["code"]), (400, &json!(1000)), "{path} {shown}: {error}");
            let message = error["message"].as_str().unwrap();
            assert!(
                message.starts_with("Invalid JSON request body: ") && message.contains(said),
                "{shown}: {message}"
            );
        }
    }
    nothing_happened(&gateway).await;
    // The dialect of 8x8 ignores what it does not know, at any place.
    let fine = json!({"destination": TO, "text": "x \u{1f600}", "unknown": {"text": {"text": [{}, {}]}}});
    gateway.api("POST", &format!("/api/v1/subaccounts/{sub}/messages"), Some(fine)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_utf8_and_not_compressed() {
    let gateway = Gateway::new().await;
    let key = gateway.first.api_key.clone();
    let eight = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let body = json!({"to": TO, "destination": TO, "text": "x"}).to_string();
    for path in ["/v1/messages", eight.as_str()] {
        for (name, value) in [
            ("content-type", "application/json; charset=utf-16"),
            ("content-type", "application/json; charset=utf-7"),
            ("content-type", "application/json; charset=utf-8; charset=iso-8859-1"),
            ("content-encoding", "gzip"),
            ("content-encoding", "identity, deflate"),
        ] {
            let answer = gateway.raw("POST", path, Some(&key), Some(&body), &[(name, value)]).await;
            assert_eq!(answer.status, 415, "{path} {name}: {value}: {}", answer.text);
        }
    }
    nothing_happened(&gateway).await;
    for value in ["application/json; charset=\"UTF-8\"", "Application/JSON;charset=utf8"] {
        gateway.raw("POST", &eight, Some(&key), Some(&body), &[("content-type", value)]).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decides_is_said_once() {
    let gateway = Gateway::new().await;
    let (key, sub) = (&gateway.first.api_key, gateway.sub());
    let body = json!({"to": TO, "destination": TO, "text": "x"}).to_string();
    let ask = |path: &str, head: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n{head}\r\n{body}",
            body.len()
        )
    };
    let twice = [
        ("authorization", format!("Authorization: Bearer {key}\r\n")),
        ("content-type", "content-type: application/json\r\n".to_owned()),
        ("idempotency-key", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n".to_owned()),
        ("host", "Host: x\r\n".to_owned()),
    ];
    for (name, head) in twice {
        let (answer, _) = exchange(&gateway, ask("/v1/messages", &head).as_bytes()).await;
        assert_eq!(statuses(&answer), ["400"], "{name}: {answer}");
        assert!(
            answer.contains("\"code\":\"invalid-header\"")
                && answer.contains(&format!("\"field\":\"{name}\""))
        );
        let (answer, _) =
            exchange(&gateway, ask(&format!("/api/v1/subaccounts/{sub}/messages"), &head).as_bytes()).await;
        assert_eq!(statuses(&answer), ["400"], "{name}: {answer}");
        assert!(
            answer.contains("\"code\":1000") && answer.contains(&format!("`{name}` is given twice")),
            "{answer}"
        );
    }
    let (answer, _) = exchange(&gateway, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("`host` is missing"), "{answer}");
    let (answer, _) = exchange(&gateway, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains(" 200 "), "HTTP/1.0 needs none: {answer}");
    nothing_happened(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_have_one_spelling() {
    let gateway = Gateway::new().await;
    let (key, sub) = (&gateway.first.api_key, gateway.sub());
    let body = json!({"to": TO, "destination": TO, "text": "x"}).to_string();
    for path in [
        "/v1//messages".to_owned(),
        "//v1/messages".to_owned(),
        "/v1/x/../messages".to_owned(),
        "/v1/%2e%2e/v1/messages".to_owned(),
        "/v1/./messages".to_owned(),
        "/v1%2fmessages".to_owned(),
        "/v1/messages%00".to_owned(),
        "/v1/messages%0d%0aX:%20y".to_owned(),
        "/v1/%6dessages%".to_owned(),
        "/v1/messages%252f..".to_owned(),
        "/v1\\messages".to_owned(),
        "/v1/messages/%ff".to_owned(),
        format!("/api/v1/subaccounts/{sub}%2fmessages"),
        format!("/api/v1/subaccounts/x/../{sub}/messages"),
        format!("/api//v1/subaccounts/{sub}/messages"),
        format!("/api/v1/subaccounts/{sub}/%252e/messages"),
        format!("/api/v1/subaccounts/..%2f{sub}/messages"),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (answer, _) = exchange(&gateway, request.as_bytes()).await;
        assert_eq!(statuses(&answer), ["400"], "{path}: {answer}");
        assert!(answer.contains("at byte "), "{path}: {answer}");
    }
    nothing_happened(&gateway).await;
    // The name of an entry may hold a slash.
    let net = json!({"cidr": "127.0.0.0/8"});
    gateway.admin("POST", "/admin/v1/ip-allowlist", Some(net)).await.expect(201);
    gateway.admin("GET", "/admin/v1/ip-allowlist/127.0.0.0%2F8%20for%20all", None).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_say_each_thing_once() {
    let gateway = Gateway::new().await;
    for (query, said) in [
        ("limit=1&limit=2", "`limit` is given twice"),
        ("limit=1&%6Cimit=1", "`limit` is given twice"),
        ("cursor=%", "`cursor` has a broken percent-encoding"),
        ("cursor=%ff", "`cursor` is not UTF-8"),
        ("cursor=a%00b", "`cursor` has a control character"),
    ] {
        let problem = gateway.admin("GET", &format!("/admin/v1/limits?{query}"), None).await.expect(400);
        assert_eq!(problem["code"], "invalid-query", "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{query}: {problem}");
        assert!(["limit", "cursor"].contains(&problem["field"].as_str().unwrap()));
    }
    let prices = format!("/api/v1/accounts/{}/prices", gateway.first.account_id);
    for query in ["country=%ff", "country=SG%00", "country=SG&country=SG", "country=%2"] {
        let error = gateway.api("GET", &format!("{prices}?{query}"), None).await.expect(400);
        assert_eq!(error["code"], 1000, "{query}");
    }
}

/// Requests whose end two programs could see at different places. `S` is where a smuggled one would begin.
fn smuggled(head: &str) -> Vec<(&'static str, String)> {
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let post = |lines: &str, body: &str| format!("{head}{lines}\r\n{body}");
    let (cl, te) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
    vec![
        ("CL.TE", post(&format!("{cl}{te}"), &format!("0\r\n\r\n{hidden}"))),
        ("TE.CL", post(&format!("{te}{cl}"), &format!("{chunks}{hidden}"))),
        ("CL.TE in small letters", post("content-length: 4\r\ntransfer-encoding: chunked\r\n", chunks)),
        ("CL.TE with tabs", post("Content-Length:\t4\r\nTransfer-Encoding:\tchunked\r\n", chunks)),
        ("CL.CL", post(&format!("{cl}Content-Length: 5\r\n"), "hello")),
        ("CL.CL, the same", post(&format!("{cl}{cl}"), "hell")),
        ("CL twice in a line", post("Content-Length: 4, 4\r\n", "hell")),
        ("CL twice, differing", post("Content-Length: 4, 5\r\n", "hello")),
        ("CL with a sign", post("Content-Length: +4\r\n", "hell")),
        ("CL below zero", post("Content-Length: -4\r\n", "hell")),
        ("CL in hexadecimal", post("Content-Length: 0x4\r\n", "hell")),
        ("CL with underscores", post("Content-Length: 1_0\r\n", "hell")),
        ("CL too large", post("Content-Length: 99999999999999999999\r\n", "hell")),
        ("CL empty", post("Content-Length: \r\n", "")),
        ("CL padded out of sight", post(&format!("Content-Length:{}4\r\n{te}", " ".repeat(80)), chunks)),
        ("space before the colon", post("Content-Length : 4\r\n", "hell")),
        ("TE before the colon", post(&format!("{cl}Transfer-Encoding : chunked\r\n"), chunks)),
        ("TE twice", post(&format!("{te}{te}"), chunks)),
        ("TE unknown", post("Transfer-Encoding: xchunked\r\n", chunks)),
        ("TE then identity", post("Transfer-Encoding: chunked, identity\r\n", chunks)),
        ("TE of two", post("Transfer-Encoding: gzip, chunked\r\n", chunks)),
        ("TE with a tail", post("Transfer-Encoding: chunked;q=1\r\n", chunks)),
        ("TE quoted", post("Transfer-Encoding: \"chunked\"\r\n", chunks)),
        ("TE with a vertical tab", post("Transfer-Encoding: \u{b}chunked\r\n", chunks)),
        ("TE folded", post("Transfer-Encoding:\r\n chunked\r\n", chunks)),
        ("CL folded", post("X: y\r\n Content-Length: 4\r\n", "hell")),
        ("bare LF", post("Content-Length: 4\nX: y\r\n", "hell")),
        ("bare LF before TE", post(&format!("X: y\n{te}{cl}"), chunks)),
        ("bare CR", post("X: y\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", "hell")),
        ("NUL in a value", post("X: a\0b\r\nContent-Length: 4\r\n", "hell")),
        ("NUL in a name", post("X\0: a\r\nContent-Length: 4\r\n", "hell")),
        ("a line without colon", post("Content-Length\r\n", "")),
        ("TE in HTTP/1.0", post(te, chunks).replace("HTTP/1.1", "HTTP/1.0")),
        ("chunk size with a sign", post(te, "+5\r\nhello\r\n0\r\n\r\n")),
        ("chunk size in another base", post(te, "0x5\r\nhello\r\n0\r\n\r\n")),
        ("chunk size too large", post(te, "ffffffffffffffffff5\r\nhello\r\n0\r\n\r\n")),
        ("chunk size with bare LF", post(te, "5\nhello\r\n0\r\n\r\n")),
        ("chunk longer than said", post(te, "3\r\nhello\r\n0\r\n\r\n")),
        (
            "a second request is ambiguous",
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n{}", post(&format!("{te}{cl}"), chunks)),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled() {
    let gateway = Gateway::new().await;
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
            gateway.first.api_key
        )
    };
    let eight = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    for path in ["/v1/messages", eight.as_str()] {
        for (what, bytes) in smuggled(&head(path)) {
            let (answer, closed) = exchange(&gateway, bytes.as_bytes()).await;
            let mut got = statuses(&answer);
            if what.starts_with("a second") {
                assert_eq!(got.remove(0), "200", "{what}");
            }
            assert_eq!(got, ["400"], "{what}: {answer}");
            assert!(closed, "{what}: the connection stays open");
        }
    }
    nothing_happened(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_and_pipelined_requests_are_served() {
    let gateway = Gateway::new().await;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        gateway.first.api_key
    );
    let body = json!({"to": TO, "text": "one\r\ncontent-length: 4\r\n"}).to_string();
    let (start, rest) = body.split_at(10);
    let chunked = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{start}\r\n{:X}\r\n{rest}\r\n0\r\nX: y\r\n\r\n",
        start.len(),
        rest.len()
    );
    let counted = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let all = format!("{chunked}{counted}{chunked}{counted}");
    let (answer, closed) = exchange(&gateway, all.as_bytes()).await;
    let wanted = statuses(&answer);
    assert_eq!((wanted.len(), closed), (4, false), "{answer}");
    assert!(wanted.iter().all(|status| status.starts_with('2')), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_large_body_arrives() {
    let gateway = Gateway::new().await;
    let body = vec![b' '; 3 * 1024 * 1024];
    for (path, token, status) in [
        ("/v1/messages/batch", "nobody", "401"),
        ("/v1/messages", gateway.first.api_key.as_str(), "413"),
        ("/nothing", "nobody", "404"),
    ] {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let next = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let (answer, _) = exchange(&gateway, &[&request[..], next].concat()).await;
        assert_eq!(statuses(&answer), [status, "200"], "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_an_ambiguous_request_says_why() {
    let gateway = Gateway::new().await;
    let both = "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n";
    let (native, _) = exchange(&gateway, format!("POST /v1/messages HTTP/1.1\r\n{both}").as_bytes()).await;
    assert!(
        native.contains("\"code\":\"ambiguous-framing\"") && native.contains("given together"),
        "{native}"
    );
    assert!(native.to_lowercase().contains("connection: close"), "{native}");
    let (eight, _) = exchange(&gateway, format!("POST /api/v1/x HTTP/1.1\r\n{both}").as_bytes()).await;
    assert!(eight.contains("\"code\":1000") && eight.contains("\"errorId\""), "{eight}");
}
