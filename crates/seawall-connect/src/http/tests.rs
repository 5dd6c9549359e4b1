//! The described provider against a mock server.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{body_string, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{build, check};
use crate::testing::{message, surroundings};
use crate::{ErrorClass, Submission};

pub(super) fn merged(base: Value, more: Value) -> Value {
    let (mut base, more) = (base, more);
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

pub(super) fn minimal(url: &str) -> Value {
    json!({"url": url, "body": {"to": "{to}", "text": "{text}"}, "message_id": "/messages/0/id"})
}

async fn submit(answer: ResponseTemplate, more: Value) -> Submission {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let settings = merged(minimal(&server.uri()), more);
    build(&settings, surroundings().0).unwrap().submit(&message("Your code is \"1\"")).await
}

fn accepted(reference: Option<&str>) -> Submission {
    Submission::Accepted { reference: reference.map(str::to_owned), delivered: false }
}

#[tokio::test]
async fn sends_json_with_headers_and_reads_the_id() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/send"))
        .and(header("content-type", "application/json"))
        .and(header("authorization", "Bearer t0ken"))
        .and(body_string(r#"{"text":"Your code is \"1\"","to":"+6591234567"}"#))
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({"messages": [{"id": 77}]})))
        .mount(&server)
        .await;
    let settings = merged(
        minimal(&format!("{}/send", server.uri())),
        json!({"headers": {"Authorization": "Bearer {secret:token}"}, "secrets": {"token": "t0ken"}}),
    );
    let connector = build(&settings, surroundings().0).unwrap();
    assert_eq!(connector.submit(&message("Your code is \"1\"")).await, accepted(Some("77")));
}

#[tokio::test]
async fn sends_forms_and_queries_escaped() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(body_string("to=6591234567&msg=a%26b%20%2B"))
        .respond_with(ResponseTemplate::new(200).set_body_string(" abc \n"))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(query_param("text", "a&b +"))
        .respond_with(ResponseTemplate::new(200).insert_header("x-id", "h1"))
        .mount(&server)
        .await;
    let form =
        json!({"url": server.uri(), "body": "to={to_digits}&msg={text}", "message_id": {"text": true}});
    let query = json!({
        "url": format!("{}/?to={{to}}&text={{text}}", server.uri()), "method": "GET",
        "message_id": {"header": "X-Id"},
    });
    for (settings, reference) in [(form, "abc"), (query, "h1")] {
        let connector = build(&settings, surroundings().0).unwrap();
        assert_eq!(connector.submit(&message("a&b +")).await, accepted(Some(reference)));
    }
}

#[tokio::test]
async fn statuses_have_a_meaning_of_their_own() {
    for (status, expected) in [
        (400, Some(ErrorClass::Rejected)),
        (401, Some(ErrorClass::Denied)),
        (402, Some(ErrorClass::InsufficientCredit)),
        (302, Some(ErrorClass::ProviderFault)),
        (500, None),
        (503, None),
    ] {
        let answer = ResponseTemplate::new(status).insert_header("location", "/elsewhere");
        match (submit(answer, json!({})).await, expected) {
            (Submission::Refused { class, .. }, Some(expected)) => assert_eq!(class, expected, "{status}"),
            (Submission::Unknown { .. }, None) => {}
            (other, _) => panic!("{status}: {other:?}"),
        }
    }
    let slow = ResponseTemplate::new(429).insert_header("retry-after", "7");
    let expected = Submission::Throttled { retry_after: Duration::from_secs(7) };
    assert_eq!(submit(slow, json!({})).await, expected);
}

