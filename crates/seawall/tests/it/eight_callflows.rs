//! 8x8's call flows: what is said, played and asked in a call, at the sandbox and at a stand-in for a provider.

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::Gateway;
use crate::eight_oas::{Run, run};
use crate::masking::{A, B};

const SUB: &str = "/api/v1/subaccounts/{subAccountId}";

fn call(to: &str) -> Value {
    json!({"action": "makeCall", "params": {"source": "6531580001", "destination": to}})
}

fn say(text: &str) -> Value {
    json!({"action": "say", "params": {"text": text, "voiceProfile": "en-GB-Emma", "speed": 0.8, "repetition": 2}})
}

fn play() -> Value {
    json!({"action": "playFile", "params": {"fileUrl": "https://files.example.com/a.mp3", "repetition": 2}})
}

fn ask() -> Value {
    let params = json!({"promptMessage": "Press 1 to confirm", "voiceProfile": "en-GB-Emma", "minDigits": 1,
        "maxDigits": 4, "digitTimeout": 2000, "overallTimeout": 9000, "noOfTries": 2, "successMessage": "Thanks"});
    json!({"action": "sayAndCapture", "params": params})
}

fn end() -> Value {
    json!({"action": "hangup"})
}

fn flow(steps: &Value) -> Value {
    json!({"callflow": steps, "validUntil": "2099-01-01T00:00:00.000Z"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_says_what_a_flow_says() {
    let run = run().await;
    let post = format!("POST {SUB}/callflows");
    let table = say("Your table is ready");
    let made = run.call(&post, &[], "", Some(flow(&json!([call(A), table, end()]))), 200).await;
    assert_eq!((&made["sessionStatus"], &made["statusCode"]), (&json!("CREATED"), &json!(1)));
    let heard = run.gateway.phone(A, 1).await;
    assert_eq!((&heard[0]["channel"], &heard[0]["text"]), (&json!("call"), &json!("Your table is ready")));
    let text = "word ".repeat(600);
    run.call(&post, &[], "", Some(flow(&json!([call("+6591230001"), say(&text)]))), 200).await;
    for (steps, status, code) in [
        (json!([table, end()]), 422, -1013),
        (json!([call(A), call(B), end()]), 422, -1011),
        (json!([call("12"), table]), 422, -1017),
        (json!([{"action": "makeCall", "params": {"source": "Acme", "destination": A}}, table]), 422, -1014),
        (json!([call(A), end(), table]), 422, -1012),
        (json!([call(A), {"action": "record"}]), 400, -1007),
        (json!([call(A), {"action": "say", "params": {"text": "x"}}]), 422, -1002),
        (
            json!([call(A), {"action": "playFile", "params": {"fileUrl": "https://224.0.0.1/a.wav"}}]),
            422,
            -1009,
        ),
        // Nobody would hear what is pressed.
        (json!([call(A), ask()]), 422, -1004),
        (json!([]), 400, -1001),
    ] {
        let refused = run.call(&post, &[], "", Some(flow(&steps)), status).await;
        assert_eq!(refused["statusCode"], code, "{steps}");
    }
    let late = json!({"callflow": [call(A), table], "validUntil": "2020-01-01T00:00:00.000Z"});
    assert_eq!(run.call(&post, &[], "", Some(late), 422).await["statusCode"], -1015);
    let long = json!({"callflow": [call(A), table], "clientRequestId": "x".repeat(51)});
    assert_eq!(run.call(&post, &[], "", Some(long), 400).await["statusCode"], -1001);
    // A call is screened like a message: who opted out is not called.
    run.gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": B}))).await.expect(201);
    let path = format!("/api/v1/subaccounts/{}/callflows", run.gateway.sub());
    let refused = run.gateway.api("POST", &path, Some(flow(&json!([call(B), table])))).await;
    assert!(refused.headers.contains_key("seawall-decision-id"));
    assert_eq!(refused.expect(403)["sessionStatus"], "NOT_CREATED");
    run.gateway.raw("POST", &path, None, Some("{}"), &[]).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_shows_every_step() {
    let run = run().await;
    let hook = json!({"type": "VCA", "url": "http://127.0.0.1:9/"});
    run.call(&format!("POST {SUB}/webhooks"), &[], "", Some(hook), 200).await;
    let steps = json!([call(A), say("Hello"), play(), ask(), say("Bye"), end()]);
    let made = run.call(&format!("POST {SUB}/callflows"), &[], "", Some(flow(&steps)), 200).await;
    let heard = run.gateway.phone(A, 1).await;
    let want =
        "Hello\n[plays https://files.example.com/a.mp3]\nPress 1 to confirm\n[hears keys]\nThanks\nBye";
    assert_eq!(heard[0]["text"], want);
    // It outlives a restart, and goes with the personal data of its message.
    let gateway = run.gateway.restart().await;
    assert_eq!(gateway.phone(A, 1).await[0]["text"], want);
    let id = made["sessionId"].as_str().unwrap();
    let path = format!("/api/v1/subaccounts/{}/messages/{id}/pii", gateway.sub());
    gateway.api("DELETE", &path, None).await.expect(202);
    for _ in 0..200 {
        let shown = gateway.admin("GET", &format!("/admin/v1/messages/{id}"), None).await;
        if shown.json()["text"].is_null() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the steps were not erased");
}

#[tokio::test(flavor = "multi_thread")]
async fn voices_are_those_of_the_carriers() {
    let run = run().await;
    let get = format!("GET {SUB}/speech-profiles");
    let own = run.call(&get, &[], "", None, 200).await;
    assert_eq!((&own["statusCode"], &own["speechProfiles"][0]["gender"]), (&json!(0), &json!("F")));
    let (server, _) = provider(&run.gateway).await;
    let voice = json!({"speechProfileCode": "da-DK-Naja", "localeCode": "da-DK", "localeDescription": "Danish", "gender": "F"});
    let answer = ResponseTemplate::new(200).set_body_json(json!({"speechProfiles": [voice]}));
    let at = path("/api/v1/subaccounts/theirs/speech-profiles");
    Mock::given(method("GET")).and(at).respond_with(answer).mount(&server).await;
    let all = run.call(&get, &[], "", None, 200).await;
    let codes: Vec<&str> = all["speechProfiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["speechProfileCode"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"da-DK-Naja"), "{codes:?}");
    let path = format!("/api/v1/subaccounts/{}/speech-profiles", run.gateway.sub());
    run.gateway.raw("GET", &path, None, None, &[]).await.expect(401);
    let only = json!({"providers": ["voice"]});
    let routes = run.gateway.admin("GET", "/admin/v1/routes", None).await.expect(200);
    for route in routes["data"].as_array().unwrap() {
        let at = format!("/admin/v1/routes/{}", route["id"].as_str().unwrap());
        run.gateway.admin("PATCH", &at, Some(only.clone())).await.expect(200);
    }
    server.reset().await;
    let failed = run.gateway.api("GET", &path, None).await.expect(500);
    assert!(failed["statusMessage"].is_string(), "{failed}");
}

/// A stand-in for 8x8 that carries the calls to Singapore, and where it reports.
async fn provider(gateway: &Gateway) -> (MockServer, String) {
    let server = MockServer::start().await;
    let settings =
        json!({"url": server.uri(), "subaccount": "theirs", "api_key": "k3y", "source": "+6531580001"});
    let voice = json!({"name": "voice", "kind": "callflow", "enabled": true, "settings": settings});
    let made = gateway.admin("POST", "/admin/v1/providers", Some(voice)).await.expect(201);
    let route =
        json!({"match": {"country": "SG", "channel": "call"}, "providers": ["voice"], "position": -1});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    (server, made["callback_url_path"].as_str().unwrap().to_owned())
}

async fn report(run: &Run, to: &str, body: Value) -> crate::common::Answer {
    let headers = [("content-type", "application/json")];
    run.gateway.raw("POST", to, None, Some(&body.to_string()), &headers).await
}

fn pressed(session: &str, keys: Value) -> Value {
    json!({"namespace": "VOICE", "eventType": "CALL_ACTION", "payload":
        {"eventId": "e1", "sessionId": session, "callStatus": "ACTION_COMPLETED", "eventData": {"dtmf": keys}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn pressed_keys_reach_the_app_and_its_answer_goes_on() {
    let run = run().await;
    let (server, reports) = provider(&run.gateway).await;
    let created = ResponseTemplate::new(200).set_body_json(json!({"sessionId": "theirs-1", "statusCode": 1}));
    Mock::given(method("POST")).respond_with(created).mount(&server).await;
    let app = MockServer::start().await;
    let goes_on = json!({"clientActionId": "menu", "callflow": [say("You pressed 12345"), play(), end()]});
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(goes_on))
        .mount(&app)
        .await;
    let hook = json!({"type": "VCA", "url": app.uri(), "httpAuthHeader": "Bearer theirs"});
    run.call(&format!("POST {SUB}/webhooks"), &[], "", Some(hook), 200).await;
    let steps = json!([call(A), say("Code 4711"), play(), ask()]);
    let mut body = flow(&steps);
    body["clientRequestId"] = json!("order-7");
    let made = run.call(&format!("POST {SUB}/callflows"), &[], "", Some(body), 200).await;
    let id = made["sessionId"].as_str().unwrap();
    run.gateway.message_in(id, "sent").await;
    let asked: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    let actions: Vec<&str> =
        asked["callflow"].as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["makeCall", "say", "playFile", "sayAndCapture"]);
    assert_eq!(asked["callflow"][1]["params"]["text"], "Code 4, 7, 1, 1", "digits are said one by one");
    assert_eq!(asked["callflow"][3]["params"]["overallTimeout"], 9000);
    // The keys go to the app in 8x8's words, under our name of the call, and what it says goes back.
    let told = report(&run, &reports, pressed("theirs-1", json!("12#"))).await.expect(200);
    assert_eq!((&told["clientActionId"], &told["callflow"][1]["action"]), (&json!("e1"), &json!("playFile")));
    assert_eq!(told["callflow"][0]["params"]["text"], "You pressed 1, 2, 3, 4, 5");
    let question = &app.received_requests().await.unwrap()[0];
    assert_eq!(question.headers["authorization"], "Bearer theirs");
    let question: Value = question.body_json().unwrap();
    let payload = &question["payload"];
    assert_eq!(
        (
            &payload["eventData"]["dtmf"],
            &payload["sessionId"],
            &payload["destination"],
            &payload["clientRequestId"]
        ),
        (&json!("12#"), &json!(id), &json!(A), &json!("order-7"))
    );
    assert_eq!(
        (&question["eventType"], &payload["callStatus"]),
        (&json!("CALL_ACTION"), &json!("ACTION_COMPLETED"))
    );
    // Nothing pressed is told as well. A call that is not known, and an app that makes no sense, end it.
    report(&run, &reports, pressed("theirs-1", Value::Null)).await.expect(200);
    let questions = app.received_requests().await.unwrap();
    let last: Value = questions.last().unwrap().body_json().unwrap();
    assert!(last["payload"]["eventData"]["dtmf"].is_null());
    let hang_up = json!([{"action": "hangup"}]);
    assert_eq!(report(&run, &reports, pressed("nobody", json!("1"))).await.expect(200)["callflow"], hang_up);
    app.reset().await;
    let file = json!({"action": "playFile", "params": {"fileUrl": "file:///etc/passwd"}});
    let nonsense = ResponseTemplate::new(200).set_body_json(json!({"callflow": [file]}));
    Mock::given(method("POST")).respond_with(nonsense).mount(&app).await;
    assert_eq!(
        report(&run, &reports, pressed("theirs-1", json!("1"))).await.expect(200)["callflow"],
        hang_up
    );
    app.reset().await;
    assert_eq!(
        report(&run, &reports, pressed("theirs-1", json!("1"))).await.expect(200)["callflow"],
        hang_up
    );
    // Its end is a receipt.
    let over = json!({"eventType": "SESSION_SUMMARY", "payload": {"sessionId": "theirs-1", "sessionStatus": "COMPLETED"}});
    report(&run, &reports, over).await.expect(204);
    run.gateway.message_in(id, "delivered").await;
    let stranger = reports.rsplit_once('/').unwrap().0.to_owned() + "/x";
    report(&run, &stranger, pressed("theirs-1", json!("1"))).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_provider_carries_is_refused_at_once() {
    let run = run().await;
    let settings = json!({"url": "https://sms.example.com/call", "body": {"to": "{to}", "text": "{text}"}, "channel": "call"});
    let one = json!({"name": "one", "kind": "http", "enabled": true, "settings": settings});
    run.gateway.admin("POST", "/admin/v1/providers", Some(one)).await.expect(201);
    let route = json!({"match": {"country": "SG", "channel": "call"}, "providers": ["one"], "position": -1});
    run.gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    let post = format!("POST {SUB}/callflows");
    let refused = run.call(&post, &[], "", Some(flow(&json!([call(A), say("a"), play()]))), 422).await;
    assert_eq!(refused["statusCode"], -1007);
    assert!(refused["statusMessage"].as_str().unwrap().contains("no provider"), "{refused}");
    // One text is what it can carry.
    run.call(&post, &[], "", Some(flow(&json!([call(A), say("a"), end()]))), 200).await;
}
