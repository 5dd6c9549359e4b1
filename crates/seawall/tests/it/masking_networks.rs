//! Masked calls over 8x8's and Twilio's webhooks, and an app that keeps the pairing itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{Answer, Gateway};
use crate::masking::{A, B, event, gateway, gateway_with, open};

fn vca(session: &str, from: &str, to: &str) -> Value {
    json!({"namespace": "VOICE", "eventType": "CALL_ACTION", "description": "Action request of a call", "payload": {
        "eventId": "1", "callId": "2", "sessionId": session, "subAccountId": "x", "callStatus": "CALL_RECEIVED",
        "callDirection": "INBOUND", "callType": "PSTN", "source": from, "destination": to, "sourceFormat": "MSISDN",
        "destinationFormat": "MSISDN", "callDuration": 0, "sipCode": 200, "timestamp": "2026-01-01T00:00:00Z"}})
}

async fn eight(gateway: &Gateway, body: Value) -> Value {
    gateway.api("POST", "/v1/masking/calls/8x8", Some(body)).await.expect(200)
}

fn status(session: &str, kind: &str, more: Value) -> Value {
    let mut payload = json!({"sessionId": session});
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"namespace": "VOICE", "eventType": kind, "payload": payload})
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_asks_and_is_answered_with_a_call_flow() {
    let gateway = gateway(1).await;
    let session = open(&gateway, json!({"record": true})).await.expect(201);
    let mask = session["number"].as_str().unwrap();
    let flow = eight(&gateway, vca("s-1", A, mask)).await;
    assert_eq!(flow["callflow"][0]["action"], "say");
    let params = json!({"source": mask, "destination": B, "callRecording": true});
    assert_eq!(flow["callflow"][1], json!({"action": "makeCall", "params": params}));
    let connected = json!({"callStatus": "CALL_CONNECTED", "callDirection": "OUTBOUND"});
    eight(&gateway, status("s-1", "CALL_STATUS", connected)).await;
    eight(&gateway, status("s-1", "SESSION_SUMMARY", json!({"sessionStatus": "COMPLETED"}))).await;
    let file = json!({"recordingId": "r1", "status": "UPLOAD_COMPLETED", "externalFileUrl": "https://files.example/r1.mp3",
        "duration": 12, "startRecordingTime": "2026-01-01T00:00:00Z"});
    eight(&gateway, status("s-1", "CALL_RECORDING_STATUS", file)).await;
    let path = format!("/v1/masking/sessions/{}/calls", session["id"].as_str().unwrap());
    let call = gateway.api("GET", &path, None).await.expect(200)["data"][0].clone();
    assert_eq!(
        (&call["via"], &call["result"], &call["from"]),
        (&json!("8x8"), &json!("completed"), &json!("a"))
    );
    assert_eq!(
        (&call["recordings"][0]["status"], &call["recordings"][0]["seconds"]),
        (&json!("ready"), &json!(12))
    );
    let flow = eight(&gateway, vca("s-2", "+6590000001", mask)).await;
    assert_eq!(
        (&flow["callflow"][0]["action"], &flow["callflow"][1]["action"]),
        (&json!("say"), &json!("hangup"))
    );
    for (session, status_word, result) in
        [("s-3", "BUSY", "busy"), ("s-4", "NO_ANSWER", "no_answer"), ("s-5", "CANCELED", "canceled")]
    {
        eight(&gateway, vca(session, B, mask)).await;
        eight(&gateway, status(session, "SESSION_SUMMARY", json!({"sessionStatus": status_word}))).await;
        let call = gateway.api("GET", &path, None).await.expect(200)["data"][0].clone();
        assert_eq!((&call["result"], &call["from"]), (&json!(result), &json!("b")));
    }
    gateway
        .raw("POST", "/v1/masking/calls/8x8", None, Some(&vca("s-6", A, mask).to_string()), &[])
        .await
        .expect(401);
}

const TOKEN: &str = "a twilio auth token";
const PUBLIC: &str = "https://gateway.example.com";

fn form(pairs: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://x.invalid/").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap().to_owned()
}

