//! A code from start to end through the native API.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

async fn start(gateway: &Gateway, body: Value) -> Value {
    gateway.api("POST", "/v1/verifications", Some(body)).await.expect(201)
}

async fn check(gateway: &Gateway, id: &str, code: &str) -> Answer {
    gateway.api("POST", &format!("/v1/verifications/{id}/check"), Some(json!({"code": code}))).await
}

fn id(body: &Value) -> &str {
    body["id"].as_str().unwrap()
}

/// A code that is not this one.
fn other(code: &str) -> String {
    code.chars()
        .map(|c| if c == '9' { '0' } else { char::from_digit(c.to_digit(10).unwrap() + 1, 10).unwrap() })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_looked_at_and_confirmed_once() {
    let gateway = Gateway::new().await;
    let client = json!({"ip": "203.0.113.7", "user_id": "u1"});
    let ask = json!({"to": "6591234567", "brand": "Acme", "purpose": "login", "client": client});
    let started = start(&gateway, ask).await;
    assert_eq!(
        (&started["status"], &started["to"], &started["channel"]),
        (&json!("pending"), &json!(TO), &json!("sms"))
    );
    assert_eq!(started["attempts_left"], 5);
    assert!(started["retry_after_at"].as_str().unwrap() > started["created_at"].as_str().unwrap());
    let text = gateway.phone(TO, 1).await[0]["text"].as_str().unwrap().to_owned();
    let code = gateway.code(TO, 1).await;
    assert_eq!(text, format!("Acme: Your verification code is {code}"));
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()));
    let wrong = check(&gateway, id(&started), &other(&code)).await.expect(200);
    assert_eq!(wrong, json!({"status": "pending", "attempts_left": 4}));
    let right = check(&gateway, id(&started), &format!(" {code} ")).await.expect(200);
    assert_eq!((&right["status"], &right["attempts_left"]), (&json!("verified"), &json!(4)));
    assert!(right["device_token"].as_str().unwrap().starts_with("dt_"));
    let again = check(&gateway, id(&started), &code).await.expect(409);
    assert_eq!(
        (&again["code"], &again["verification_status"]),
        (&json!("verification-ended"), &json!("verified"))
    );
    let looked = gateway.api("GET", &format!("/v1/verifications/{}", id(&started)), None).await.expect(200);
    assert_eq!(looked["status"], "verified");
    assert!(looked["verified_at"].is_string() && looked.get("code").is_none());
    let message =
        gateway.api("GET", &format!("/v1/messages/{}", started["message_id"].as_str().unwrap()), None).await;
    let message = message.expect(200);
    assert_eq!((&message["state"], &message["verification_id"]), (&json!("delivered"), &started["id"]));
    assert!(!message.to_string().contains(&code));
    let path = format!("/v1/decisions/{}", started["decision_id"].as_str().unwrap());
    let decision = gateway.api("GET", &path, None).await.expect(200);
    assert_eq!((&decision["verdict"], &decision["client_ip"]), (&json!("allow"), &json!("203.0.113.7")));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_shaped_as_asked() {
    let gateway = Gateway::new().await;
    let ask = json!({"to": TO, "code_length": 8, "code_type": "alphanumeric_capitals",
        "template": "{code} is it"});
    let started = start(&gateway, ask).await;
    let text = gateway.phone(TO, 1).await[0]["text"].as_str().unwrap().to_owned();
    let code = text.strip_suffix(" is it").unwrap();
    assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{code}");
    // What a person types in small letters is the same code.
    check(&gateway, id(&started), &code.to_lowercase()).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_code_is_worth_nothing() {
    let gateway = Gateway::new().await;
    let started = start(&gateway, json!({"to": TO, "ttl": "60s"})).await;
    let code = gateway.code(TO, 1).await;
    gateway.advance("60s").await;
    let late = check(&gateway, id(&started), &code).await.expect(409);
    assert_eq!(late["verification_status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_verification_takes_no_code() {
    let gateway = Gateway::new().await;
    let started = start(&gateway, json!({"to": TO})).await;
    let code = gateway.code(TO, 1).await;
    let path = format!("/v1/verifications/{}", id(&started));
    assert_eq!(gateway.api("DELETE", &path, None).await.expect(200)["status"], "canceled");
    assert_eq!(gateway.api("DELETE", &path, None).await.expect(200)["status"], "canceled");
    assert_eq!(check(&gateway, id(&started), &code).await.expect(409)["verification_status"], "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_repeats_the_code_and_not_its_wrong_ones() {
    let gateway = Gateway::new().await;
    let started = start(&gateway, json!({"to": TO})).await;
    let code = gateway.code(TO, 1).await;
    check(&gateway, id(&started), &other(&code)).await.expect(200);
    gateway.advance("21s").await;
    let again = start(&gateway, json!({"to": TO})).await;
    assert_eq!((&again["id"], &again["attempts_left"]), (&started["id"], &json!(4)));
    assert_ne!(again["message_id"], started["message_id"]);
    assert_eq!(gateway.code(TO, 2).await, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_guesses_at_once_only_five_are_looked_at() {
    let gateway = Gateway::new().await;
    let started = start(&gateway, json!({"to": TO})).await;
    let wrong = other(&gateway.code(TO, 1).await);
    let guesses = (0..200).map(|_| check(&gateway, id(&started), &wrong));
    let answers = futures_util::future::join_all(guesses).await;
    let count = |status: u16| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((count(200), count(429)), (5, 195));
    let failed = answers.iter().filter(|a| a.status == 200 && a.json()["status"] == "failed").count();
    assert_eq!(failed, 1);
    let late = answers.iter().find(|a| a.status == 429).unwrap();
    assert_eq!(late.json()["code"], "check-budget-exhausted");
    assert!(late.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_starts_at_once_stop_at_the_limit() {
    let gateway = Gateway::without_detection().await;
    let ask = |n: u32| json!({"to": format!("+65912{n:05}"), "client": {"ip": "203.0.113.9"}});
    let starts = (0..200).map(|n| gateway.api("POST", "/v1/verifications", Some(ask(n))));
    let answers = futures_util::future::join_all(starts).await;
    let count = |status: u16| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((count(201), count(429)), (20, 180), "the built-in limit is 20 an hour and address");
}
