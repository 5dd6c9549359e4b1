//! A number is planted through every interface and erased: no file and no answer knows it afterwards.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::common::Gateway;

const TO: &str = "+6598765432";
const DIGITS: &str = "98765432";

/// The receipt's payload, after its signature was verified with the published keys alone.
pub fn verified(keys: &Value, jws: &str) -> Value {
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("not a JWS: {jws}") };
    let decode = |part: &str| BASE64.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let public = decode(key["x"].as_str().unwrap());
    let signed = jws.rsplit_once('.').unwrap().0;
    UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &decode(signature)).unwrap();
    serde_json::from_slice(&decode(payload)).unwrap()
}

/// Erases the number; the job as it is when nothing is left to do.
async fn erase(gateway: &Gateway) -> Value {
    let erased = gateway.api("DELETE", &format!("/v1/numbers/65{DIGITS}/data"), None).await.expect(202);
    let mut job = erased.clone();
    for _ in 0..100 {
        if job["status"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        job = gateway.api("GET", erased["url"].as_str().unwrap(), None).await.expect(200);
    }
    assert_eq!((&job["status"], &job["id"]), (&json!("done"), &erased["id"]), "{job}");
    job
}

async fn plant(gateway: &Gateway) -> String {
    let sub = gateway.sub();
    let text = json!({"to": TO, "text": "quokka text", "client": {"ip": "203.0.113.77"}});
    let key = [("idempotency-key", "k-1")];
    gateway.api_with("POST", "/v1/messages", Some(text), &key).await.expect(201);
    let session = json!({"destination": TO});
    gateway.api("POST", &format!("/api/v2/subaccounts/{sub}/sessions"), Some(session)).await.expect(200);
    let code = gateway.code(TO, 2).await;
    let wrong = json!({"to": TO, "client": {"ip": "203.0.113.77"}});
    gateway.api("POST", "/v1/verifications", Some(wrong)).await.expect(429);
    let one = json!({"destination": TO, "text": "another quokka"});
    let sent =
        gateway.api("POST", &format!("/api/v1/subaccounts/{sub}/messages"), Some(one)).await.expect(200);
    let later = json!({"to": TO, "text": "a later quokka", "scheduled_at": "2031-01-05T10:00:00Z"});
    let _ = gateway.api("POST", "/v1/messages", Some(later)).await;
    let facts = json!({"msisdn": TO, "ported": true});
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(facts)).await.expect(201);
    gateway.api("GET", &format!("/v1/numbers/65{DIGITS}?type=live"), None).await.expect(200);
    let dry = json!({"to": TO, "purpose": "message", "text": "x", "dry_run": true});
    gateway.api("POST", "/v1/decisions", Some(dry)).await.expect(200);
    gateway
        .admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO, "note": "rang us"})))
        .await
        .expect(201);
    let allow = json!({"value": TO, "expires_at": "never"});
    gateway.admin("POST", "/admin/v1/lists/allow-msisdn/entries", Some(allow)).await.expect(201);
    let consent = json!({"to": TO, "source": "till", "proof": "agreed by a quokka"});
    gateway.api("POST", "/v1/consents", Some(consent)).await.expect(201);
    let unsure = json!({"from": TO, "to": "Acme", "text": "stop the quokka presses, it is a boy"});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(unsure)).await.expect(201);
    assert!(!code.is_empty());
    sent["umid"].as_str().unwrap().to_owned()
}

/// Everything that an operator can read.
async fn answers(gateway: &Gateway) -> String {
    let mut all = String::new();
    let encoded = TO.replace('+', "%2B");
    for path in [
        "decisions?limit=200".to_owned(),
        format!("decisions?msisdn={encoded}"),
        "messages?limit=200".to_owned(),
        format!("messages?msisdn={encoded}"),
        "verifications?limit=200".to_owned(),
        format!("verifications?msisdn={encoded}"),
        "opt-outs".to_owned(),
        "consents/reviews".to_owned(),
        "consents.csv".to_owned(),
        "audit?limit=200".to_owned(),
        "stats/overview".to_owned(),
        "lists/allow-msisdn/entries".to_owned(),
        format!("sandbox/messages?to={encoded}"),
        "sandbox/messages".to_owned(),
    ] {
        let answer = gateway.admin("GET", &format!("/admin/v1/{path}"), None).await;
        assert!(answer.status == 200 || answer.status == 400, "{path}: {}", answer.text);
        all.push_str(&answer.text);
    }
    all
}

