//! Numbers for tests: a code of their own, or an outcome of their own.

use serde_json::json;

use crate::common::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn a_test_number_has_its_code_for_a_while_and_nothing_is_sent() {
    let gateway = Gateway::new().await;
    let to = "+447700900123";
    let until = gateway.running.app.now().plus(std::time::Duration::from_secs(3600)).to_rfc3339();
    let made =
        json!({"msisdn": "+44 7700 900123", "code": "246810", "expires_at": until, "note": "app review"});
    let made = gateway.admin("POST", "/admin/v1/test-numbers", Some(made)).await.expect(201);
    assert_eq!(made["msisdn"], to);
    assert!(made.get("code").is_none(), "a code is never shown");
    let verify = |code: &'static str| {
        let gateway = &gateway;
        async move {
            let begun = gateway.api("POST", "/v1/verifications", Some(json!({"to": to}))).await.expect(201);
            let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
            let checked = gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
            (begun, checked["status"].clone())
        }
    };
    let (_, status) = verify("246810").await;
    assert_eq!(status, "verified");
    let messages = gateway.admin("GET", "/admin/v1/messages?limit=1", None).await.expect(200);
    let id = messages["data"][0]["id"].as_str().unwrap().to_owned();
    let message = gateway.message_in(&id, "delivered").await;
    assert_eq!(message["attempts"][0]["provider"], "test-number");
    gateway.advance("2h").await;
    let (_, status) = verify("246810").await;
    assert_eq!(status, "pending", "an ordinary number again");
    let messages = gateway.admin("GET", "/admin/v1/messages?limit=1", None).await.expect(200);
    let sent = gateway.message_in(messages["data"][0]["id"].as_str().unwrap(), "delivered").await;
    assert_eq!(sent["attempts"][0]["provider"], "sandbox");
    let audit = gateway.admin("GET", "/admin/v1/audit?limit=10", None).await.expect(200);
    assert!(!audit.to_string().contains("246810"), "{audit}");
    let forever = json!({"msisdn": to, "code": "246810", "expires_at": "2099-01-01T00:00:00Z"});
    let wrong = gateway.admin("POST", "/admin/v1/test-numbers", Some(forever)).await.expect(400);
    assert_eq!(wrong["field"], "expires_at");
}

#[tokio::test(flavor = "multi_thread")]
async fn magic_numbers_end_as_they_say() {
    let gateway = Gateway::new().await;
    for (to, state) in
        [("+447700900001", "delivered"), ("+447700900002", "unknown"), ("+447700900008", "failed")]
    {
        let sent =
            gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hello"}))).await.expect(201);
        gateway.message_in(sent["id"].as_str().unwrap(), state).await;
    }
}