async fn twilio(gateway: &Gateway, path: &str, token: &str, pairs: &[(&str, &str)]) -> Answer {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let fields: String = sorted.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{PUBLIC}{path}{fields}").as_bytes()));
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    gateway.raw("POST", path, None, Some(&form(pairs)), &headers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_asks_with_a_signature_and_is_answered_in_twiml() {
    let settings = [("SEAWALL_VOICE__TWILIO_AUTH_TOKEN", TOKEN), ("SEAWALL_VOICE__PUBLIC_URL", PUBLIC)];
    let gateway = gateway_with(1, &settings).await;
    let said = json!({"announcements": {"recording": "<Tom & \"Jerry\"> record"}});
    gateway.admin("PATCH", "/admin/v1/number-pools/rides", Some(said)).await.expect(200);
    let session = open(&gateway, json!({"record": true})).await.expect(201);
    let mask = session["number"].as_str().unwrap();
    let calls = "/v1/masking/calls/twilio";
    let ask = [("CallSid", "CA1"), ("From", A), ("To", mask), ("CallStatus", "ringing")];
    let answer = twilio(&gateway, calls, TOKEN, &ask).await;
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "text/xml; charset=utf-8"),
        "{}",
        answer.text
    );
    let back = format!("{PUBLIC}{calls}");
    let dial = format!(
        "<Dial callerId=\"{mask}\" action=\"{back}\" timeout=\"30\" record=\"record-from-answer\" \
         recordingStatusCallback=\"{back}\"><Number>{B}</Number></Dial>"
    );
    assert!(answer.text.contains(&dial), "{}", answer.text);
    assert!(answer.text.contains("<Say language=\"en-US\">&lt;Tom &amp; &quot;Jerry&quot;&gt; record</Say>"));
    let dialed = [
        ("CallSid", "CA1"),
        ("From", A),
        ("To", mask),
        ("CallStatus", "in-progress"),
        ("DialCallStatus", "completed"),
        ("DialCallDuration", "12"),
    ];
    assert!(twilio(&gateway, calls, TOKEN, &dialed).await.text.contains("<Response><Hangup/></Response>"));
    let file = [
        ("CallSid", "CA1"),
        ("RecordingSid", "RE1"),
        ("RecordingStatus", "completed"),
        ("RecordingUrl", "https://api.twilio.example/RE1"),
        ("RecordingDuration", "11"),
    ];
    twilio(&gateway, calls, TOKEN, &file).await;
    let path = format!("/v1/masking/sessions/{}/calls", session["id"].as_str().unwrap());
    let call = gateway.api("GET", &path, None).await.expect(200)["data"][0].clone();
    assert_eq!((&call["via"], &call["result"]), (&json!("twilio"), &json!("completed")));
    assert_eq!(call["recordings"][0]["id"], "RE1");
    let stranger =
        twilio(&gateway, calls, TOKEN, &[("CallSid", "CA2"), ("From", "+6590000001"), ("To", mask)]).await;
    assert!(
        stranger.text.contains("not in service") && stranger.text.contains("<Hangup/>"),
        "{}",
        stranger.text
    );
    twilio(&gateway, calls, "another token", &ask).await.expect(403);
    let unsigned = [("content-type", "application/x-www-form-urlencoded")];
    gateway.raw("POST", calls, None, Some(&form(&ask)), &unsigned).await.expect(403);
    let text = [("MessageSid", "SM1"), ("From", B), ("To", mask), ("Body", "On my way")];
    twilio(&gateway, "/v1/masking/messages/twilio", "another token", &text).await.expect(403);
    assert_eq!(twilio(&gateway, "/v1/masking/messages/twilio", TOKEN, &text).await.status, 200);
    let got = gateway.phone(A, 1).await;
    assert_eq!((&got[0]["text"], &got[0]["from"]), (&json!("On my way"), &json!(mask)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_is_believed() {
    let gateway = gateway(1).await;
    let answer =
        twilio(&gateway, "/v1/masking/calls/twilio", "", &[("CallSid", "CA1"), ("From", A), ("To", B)]).await;
    assert_eq!(answer.expect(403)["code"], "signature-wrong");
}

/// An app that uses us as it uses 8x8: no sessions here, its own pairing behind a call action webhook.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_keeps_the_pairing_is_asked() {
    let gateway = gateway(1).await;
    let own = json!({"subaccount_id": gateway.sub()});
    gateway.admin("PATCH", "/admin/v1/number-pools/rides", Some(own)).await.expect(200);
    let mask = "+6531580000";
    let server = MockServer::start().await;
    let flow = json!({"clientActionId": "x", "callflow": [{"action": "makeCall", "params": {"source": mask, "destination": B}}]});
    Mock::given(method("POST"))
        .and(header("authorization", "hush"))
        .and(body_string_contains("CALL_ACTION"))
        .and(body_string_contains(A))
        .respond_with(ResponseTemplate::new(200).set_body_json(flow))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .mount(&server)
        .await;
    let hooks = format!("/api/v1/subaccounts/{}/webhooks", gateway.sub());
    for kind in ["VCA", "VCS", "VSS"] {
        let hook = json!({"type": kind, "url": format!("{}/hook", server.uri()), "httpAuthHeader": "hush"});
        gateway.api("POST", &hooks, Some(hook)).await.expect(200);
    }
    let body = json!({"call_id": "c1", "from": A, "to": mask});
    let answer = gateway.api("POST", "/v1/masking/calls/route", Some(body)).await.expect(200);
    assert_eq!(
        (&answer["action"], &answer["to"], &answer["caller_id"]),
        (&json!("connect"), &json!(B), &json!(mask))
    );
    let over = json!({"call_id": "c1", "event": "ended", "code": 486});
    gateway.api("POST", "/v1/masking/calls/events", Some(over)).await.expect(204);
    let summary = event(&server, "SESSION_SUMMARY").await;
    assert_eq!((&summary["sessionStatus"], &summary["callCount"]), (&json!("BUSY"), &json!(2)));
    assert_eq!(
        (&summary["details"]["callA"]["destination"], &summary["details"]["callB"]["source"]),
        (&json!(mask), &json!(mask))
    );
    assert_eq!(event(&server, "CALL_STATUS").await["sessionId"], summary["sessionId"]);
    let body = json!({"call_id": "c2", "from": "+6590000001", "to": mask});
    let answer = gateway.api("POST", "/v1/masking/calls/route", Some(body)).await.expect(200);
    assert_eq!(answer["reason"], "no-session", "it said nothing about that caller");
    // What the app says is screened like everything else.
    let entry = json!({"value": B});
    gateway.admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(entry)).await.expect(201);
    let body = json!({"call_id": "c3", "from": A, "to": mask});
    let answer = gateway.api("POST", "/v1/masking/calls/route", Some(body)).await.expect(200);
    assert_eq!(answer["reason"], "refused");
}

/// Digits of two parties that stand in nothing else.
const PLANTED: [(&str, &str); 2] = [("+6591717171", "91717171"), ("+6592828282", "92828282")];

/// What goes to one party's side never names the other; and neither logs nor metrics name either.
#[tokio::test(flavor = "multi_thread")]
async fn neither_number_reaches_the_other_party() {
    let settings = [("SEAWALL_VOICE__TWILIO_AUTH_TOKEN", TOKEN), ("SEAWALL_VOICE__PUBLIC_URL", PUBLIC)];
    let gateway = gateway_with(1, &settings).await;
    let app = crate::masking::listen(&gateway).await;
    let [(a, a_digits), (b, b_digits)] = PLANTED;
    let session = open(&gateway, json!({"a": a, "b": b, "record": true})).await.expect(201);
    let mask = session["number"].as_str().unwrap();
    // The dial instruction names the callee, for the network alone; it never names the caller.
    let to_b = [("CallSid", "CA1"), ("From", a), ("To", mask), ("CallStatus", "ringing")];
    let flow = eight(&gateway, vca("s-1", a, mask)).await.to_string();
    let twiml = twilio(&gateway, "/v1/masking/calls/twilio", TOKEN, &to_b).await;
    let sip = json!({"call_id": "c1", "from": a, "to": mask});
    let sip = gateway.api("POST", "/v1/masking/calls/route", Some(sip)).await;
    for (what, text, headers) in [
        ("flow", &flow, None),
        ("twiml", &twiml.text, Some(&twiml.headers)),
        ("sip", &sip.text, Some(&sip.headers)),
    ] {
        assert!(text.contains(b_digits) && !text.contains(a_digits), "{what}: {text}");
        let headers = format!("{headers:?}");
        assert!(!headers.contains(a_digits) && !headers.contains(b_digits), "{what}: {headers}");
    }
    // Texts, in every spelling, and what the other phone shows of them.
    for text in ["call me: 9171 7171", "+65 91717171", "0065-9171-7171", "９１７１７１７１"] {
        let body = json!({"from": a, "to": mask, "text": text});
        gateway.admin("POST", "/admin/v1/sandbox/messages", Some(body)).await.expect(201);
    }
    let got = json!(gateway.phone(b, 4).await).to_string();
    let digits = |text: &str| {
        text.chars()
            .filter_map(|c| c.to_digit(10).or((c as u32).checked_sub(0xff10).filter(|d| *d < 10)))
            .map(|d| d.to_string())
            .collect::<String>()
    };
    assert!(!digits(&got.replace("message_id", "")).contains(a_digits), "{got}");
    // News for the app name parties by their letter.
    gateway
        .api(
            "POST",
            "/v1/masking/calls/events",
            Some(json!({"call_id": "c1", "event": "ended", "code": 480})),
        )
        .await
        .expect(204);
    gateway
        .api("DELETE", &format!("/v1/masking/sessions/{}", session["id"].as_str().unwrap()), None)
        .await
        .expect(204);
    event(&app, "session_ended").await;
    event(&app, "message_relayed").await;
    for request in app.received_requests().await.unwrap() {
        let text = String::from_utf8_lossy(&request.body).into_owned() + &format!("{:?}", request.headers);
        if !text.contains("outbound_message_status_changed") {
            assert!(!text.contains(a_digits) && !text.contains(b_digits), "{text}");
        }
    }
    let metrics = gateway.admin("GET", "/metrics", None).await.text;
    assert!(!metrics.contains(a_digits) && !metrics.contains(b_digits));
    // At rest neither number stands in clear, nor does the virtual one.
    for entry in std::fs::read_dir(gateway.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for planted in [a_digits, b_digits, &mask[1..]] {
                let found = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
                assert!(!found, "{} holds {planted}", path.display());
            }
        }
    }
}