fn on_disk(gateway: &Gateway, secret: &str) -> Vec<String> {
    let files = std::fs::read_dir(gateway.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let has = |path: &std::path::PathBuf| {
        std::fs::read(path).unwrap().windows(secret.len()).any(|w| w == secret.as_bytes())
    };
    files.filter(has).map(|path| path.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_number_is_nowhere_and_the_receipt_says_what_was_where() {
    let gateway = Gateway::without_detection().await;
    plant(&gateway).await;
    assert!(answers(&gateway).await.contains(DIGITS), "the test plants what it looks for");
    let job = erase(&gateway).await;
    let keys = gateway.raw("GET", "/.well-known/jwks.json", None, None, &[]).await.expect(200);
    let receipt = verified(&keys, job["receipt"].as_str().unwrap_or_else(|| panic!("{job}")));
    assert_eq!((&receipt["number"], &receipt["id"]), (&json!("+659876xxxx"), &job["id"]));
    let count = |what: &str| receipt["erased"][what].as_u64().unwrap();
    assert!(count("messages") >= 3, "{receipt}");
    for what in [
        "decisions_without_message",
        "idempotent_answers",
        "lookup_answers",
        "allow_entries",
        "sandbox_lookup",
    ] {
        assert!(count(what) >= 1, "{what}: {receipt}");
    }
    assert_eq!((&receipt["kept"][0]["as"], &receipt["kept"][0]["count"]), (&json!("keyed hash"), &json!(1)));
    let shown = answers(&gateway).await;
    assert!(!shown.contains(DIGITS), "{shown}");
    for text in ["quokka", "203.0.113.77", "rang us"] {
        assert!(!shown.contains(text), "`{text}` is still shown");
    }
    assert_eq!(on_disk(&gateway, DIGITS), Vec::<String>::new());
    // What stays in force stays in force.
    let refused = gateway.api("POST", "/v1/messages", Some(json!({"to": TO, "text": "x"}))).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (403, json!("opt-out")));
    // The same request under its key is not sent a second time.
    let body = json!({"to": TO, "text": "quokka text", "client": {"ip": "203.0.113.77"}});
    let again = gateway.api_with("POST", "/v1/messages", Some(body), &[("idempotency-key", "k-1")]).await;
    assert_eq!(again.headers.get("idempotent-replayed").map(String::as_str), Some("true"), "{}", again.text);
    let gateway = gateway.restart().await;
    assert!(!answers(&gateway).await.contains(DIGITS));
    assert_eq!(on_disk(&gateway, DIGITS), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_entry_of_an_erased_number_stays_in_force_as_a_keyed_hash() {
    let gateway = Gateway::without_detection().await;
    let entries = "/admin/v1/lists/deny-msisdn/entries";
    let entry = json!({"value": TO, "note": "quokka fraud"});
    let made = gateway.admin("POST", entries, Some(entry)).await.expect(201);
    let job = erase(&gateway).await;
    let keys = gateway.raw("GET", "/.well-known/jwks.json", None, None, &[]).await.expect(200);
    let receipt = verified(&keys, job["receipt"].as_str().unwrap());
    let kept =
        receipt["kept"].as_array().unwrap().iter().find(|kept| kept["what"] == "deny entries").unwrap();
    assert_eq!((&kept["as"], &kept["count"]), (&json!("keyed hash"), &json!(1)));
    let mut gateway = gateway;
    for restart in [false, true] {
        if restart {
            gateway = gateway.restart().await;
        }
        let shown = gateway.admin("GET", entries, None).await.expect(200)["data"].clone();
        let hash = format!("hash:{}", receipt["number_hash"].as_str().unwrap());
        assert_eq!((&shown[0]["value"], &shown[0]["note"]), (&json!(hash), &Value::Null));
        let refused =
            gateway.api("POST", "/v1/messages", Some(json!({"to": TO, "text": "x"}))).await.expect(403);
        assert_eq!(refused["code"], "deny-entry");
        let other = json!({"to": "+6598765433", "text": "x"});
        gateway.api("POST", "/v1/messages", Some(other)).await.expect(201);
        if restart {
            let found =
                gateway.admin("GET", &format!("{entries}?value=%2B65{DIGITS}"), None).await.expect(200);
            assert_eq!(found["data"][0]["id"], made["id"], "an operator finds it by the number");
            let path = format!("{entries}/{}", made["id"].as_str().unwrap());
            gateway.admin("DELETE", &path, None).await.expect(204);
            gateway.api("POST", "/v1/messages", Some(json!({"to": TO, "text": "x"}))).await.expect(201);
            return;
        }
    }
}

/// A number may be the name of a user or a device, a sender ID, or a range of one.
#[tokio::test(flavor = "multi_thread")]
async fn entries_of_other_lists_that_name_an_erased_number_go_or_stay_in_force_as_a_keyed_hash() {
    let gateway = Gateway::without_detection().await;
    let entries = |effect: &str, kind: &str| format!("/admin/v1/lists/{effect}-{kind}/entries");
    let user = format!("tel:{TO}");
    let denied = [
        ("user", user.as_str(), json!({"to": "+6591111111", "text": "x", "client": {"user_id": user}})),
        ("device", TO, json!({"to": "+6591111112", "text": "x", "client": {"fingerprint": TO}})),
        ("sender_id", &TO[1..], json!({"to": "+6591111113", "text": "x", "source": TO})),
        ("number_range", TO, json!({"to": TO, "text": "x"})),
    ];
    let send =
        async |gateway: &Gateway, body: &Value| gateway.api("POST", "/v1/messages", Some(body.clone())).await;
    for (kind, value, body) in &denied {
        let entry = json!({"value": value, "note": "quokka fraud", "expires_at": "never"});
        gateway.admin("POST", &entries("deny", kind), Some(entry.clone())).await.expect(201);
        assert_eq!(send(&gateway, body).await.expect(403)["code"], "deny-entry", "{kind}");
        gateway.admin("POST", &entries("allow", kind), Some(entry)).await.expect(201);
    }
    // Another user's name is no business of this erasure.
    let other = json!({"value": "tel:+6598765433", "note": "another"});
    gateway.admin("POST", &entries("deny", "user"), Some(other)).await.expect(201);
    let job = erase(&gateway).await;
    let keys = gateway.raw("GET", "/.well-known/jwks.json", None, None, &[]).await.expect(200);
    let receipt = verified(&keys, job["receipt"].as_str().unwrap());
    assert_eq!(receipt["erased"]["allow_entries"], 4, "{receipt}");
    let kept =
        receipt["kept"].as_array().unwrap().iter().find(|kept| kept["what"] == "deny entries").unwrap();
    assert_eq!(kept["count"], 4);
    let mut gateway = gateway;
    for restart in [false, true] {
        if restart {
            gateway = gateway.restart().await;
        }
        for (kind, value, body) in &denied {
            let shown = gateway.admin("GET", &entries("deny", kind), None).await.expect(200);
            let mine =
                shown["data"].as_array().unwrap().iter().find(|entry| entry["note"].is_null()).unwrap();
            assert!(mine["value"].as_str().unwrap().starts_with("hash:"), "{shown}");
            assert!(!shown.to_string().contains(DIGITS) && !shown.to_string().contains("quokka"), "{shown}");
            assert_eq!(send(&gateway, body).await.expect(403)["code"], "deny-entry", "{kind}");
            let path = format!("{}?value={}", entries("deny", kind), value.replace('+', "%2B"));
            let found = gateway.admin("GET", &path, None).await.expect(200);
            assert_eq!(found["data"][0]["id"], mine["id"], "an operator finds it by what it was");
            let gone = gateway.admin("GET", &entries("allow", kind), None).await.expect(200);
            assert_eq!(gone["data"], json!([]));
        }
        let other = json!({"to": "+6591111114", "text": "x", "client": {"user_id": "tel:+6598765432x"}});
        assert_eq!(send(&gateway, &other).await.status, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_key_erases_nothing() {
    let gateway = Gateway::new().await;
    let key = json!({"name": "one", "subaccounts": [gateway.sub()]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let path = format!("/v1/numbers/65{DIGITS}/data");
    gateway.raw("DELETE", &path, key["key"].as_str(), None, &[]).await.expect(403);
    gateway.api("DELETE", "/v1/numbers/nobody/data", None).await.expect(400);
    gateway.api("GET", "/v1/erasures/era_nobody", None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_of_one_message_is_removed_once() {
    let gateway = Gateway::without_detection().await;
    let umid = plant(&gateway).await;
    let path = format!("/api/v1/subaccounts/{}/messages/{umid}/pii", gateway.sub());
    let removed = gateway.api("DELETE", &path, None).await;
    assert_eq!((removed.status, removed.text.as_str()), (202, ""));
    let mut again = gateway.api("DELETE", &path, None).await;
    for _ in 0..50 {
        if again.status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        again = gateway.api("DELETE", &path, None).await;
    }
    assert_eq!((again.status, again.json()["code"].clone()), (404, json!(1300)));
    let shown = answers(&gateway).await;
    assert!(!shown.contains("another quokka") && shown.contains(DIGITS), "only the one message");
    let details = format!("/api/v1/subaccounts/{}/messages/{umid}", gateway.sub());
    let details = gateway.api("GET", &details, None).await.expect(200);
    assert_eq!((&details["country"], &details["msisdn"]), (&json!("SG"), &json!("+999000xxxx")));
}
