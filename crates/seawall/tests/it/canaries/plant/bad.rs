//! Canaries where nobody expects them: headers, queries, unknown paths, and bodies that do not fit.

use super::super::world::{Said, World};

pub async fn odd_places(w: &World) {
    let (agent, own, cookie, key) =
        (w.secret("User-Agent"), w.secret("unknown header"), w.secret("Cookie"), w.secret("unknown key"));
    let forwarded = w.secret("X-Forwarded-For");
    let headers = [
        ("user-agent", agent.as_str()),
        ("x-own", &own),
        ("cookie", &cookie),
        ("x-forwarded-for", &forwarded),
    ];
    let query = format!("token={}&to={}", w.secret("query"), w.number("query").replace('+', "%2B"));
    let path = w.secret("unknown path");
    let number = w.number("number in a path");
    for path in [
        format!("/{path}"),
        format!("/v1/nothing/{number}"),
        format!("/v1/messages?{query}"),
        format!("/v1/numbers/{number}/nothing"),
        format!("/api/v1/subaccounts/{path}/messages"),
        format!("/admin/v1/decisions?{query}"),
        format!("/healthz?{query}"),
        format!("/metrics?{query}"),
        format!("/docs/{path}"),
        format!("/openapi.json?{query}"),
    ] {
        for token in [w.key.as_str(), w.admin.as_str(), key.as_str(), ""] {
            w.call(token, "GET", &path, Said { text: None, headers: &headers }).await;
        }
    }
    for query in ["type", "limit", "cursor", "country", "msisdn", "to", "from", "subaccount_id"] {
        let (number, secret) = (w.number("query's value"), w.secret("query's value"));
        for value in [&number[1..], secret.as_str()] {
            for path in [
                "/v1/numbers/x",
                "/admin/v1/messages",
                "/v1/consents",
                "/admin/v1/opt-outs",
                "/admin/v1/lists/deny-msisdn/entries",
                "/v1/masking/sessions",
            ] {
                for token in [&w.key, &w.admin] {
                    w.call(token, "GET", &format!("{path}?{query}={value}"), Said::default()).await;
                }
            }
        }
    }
    let id = w.number("request id");
    w.call(
        &w.key,
        "GET",
        "/v1/messages/msg_x",
        Said { text: None, headers: &[("x-request-id", id.as_str())] },
    )
    .await;
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("x:{}", w.secret("Basic password")),
    );
    let basic = format!("Basic {basic}");
    w.call(
        "",
        "GET",
        "/v1/messages/msg_x",
        Said { text: None, headers: &[("authorization", basic.as_str())] },
    )
    .await;
}

