//! 8x8's voice paths: virtual numbers, voice webhooks and recordings, held against the schemas that 8x8 publishes.

use serde_json::{Value, json};

use crate::eight_oas::{Run, run};
use crate::masking::{A, B};

const SUB: &str = "/api/v1/subaccounts/{subAccountId}";
const MASK: &str = "+6531580001";

async fn with_a_number() -> Run {
    let run = run().await;
    run.gateway.admin("POST", "/admin/v1/number-pools", Some(json!({"name": "rides"}))).await.expect(201);
    let number = json!({"msisdn": MASK, "pool": "rides"});
    run.gateway.admin("POST", "/admin/v1/virtual-numbers", Some(number)).await.expect(201);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers() {
    let run = with_a_number().await;
    let all = run.call(&format!("GET {SUB}/numbers"), &[], "", None, 200).await;
    assert_eq!((&all["totalNumbers"], &all["statusCode"]), (&json!(1), &json!(0)));
    let number = &all["numbers"][0];
    assert_eq!((&number["msisdn"], &number["countryCode"]), (&json!(MASK), &json!("SG")));
    assert_eq!(
        (&number["operationalStatus"], &number["numberHealth"]["isHealthy"]),
        (&json!("Active"), &json!(true))
    );
    for field in ["dateCreated", "dateUpdated", "referenceId", "uri", "numberHealthCheckEnabled"] {
        assert!(!number[field].is_null(), "{field}");
    }
    let one = format!("GET {SUB}/numbers/{{number}}");
    let known = run.call(&one, &[("{number}", "6531580001")], "", None, 200).await;
    assert_eq!(known["payload"]["msisdn"], MASK);
    // The voice products may have a prefix of their own.
    let path = format!("/voice/api/v1/subaccounts/{}/numbers", run.gateway.sub());
    assert_eq!(run.gateway.api("GET", &path, None).await.expect(200)["totalNumbers"], 1);
    for unknown in ["6531580002", "1"] {
        let path = format!("/api/v1/subaccounts/{}/numbers/{unknown}", run.gateway.sub());
        let missing = run.gateway.api("GET", &path, None).await.expect(404);
        assert!(
            missing["statusCode"].is_i64()
                && missing["statusMessage"].is_string()
                && missing["timestamp"].is_string()
        );
    }
    run.gateway.raw("GET", &path, None, None, &[]).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks() {
    let run = with_a_number().await;
    let (list, set) = (format!("GET {SUB}/webhooks"), format!("POST {SUB}/webhooks"));
    assert_eq!(run.call(&list, &[], "", None, 200).await["count"], 0);
    let hook = json!({"type": "VCS", "url": "http://127.0.0.1:9/one", "httpAuthHeader": "mdp1234"});
    let made = run.call(&set, &[], "", Some(hook), 200).await;
    let shown = json!({"type": "VCS", "url": "http://127.0.0.1:9/one", "enabled": true, "httpAuthHeaderAvailable": true});
    assert_eq!((&made["count"], &made["webhooks"][0]), (&json!(1), &shown));
    let again = json!({"type": "VCS", "url": "http://127.0.0.1:9/two", "enabled": false});
    let changed = run.call(&set, &[], "", Some(again), 200).await;
    let shown = json!({"type": "VCS", "url": "http://127.0.0.1:9/two", "enabled": false, "httpAuthHeaderAvailable": false});
    assert_eq!((&changed["count"], &changed["webhooks"][0]), (&json!(1), &shown));
    for kind in ["VCA", "VSS", "VRU", "VNU"] {
        run.call(&set, &[], "", Some(json!({"type": kind, "url": "http://127.0.0.1:9/"})), 200).await;
    }
    assert_eq!(run.call(&list, &[], "", None, 200).await["count"], 5);
    let path = format!("/api/v1/subaccounts/{}/webhooks", run.gateway.sub());
    for wrong in [
        json!({"type": "XYZ", "url": "http://127.0.0.1:9/"}),
        json!({"type": "VCA"}),
        json!({"type": "VCA", "url": "ftp://x"}),
        json!({"type": "VCA", "url": "http://127.0.0.1:9/", "enabled": "yes"}),
        json!([]),
    ] {
        let refused = run.gateway.api("POST", &path, Some(wrong.clone())).await.expect(422);
        assert!(
            refused["statusCode"].is_string() && refused["statusMessage"].is_string(),
            "{wrong}: {refused}"
        );
    }
    let delete = format!("DELETE {SUB}/webhooks/{{webhook-type}}");
    let gone = run.call(&delete, &[("{webhook-type}", "VCS")], "", None, 200).await;
    assert_eq!((&gone["type"], &gone["statusMessage"]), (&json!("VCS"), &json!("deleted")));
    run.gateway.api("DELETE", &format!("{path}/VCS"), None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings() {
    let run = with_a_number().await;
    let wish = json!({"a": A, "b": B, "record": true});
    let session = run.gateway.api("POST", "/v1/masking/sessions", Some(wish)).await.expect(201);
    let hook = |kind: &str, more: Value| {
        let mut payload = json!({"sessionId": "s-1", "source": A, "destination": MASK});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"namespace": "VOICE", "eventType": kind, "payload": payload})
    };
    let voice = "/v1/masking/calls/8x8";
    let flow = run.gateway.api("POST", voice, Some(hook("CALL_ACTION", json!({})))).await.expect(200);
    let id = flow["clientActionId"].as_str().unwrap();
    let of = format!("GET {SUB}/recordings/{{sessionId}}");
    assert_eq!(run.call(&of, &[("{sessionId}", id)], "", None, 200).await["recordings"], json!([]));
    let file = json!({"recordingId": "r1", "status": "UPLOAD_COMPLETED", "externalFileUrl": "https://files.example/r1.mp3", "duration": 12});
    run.gateway.api("POST", voice, Some(hook("CALL_RECORDING_STATUS", file))).await.expect(200);
    let shown = run.call(&of, &[("{sessionId}", id)], "", None, 200).await;
    assert_eq!(
        (&shown["recordings"][0]["status"], &shown["recordings"][0]["duration"]),
        (&json!("UPLOAD_COMPLETED"), &json!(12))
    );
    let path = format!("/api/v1/subaccounts/{}", run.gateway.sub());
    let unknown = format!("{path}/recordings/00000000-0000-0000-0000-000000000000");
    run.gateway.api("GET", &unknown, None).await.expect(404);
    // Recordings are not pushed from here, and that is said.
    run.gateway.api("GET", &format!("{path}/recording-push-config"), None).await.expect(404);
    let config =
        json!({"protocol": "S3", "host": "x", "port": 1, "username": "u", "password": "p", "path": "/"});
    run.call(&format!("POST {SUB}/recording-push-config"), &[], "", Some(config), 422).await;
    assert!(session["record"].as_bool().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_calls_is_a_file() {
    let run = with_a_number().await;
    let session = json!({"a": A, "b": B, "reference": "ride 7"});
    run.gateway.api("POST", "/v1/masking/sessions", Some(session)).await.expect(201);
    let base = format!("/voice/api/v1/subaccounts/{}/messages/exports", run.gateway.sub());
    let exported = async |body: Value, status: &str| {
        let begun = run.gateway.api("POST", &base, Some(body)).await;
        run.check("POST /api/v1/subaccounts/{subAccountId}/messages/exports", &begun, 202);
        let at = format!("{base}/{}", begun.json()["jobId"].as_str().unwrap());
        for _ in 0..200 {
            let now = run.gateway.api("GET", &at, None).await;
            run.check("GET /api/v1/subaccounts/{subAccountId}/messages/exports/{jobId}", &now, 200);
            if now.json()["status"] == status {
                return (at, now.json());
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("it is never {status}");
    };
    exported(json!({}), "empty").await;
    // A call that went through, one that belongs to nobody's session, one that said something, and a message.
    for (id, from) in [("c1", A), ("c2", "+6590000001")] {
        let call = json!({"call_id": id, "from": from, "to": MASK});
        run.gateway.api("POST", "/v1/masking/calls/route", Some(call)).await.expect(200);
    }
    for event in ["answered", "ended"] {
        run.gateway.advance("30s").await;
        let body = json!({"call_id": "c1", "event": event});
        run.gateway.api("POST", "/v1/masking/calls/events", Some(body)).await.expect(204);
    }
    let make = json!({"action": "makeCall", "params": {"source": MASK, "destination": B}});
    let say = json!({"action": "say", "params": {"text": "=cmd", "voiceProfile": "en-GB-Emma"}});
    let path = format!("/api/v1/subaccounts/{}/callflows", run.gateway.sub());
    run.gateway.api("POST", &path, Some(json!({"callflow": [make, say]}))).await.expect(200);
    run.gateway.api("POST", "/v1/messages", Some(json!({"to": B, "text": "x"}))).await.expect(201);
    run.gateway.phone(B, 2).await;
    run.gateway.advance("1s").await;
    let (at, done) = exported(json!({}), "succeeded").await;
    let url = done["data"][0].as_str().unwrap().to_owned();
    assert!(url.contains("/voice/api/v1/"), "{url}");
    let tail = url.split_once("/voice").map(|(_, tail)| format!("/voice{tail}")).unwrap();
    let file = run.gateway.api("GET", &tail, None).await;
    assert_eq!(file.status, 200, "{}", file.text);
    let lines: Vec<Vec<&str>> = file.text.trim_end().lines().map(|line| line.split(',').collect()).collect();
    assert!(lines.iter().all(|line| line.len() == 35), "{}", file.text);
    let (status, product) = (30, 21);
    let shown: Vec<(&str, &str, &str)> =
        lines[1..].iter().map(|line| (line[4], line[status], line[product])).collect();
    let masking = "Number Masking";
    for wanted in [
        ("inbound", "COMPLETED", masking),
        ("outbound", "COMPLETED", masking),
        ("outbound", "COMPLETED", "Voice Messaging"),
    ] {
        assert!(shown.contains(&wanted), "{wanted:?} in {shown:?}");
    }
    assert_eq!(shown.len(), 3, "{}", file.text);
    let spoken = lines.iter().find(|line| line[4] == "inbound" && line[status] == "COMPLETED").unwrap();
    assert_eq!((spoken[20], spoken[16], spoken[12]), ("30", "6531580001", "SG"), "{spoken:?}");
    for party in [A, B, "6590000001"] {
        assert!(!file.text.contains(party.trim_start_matches('+')), "{}", file.text);
    }
    // Messages and calls do not see each other's exports.
    run.gateway.api("GET", &at.replace("/voice", ""), None).await.expect(404);
    run.gateway.api("GET", &tail.replace("/voice", ""), None).await.expect(404);
    let limited = exported(json!({"limit": 1}), "succeeded").await.1["data"][0].as_str().unwrap().to_owned();
    let tail = limited.split_once("/voice").map(|(_, tail)| format!("/voice{tail}")).unwrap();
    assert!(run.gateway.api("GET", &tail, None).await.text.lines().count() <= 3);
    run.gateway.api("DELETE", &at, None).await.expect(204);
    run.gateway.api("GET", &at, None).await.expect(404);
    run.gateway.raw("POST", &base, None, Some("{}"), &[]).await.expect(401);
}
