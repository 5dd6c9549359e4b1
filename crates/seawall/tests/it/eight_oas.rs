//! Real answers of every served path against the response schemas that 8x8 publishes. `oas/eight.json`
//! holds those schemas with their references resolved, by method, path and status. It differs from them in
//! two places: prices follow 8x8's examples, which its schema contradicts, and a deleted group answers without a body.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";
const SESSIONS: &str = "/api/v2/subaccounts/{subAccountId}/sessions";
const MESSAGES: &str = "/api/v1/subaccounts/{subAccountId}/messages";
const ACCOUNT: &str = "/api/v1/accounts/{accountId}";

fn schemas() -> Value {
    serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oas/eight.json"))).unwrap()
}

/// Holds an answer against the schema of its status. A status that 8x8 does not declare has its error body.
fn conforms(schemas: &Value, operation: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{operation}: {}", answer.text);
    let error = format!("POST {MESSAGES} 400");
    let declared = schemas.get(format!("{operation} {status}")).filter(|s| status < 400 || !s.is_null());
    let schema = declared.unwrap_or(&schemas[error]);
    if schema.is_null() {
        assert!(answer.text.is_empty(), "{operation} {status} has no body");
        return;
    }
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    let body = answer.json();
    let wrong: Vec<String> =
        validator.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{operation} {status}: {wrong:?} in {body}");
}

pub struct Run {
    pub gateway: Gateway,
    schemas: Value,
}

impl Run {
    /// Holds an answer that was asked for otherwise against the schema of its status.
    pub fn check(&self, operation: &str, answer: &Answer, status: u16) {
        conforms(&self.schemas, operation, answer, status);
    }

    /// One call of an operation; `tail` and `ids` fill its path.
    pub async fn call(
        &self,
        operation: &str,
        ids: &[(&str, &str)],
        query: &str,
        body: Option<Value>,
        status: u16,
    ) -> Value {
        let (method, template) = operation.split_once(' ').unwrap();
        let mut path = template.replace("{subAccountId}", self.gateway.sub());
        path = path.replace("{accountId}", &self.gateway.first.account_id);
        for (name, value) in ids {
            path = path.replace(name, value);
        }
        let answer = self.gateway.api(method, &format!("{path}{query}"), body).await;
        conforms(&self.schemas, operation, &answer, status);
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }
}