#[tokio::test]
async fn described_errors_come_first() {
    let rules = json!({"errors": [
        {"status": 503, "class": "throttled"},
        {"status": "5xx", "class": "provider-fault"},
        {"pointer": "/messages/0/status", "equals": ["9", 10], "class": "insufficient-credit"},
        {"pointer": "/messages/0/status", "not": "0", "class": "content-filtered"},
    ]});
    let answer = |status: Value| json!({"messages": [{"status": status, "id": "m1"}]});
    for (status, body, expected) in [
        (503, json!({}), None),
        (500, json!({}), Some(ErrorClass::ProviderFault)),
        (200, answer(json!("9")), Some(ErrorClass::InsufficientCredit)),
        (200, answer(json!(10)), Some(ErrorClass::InsufficientCredit)),
        (200, answer(json!("3")), Some(ErrorClass::ContentFiltered)),
    ] {
        match (submit(ResponseTemplate::new(status).set_body_json(&body), rules.clone()).await, expected) {
            (Submission::Refused { class, .. }, Some(expected)) => {
                assert_eq!(class, expected, "{status} {body}")
            }
            (Submission::Throttled { .. }, None) => {}
            (other, _) => panic!("{status} {body}: {other:?}"),
        }
    }
    let fine = ResponseTemplate::new(200).set_body_json(answer(json!("0")));
    assert_eq!(submit(fine, rules).await, accepted(Some("m1")));
}

#[tokio::test]
async fn silence_after_the_request_is_unknown_and_no_connection_is_unreachable() {
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(5));
    let outcome = submit(late, json!({"timeout_seconds": 0.2})).await;
    assert!(matches!(outcome, Submission::Unknown { .. }), "{outcome:?}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let connector = build(&minimal(&format!("http://{closed}")), surroundings().0).unwrap();
    let outcome = connector.submit(&message("hi")).await;
    assert!(matches!(outcome, Submission::Unreachable { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
        }
    });
    let connector = build(&minimal(&url), surroundings().0).unwrap();
    let outcome = connector.submit(&message("hi")).await;
    assert!(matches!(outcome, Submission::Unknown { .. }), "{outcome:?}");
    server.abort();
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let long = ResponseTemplate::new(200).set_body_bytes(vec![b' '; 70_000]);
    let outcome = submit(long, json!({})).await;
    assert!(matches!(outcome, Submission::Unknown { .. }), "{outcome:?}");
    let plain = ResponseTemplate::new(200).set_body_string("<html>");
    assert_eq!(submit(plain, json!({})).await, accepted(None));
}

#[test]
fn settings_are_checked_and_errors_name_the_key() {
    let url = "https://sms.example/send";
    assert_eq!(check(&minimal(url)), Ok(()));
    assert_eq!(check(&super::callback_tests::receipts()), Ok(()));
    for (more, part) in [
        (json!({"url": "http://sms.example"}), "settings.url: must be https"),
        (json!({"url": "ftp://sms.example"}), "settings.url"),
        (json!({"methode": "GET"}), "did you mean \"method\""),
        (json!({"method": "GET"}), "settings.body"),
        (json!({"body": "{\"to\": {to}, \"text\": \"{text}\"}"}), "not JSON once filled in"),
        (json!({"body": "to={too}"}), "did you mean \"to\""),
        (json!({"body": {"x": 1}}), "settings.body"),
        (json!({"headers": {"a b": "c"}}), "settings.headers.a b"),
        (json!({"headers": {"x": "{text}"}}), "settings.headers.x"),
        (json!({"headers": {"x": "{secret:nope}"}}), "not under secrets"),
        (json!({"message_id": "messages"}), "JSON pointer"),
        (json!({"errors": [{"status": "6xx", "class": "denied"}]}), "settings.errors[0].status"),
        (json!({"errors": [{"status": 400, "class": "denid"}]}), "did you mean \"denied\""),
        (json!({"errors": [{"class": "denied"}]}), "must ask something"),
        (json!({"receipts": {"reference": "/id", "state": "/s"}}), "settings.receipts.states"),
    ] {
        let error = check(&merged(minimal(url), more)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(check(&merged(minimal("http://sms.example"), json!({"allow_http": true}))), Ok(()));
    assert_eq!(check(&merged(minimal(url), json!({"headers": {"x": "env:NOT_SET_YET"}}))), Ok(()));
}