pub async fn wrong(w: &World) {
    let json = [("content-type", "application/json")];
    for path in [
        "/v1/messages",
        "/v1/verifications",
        "/v1/decisions",
        "/v1/consents",
        "/v1/masking/sessions",
        "/v1/numbers/batch",
        "/v1/outcomes",
        "/v1/messages/batch",
    ] {
        let number = w.number(&format!("bad JSON to {path}"));
        let secret = w.secret(&format!("bad JSON to {path}"));
        for text in [
            format!("{{\"to\": \"{number}\", \"text\": \"{secret}\""),
            format!("{{\"to\": \"{number}x\", \"text\": \"{secret}\"}}"),
            format!("{{\"to\": {}, \"text\": \"{secret}\"}}", &number[1..]),
            format!("{{\"to\": \"{number}\", \"text\": [\"{secret}\"]}}"),
            format!("{{\"to\": \"{number}{}\"}}", &number[1..]),
            format!(
                "{{\"a\": \"{number}\", \"b\": \"{number}\", \"numbers\": \"{number}\", \"within\": \"{secret}\"}}"
            ),
            format!("[\"{number}\", \"{secret}\"]"),
            format!("\"{secret}\""),
            format!("to={number}&text={secret}"),
            format!("{{\"to\": \"{number}\", \"country\": \"{number}\"}}"),
            format!(
                "{{\"to\": \"{number}\", \"text\": \"x\", \"channel\": \"{secret}\", \"category\": \"{number}\"}}"
            ),
            format!("{{\"to\": \"{number}\", \"text\": \"x\", \"scheduled_at\": \"{number}\"}}"),
            format!("{{\"to\": \"{number}\", \"text\": \"x\", \"callback_url\": \"{secret}\"}}"),
            format!("{{\"to\": \"{number}\", \"text\": \"x\", \"source\": \"{number}{number}\"}}"),
            format!("{{\"to\": \"{number}\", \"text\": \"x\", \"client\": {{\"ip\": \"{number}\"}}}}"),
            format!(
                "{{\"to\": \"{number}\", \"text\": \"x\", \"client\": {{\"device_token\": [\"{secret}\"]}}}}"
            ),
            format!("{{\"to\": \"{number}\", \"text\": \"x\", \"subaccount_id\": \"{number}\"}}"),
            format!("{{\"to\": \"{number}\", \"text\": \"x\", \"decision_id\": \"{number}\"}}"),
        ] {
            w.call(&w.key, "POST", path, Said { text: Some(text), headers: &json }).await;
        }
    }
    let eight = [
        format!("/api/v1/subaccounts/{}/messages", w.sub),
        format!("/api/v2/subaccounts/{}/sessions", w.sub),
        format!("/api/v1/subaccounts/{}/messages/batch", w.sub),
    ];
    for path in eight {
        let (number, secret) = (w.number("bad 8x8 request"), w.secret("bad 8x8 request"));
        for text in [
            format!("{{\"destination\": \"{number}\", \"text\": \"{secret}\""),
            format!("{{\"destination\": \"{number}{}\", \"text\": \"{secret}\"}}", &number[1..]),
            format!("{{\"destination\": {}, \"text\": [\"{secret}\"]}}", &number[1..]),
            format!("{{\"destination\": \"{number}\", \"text\": \"x\", \"encoding\": \"{secret}\"}}"),
            format!("{{\"destination\": \"{number}\", \"text\": \"x\", \"country\": \"{number}\"}}"),
            format!("{{\"destination\": \"{number}\", \"text\": \"x\", \"scheduled\": \"{number}\"}}"),
            format!(
                "{{\"destination\": \"{number}\", \"text\": \"x\", \"clientIp\": \"{number}\", \"channel\": \"{secret}\"}}"
            ),
            format!("{{\"destination\": \"{number}\", \"text\": \"x\", \"source\": \"{number}{number}\"}}"),
            format!(
                "{{\"destination\": \"{number}\", \"callbackUrl\": \"{secret}\", \"dlrCallbackUrl\": \"{secret}\"}}"
            ),
            format!("{{\"messages\": [{{\"destination\": \"{number}x\", \"text\": \"{secret}\"}}]}}"),
        ] {
            w.call(&w.key, "POST", &path, Said { text: Some(text), headers: &json }).await;
        }
    }
    for path in [
        "providers",
        "webhooks",
        "api-keys",
        "lists/deny-msisdn/entries",
        "lists/deny-ip/entries",
        "opt-outs",
        "test-numbers",
        "virtual-numbers",
        "rules",
        "limits",
        "suspensions",
        "routes",
    ] {
        let (number, secret) = (w.number(&format!("bad {path}")), w.secret(&format!("bad {path}")));
        for text in [
            format!(
                "{{\"name\": \"x\", \"kind\": \"http\", \"settings\": {{\"url\": \"http://u:{secret}@x/\"}}}}"
            ),
            format!(
                "{{\"name\": \"x\", \"kind\": \"smpp\", \"settings\": {{\"password\": [\"{secret}\"], \"host\": 1}}}}"
            ),
            format!("{{\"url\": \"ftp://x/{secret}\", \"authorization\": [\"{secret}\"]}}"),
            format!("{{\"value\": \"{number}x\", \"note\": \"{secret}\"}}"),
            format!(
                "{{\"msisdn\": \"{number}{}\", \"code\": \"{secret}{secret}\", \"note\": \"{secret}\"}}",
                &number[1..]
            ),
            format!(
                "{{\"name\": \"x\", \"action\": \"block\", \"when\": \"to == '{number}' &&& '{secret}'\"}}"
            ),
            format!("{{\"scope\": {{\"number_range\": \"{number}x\"}}, \"reason\": \"{secret}\"}}"),
        ] {
            w.call(&w.admin, "POST", &format!("/admin/v1/{path}"), Said { text: Some(text), headers: &json })
                .await;
        }
    }
}
