//! What a thief of the data directory can read: no number, no text, no code, no key.

use serde_json::json;

use crate::common::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn no_number_text_code_or_key_stands_in_clear_on_disk() {
    let gateway = Gateway::new().await;
    let text = "the quick brown canary";
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6598765432", "text": text}))).await.expect(201);
    gateway
        .api("POST", "/v1/verifications", Some(json!({"to": "+6591234567", "brand": "Acme"})))
        .await
        .expect(201);
    let consent = json!({"to": "+6591234567", "source": "x", "proof": text, "ip": "203.0.113.77"});
    gateway.api("POST", "/v1/consents", Some(consent)).await.expect(201);
    let said = json!({"from": "+6598765432", "to": "Acme", "text": format!("stop {text}")});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(said)).await.expect(201);
    let code = gateway.code("+6591234567", 1).await;
    let ask = json!({"to": "+6591234567", "client": {"ip": "203.0.113.77"}});
    gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(429);
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let (key, dir) = (gateway.first.api_key.clone(), gateway.dir);
    gateway.running.stop().await;
    let secrets = [text, "98765432", "91234567", &code, "203.0.113.77", &key];
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        files += 1;
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "`{secret}` stands in {}", path.display());
        }
    }
    assert!(files >= 2);
}