pub async fn run() -> Run {
    let run = Run { gateway: Gateway::new().await, schemas: schemas() };
    let price = json!({"country": "SG", "mcc": "525", "mnc": "01", "amount": 41_000, "currency": "USD"});
    run.gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn verification() {
    let run = run().await;
    let (post, get) = (format!("POST {SESSIONS}"), format!("GET {SESSIONS}/{{sessionId}}"));
    let session = run.call(&post, &[], "", Some(json!({"destination": TO})), 200).await;
    run.call(&post, &[], "", Some(json!({"destination": TO})), 403).await;
    run.call(&post, &[], "", Some(json!({})), 400).await;
    let id = session["sessionId"].as_str().unwrap();
    let ids = [("{sessionId}", id)];
    run.call(&get, &ids, "", None, 200).await;
    run.call(&get, &ids, "?code=0000000000", None, 200).await;
    run.call(&get, &ids, "?code=1", None, 400).await;
    run.call(&get, &[("{sessionId}", "unknown")], "", None, 404).await;
    let code = run.gateway.code(TO, 1).await;
    run.call(&get, &ids, &format!("?code={code}"), None, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages() {
    let run = run().await;
    let (post, batch) = (format!("POST {MESSAGES}"), format!("POST {MESSAGES}/batch"));
    let one = json!({"destination": TO, "text": "x", "clientMessageId": "1"});
    let sent = run.call(&post, &[], "", Some(one.clone()), 200).await;
    run.call(&post, &[], "", Some(json!({"destination": "x"})), 400).await;
    let many = json!({"messages": [one, {"destination": "+6591110001"}], "includeMessagesInResponse": true, "clientBatchId": "b"});
    let made = run.call(&batch, &[], "", Some(many), 200).await;
    run.call(&batch, &[], "", Some(json!({})), 400).await;
    let umid = [("{umid}", sent["umid"].as_str().unwrap())];
    run.call(&format!("GET {MESSAGES}/{{umid}}"), &umid, "", None, 200).await;
    run.call(&format!("GET {MESSAGES}/{{umid}}"), &umid, "", None, 429).await;
    run.gateway.advance("2s").await;
    let unknown = [("{umid}", "00000000-0000-0000-0000-000000000000")];
    run.call(&format!("GET {MESSAGES}/{{umid}}"), &unknown, "", None, 404).await;
    run.call(&format!("GET {MESSAGES}/{{umid}}"), &[("{umid}", "x")], "", None, 400).await;
    run.call(&format!("DELETE {MESSAGES}/{{umid}}"), &umid, "", None, 200).await;
    run.call(&format!("DELETE {MESSAGES}/{{umid}}"), &unknown, "", None, 404).await;
    run.call(&format!("DELETE {MESSAGES}/{{umid}}"), &[("{umid}", "x")], "", None, 400).await;
    let batch_id = [("{batchId}", made["batchId"].as_str().unwrap())];
    run.call(&format!("DELETE {MESSAGES}/batch/{{batchId}}"), &batch_id, "", None, 200).await;
    run.call(&format!("DELETE {MESSAGES}/batch/{{batchId}}"), &[("{batchId}", "x")], "", None, 400).await;
    let feedback = format!("POST {MESSAGES}/{{umid}}/feedback");
    run.call(&feedback, &umid, "", Some(json!({"outcome": "failure"})), 200).await;
    run.call(&feedback, &umid, "", Some(json!({})), 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_account() {
    let run = run().await;
    let send = format!("POST {MESSAGES}");
    run.call(&send, &[], "", Some(json!({"destination": TO, "text": "x"})), 200).await;
    run.gateway.advance("1s").await;
    let job =
        run.call(&format!("POST {MESSAGES}/exports"), &[], "", Some(json!({"countries": ["SG"]})), 202).await;
    let ids = [("{jobId}", job["jobId"].as_str().unwrap())];
    tokio::time::sleep(Duration::from_millis(500)).await;
    let status = run.call(&format!("GET {MESSAGES}/exports/{{jobId}}"), &ids, "", None, 200).await;
    assert_eq!(status["status"], "succeeded");
    run.call(&format!("DELETE {MESSAGES}/exports/{{jobId}}"), &ids, "", None, 204).await;
    run.call(&format!("GET {MESSAGES}/exports/{{jobId}}"), &ids, "", None, 404).await;
    run.call(&format!("DELETE {MESSAGES}/exports/{{jobId}}"), &ids, "", None, 404).await;

    run.call(&format!("GET {ACCOUNT}/prices"), &[], "", None, 200).await;
    run.call(&format!("GET {ACCOUNT}/prices"), &[], "?mcc=1", None, 400).await;
    run.call(&format!("GET {ACCOUNT}/balance"), &[], "", None, 403).await;
    let oauth = json!({"url": "https://example.com/t", "clientId": "c", "clientSecret": "s", "credentialsLocation": "header"});
    let hooks = json!([
        {"subAccountId": "*", "url": "https://example.com/a", "httpAuthorization": "Bearer x"},
        {"subAccountId": run.gateway.sub(), "url": "https://example.com/b", "oauth": oauth, "enabled": false},
    ]);
    run.call(&format!("POST {ACCOUNT}/webhooks"), &[], "", Some(hooks), 200).await;
    run.call(&format!("POST {ACCOUNT}/webhooks"), &[], "", Some(json!({})), 400).await;
    run.call(&format!("GET {ACCOUNT}/webhooks"), &[], "", None, 200).await;
    run.call(&format!("DELETE {ACCOUNT}/webhooks"), &[], "", Some(json!([{"subAccountId": "*"}])), 200).await;
    run.call(&format!("DELETE {ACCOUNT}/webhooks"), &[], "", Some(json!([{}])), 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_declared_path_is_served() {
    let gateway = Gateway::new().await;
    let served = gateway.raw("GET", "/openapi.json", None, None, &[]).await.expect(200);
    for operation in schemas().as_object().unwrap().keys() {
        let (method, rest) = operation.split_once(' ').unwrap();
        let (path, _) = rest.split_once(' ').unwrap();
        let here = &served["paths"][path][method.to_lowercase()];
        assert!(here.is_object(), "{method} {path} is not served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lookup() {
    let run = run().await;
    let get = "GET /api/v1/subaccounts/{subAccountId}/phones/{phoneNumber}";
    let (to, ids) = ("+15108675310", [("{phoneNumber}", "%2B15108675310")]);
    let tell = async |facts: Value| run.gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(facts)).await;
    let sprint = json!({"name": "Sprint-Nextel", "mcc": "310", "mnc": "120", "country": "US"});
    let verizon = json!({"name": "Verizon Wireless", "mcc": "310", "mnc": "590", "country": "US"});
    let facts = json!({"msisdn": to, "ported": true, "original_operator": sprint, "operator": verizon, "roaming": true,
        "roaming_operator": verizon, "reachable": true});
    tell(facts.clone()).await.expect(201);
    let format = run.call(get, &ids, "", None, 200).await;
    assert_eq!(
        (&format["phoneNumberNational"], &format["phoneType"]),
        (&json!("(510) 867-5310"), &json!("FixedLineOrMobile"))
    );
    assert!(format.get("ported").is_none() && format.get("currentOperator").is_none(), "{format}");
    let live = run.call(get, &ids, "?type=live", None, 200).await;
    assert_eq!(
        (&live["status"]["state"], &live["presence"], &live["ported"]),
        (&json!("ok"), &json!(true), &json!(true))
    );
    assert_eq!(live["currentOperator"]["operatorName"], "Verizon Wireless");
    assert_eq!(live["originalOperator"]["operatorName"], "Sprint-Nextel");
    let operator = run.call(get, &ids, "?type=operator", None, 200).await;
    assert!(operator["ported"] == true && operator.get("presence").is_none(), "{operator}");
    for (number, fail, code) in [
        ("6285611111111", "operator-unavailable", 6000),
        ("6285611111112", "timeout", 2004),
        ("6285611111113", "error", 2005),
    ] {
        tell(json!({"msisdn": format!("+{number}"), "fail": fail})).await.expect(201);
        let failed = run.call(get, &[("{phoneNumber}", number)], "?type=live", None, 200).await;
        assert_eq!(
            (&failed["status"]["state"], &failed["status"]["errorCode"]),
            (&json!("error"), &json!(code))
        );
        assert_eq!(failed["country"], "ID");
    }
    let local = run.call(get, &[("{phoneNumber}", "91234567")], "?country=SG", None, 200).await;
    assert_eq!(local["phoneNumber"], "+6591234567");
    let wrong = run.call(get, &[("{phoneNumber}", "12")], "", None, 400).await;
    assert_eq!(wrong["code"], 1002);
    run.call(get, &ids, "?type=all", None, 400).await;
}
