//! What a call flow API says: at once, and when the call has ended.

use std::time::Duration;

use reqwest::StatusCode;
use seawall_core::time::Timestamp;
use serde_json::Value;

use crate::{Echo, ErrorClass, Receipt, ReceiptState, Submission, web};

const REFERENCE_AT_MOST: usize = 200;

/// The outcome of a submission.
pub(super) async fn outcome(response: reqwest::Response) -> Submission {
    let status = response.status();
    let answer = match web::read_body(response).await {
        Ok(body) => serde_json::from_slice(&body).unwrap_or(Value::Null),
        Err(problem) if status.is_success() => {
            return Submission::Unknown { detail: format!("HTTP {}, but {problem}", status.as_u16()) };
        }
        Err(_) => Value::Null,
    };
    let code = answer.get("statusCode").and_then(Value::as_i64);
    let created = code.is_none_or(|code| code == 1 || code == 0);
    if status.is_success() && created {
        let reference = answer.get("sessionId").and_then(Value::as_str).filter(|id| !id.is_empty());
        return Submission::Accepted { reference: reference.map(cut), delivered: false };
    }
    failure(status, code)
}

fn failure(status: StatusCode, code: Option<i64>) -> Submission {
    let detail = match code {
        Some(code) => format!("HTTP {}, statusCode {code}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Submission::Throttled { retry_after: Duration::from_secs(1) };
    }
    match (code.filter(|code| *code < 0).and_then(class_of_code), status.as_u16()) {
        (Some(class), _) => Submission::Refused { class, detail },
        (None, 401 | 403) => Submission::Refused { class: ErrorClass::Denied, detail },
        (None, 408 | 500..=599) => Submission::Unknown { detail },
        (None, 300..=399 | 404) => Submission::Refused { class: ErrorClass::ProviderFault, detail },
        (None, _) => Submission::Refused { class: ErrorClass::Rejected, detail },
    }
}

/// 8x8's call flow codes. All but −9999 (nobody knows) say that no call was made.
fn class_of_code(code: i64) -> Option<ErrorClass> {
    match code {
        -1014 | -2008 => Some(ErrorClass::InvalidSource),
        -1015 | -2007 => Some(ErrorClass::Expired),
        -1017 => Some(ErrorClass::InvalidDestination),
        -1020..=-1001 => Some(ErrorClass::InvalidFormat),
        _ => None,
    }
}

/// A `SESSION_SUMMARY` webhook: the fields may stand at the top or under `payload`.
pub(super) fn summary(body: &[u8]) -> Result<Vec<Echo>, String> {
    let json: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON".to_owned())?;
    let event = json.get("eventType").and_then(Value::as_str);
    if event.is_some_and(|event| event != "SESSION_SUMMARY") {
        return Ok(Vec::new());
    }
    let payload = json.get("payload").unwrap_or(&json);
    let text = |key: &str| payload.get(key).and_then(Value::as_str);
    let reference = text("sessionId").ok_or("the summary has no sessionId")?;
    let status = text("sessionStatus").ok_or("the summary has no sessionStatus")?;
    let code = payload
        .pointer("/errorDetails/errorCode")
        .and_then(|code| code.as_i64().or_else(|| code.as_str().and_then(|text| text.parse().ok())));
    let (state, class) = state_of(status, code);
    Ok(vec![Echo::Receipt(Receipt {
        reference: cut(reference),
        state,
        class,
        code: code.map(|code| code.to_string()),
        at: text("endTime").and_then(Timestamp::parse),
    })])
}

fn state_of(status: &str, code: Option<i64>) -> (ReceiptState, Option<ErrorClass>) {
    let by_code = match code {
        Some(-2007) => Some(ErrorClass::Expired),
        Some(-2008) => Some(ErrorClass::InvalidSource),
        Some(-2003 | -2009) => Some(ErrorClass::InvalidFormat),
        Some(-2004) => Some(ErrorClass::Rejected),
        Some(-2010 | -2006 | -2005 | -2002 | -2001) => Some(ErrorClass::ProviderFault),
        _ => None,
    };
    match status {
        _ if status.starts_with("COMPLETED") => (ReceiptState::Delivered, None),
        "NO_ANSWER" | "BUSY" | "CANCELED" => {
            (ReceiptState::Failed, Some(by_code.unwrap_or(ErrorClass::AbsentSubscriber)))
        }
        _ if by_code == Some(ErrorClass::Expired) => (ReceiptState::Expired, by_code),
        "FAILED" | "ERROR" => (ReceiptState::Failed, Some(by_code.unwrap_or(ErrorClass::ProviderFault))),
        // Anything else is a session that still runs.
        _ => (ReceiptState::Sent, None),
    }
}

pub(super) fn cut(reference: &str) -> String {
    reference.chars().take(REFERENCE_AT_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn summaries_become_receipts() {
        for (status, code, state, class) in [
            ("COMPLETED", None, ReceiptState::Delivered, None),
            ("NO_ANSWER", None, ReceiptState::Failed, Some(ErrorClass::AbsentSubscriber)),
            ("ERROR", Some(-2008), ReceiptState::Failed, Some(ErrorClass::InvalidSource)),
            ("ERROR", Some(-2007), ReceiptState::Expired, Some(ErrorClass::Expired)),
        ] {
            let body = json!({"eventType": "SESSION_SUMMARY", "payload": {
                "sessionId": "s1", "sessionStatus": status, "endTime": "2026-01-05T10:00:00Z",
                "errorDetails": {"errorCode": code},
            }});
            let echoes = summary(body.to_string().as_bytes()).unwrap();
            let [Echo::Receipt(receipt)] = echoes.as_slice() else { panic!("one receipt") };
            assert_eq!((receipt.state, receipt.class, receipt.reference.as_str()), (state, class, "s1"));
        }
        assert!(summary(b"{}").is_err());
        assert_eq!(summary(br#"{"eventType":"CALL_STATUS"}"#).unwrap(), Vec::new());
    }
}
