//! `seawall explain NUMBER|DECISION_ID`: every check that would run or ran, in order.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::{Admin, AdminArgs};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// A phone number in international form, or the id of a decision.
    #[arg(value_name = "NUMBER|DECISION_ID")]
    what: String,
    /// Which subaccount would send; the first one when absent.
    #[arg(long, value_name = "ID")]
    subaccount: Option<String>,
    /// The end user's address.
    #[arg(long, value_name = "IP")]
    client_ip: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Print the API's JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ExplainArgs) -> Result<(), Failure> {
    let admin = Admin::open(&args.admin).await?;
    let answer = ask(&args, &admin).await;
    admin.close().await;
    let answer = answer?.unwrap_or_default();
    if args.json {
        return Ok(output::json(&answer)?);
    }
    let decision = answer.get("decision").unwrap_or(&answer);
    show_decision(decision)?;
    for line in lines(&answer) {
        output::line(&line)?;
    }
    Ok(())
}

async fn ask(args: &ExplainArgs, admin: &Admin) -> Result<Option<Value>, String> {
    if args.what.starts_with("dec_") {
        return admin.call(Method::GET, &format!("decisions/{}", args.what), None).await;
    }
    let body = json!({
        "to": args.what, "subaccount_id": args.subaccount, "client": {"ip": args.client_ip},
    });
    admin.call(Method::POST, "explain", Some(body)).await
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn show_decision(decision: &Value) -> Result<(), Failure> {
    let risk = decision.get("risk").and_then(Value::as_u64).unwrap_or_default();
    let (verdict, operation, to) =
        (text(decision, "verdict"), text(decision, "operation"), text(decision, "to"));
    output::line(&format!("{verdict}: {operation} to {to}, risk {risk}"))?;
    for reason in decision.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        output::line(&format!("  {}", reason_line(reason)))?;
    }
    Ok(())
}

fn reason_line(reason: &Value) -> String {
    let note = match (text(reason, "mode"), reason.get("overruled").and_then(Value::as_bool)) {
        (_, Some(true)) => " [overruled]",
        ("shadow", _) => " [shadow]",
        _ => "",
    };
    format!("{}{note}: {}", text(reason, "code"), text(reason, "detail"))
}

/// Checks, limits and what would change the verdict; a recorded decision has none of them.
fn lines(answer: &Value) -> Vec<String> {
    let each = |field: &str| answer.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for check in each("checks") {
        lines.push(format!("check {:<16} {}", text(&check, "check"), text(&check, "result")));
        let reasons = check.get("reasons").and_then(Value::as_array).cloned().unwrap_or_default();
        lines.extend(reasons.iter().map(|reason| format!("      {}", reason_line(reason))));
    }
    for held in each("limits") {
        let number = |field: &str| held.get(field).and_then(Value::as_u64).unwrap_or_default();
        let window =
            held.get("window").and_then(Value::as_str).map(|w| format!(" in {w}")).unwrap_or_default();
        let (value, quota, mode) = (number("value"), number("quota"), text(&held, "mode"));
        lines.push(format!("limit \"{}\": {value} of {quota}{window} ({mode})", text(&held, "limit")));
    }
    if let Some(history) = answer.get("history") {
        lines.push(history_line(history));
    }
    for change in each("would_change") {
        lines.push(format!("then {}: {}", text(&change, "verdict"), text(&change, "detail")));
    }
    lines
}

/// What is known of the number from its own past.
fn history_line(history: &Value) -> String {
    let number = |field: &str| history.get(field).and_then(Value::as_u64).unwrap_or_default();
    let confirmed = match text(history, "last_confirmed_at") {
        "" => "never confirmed a code".to_owned(),
        at => format!("last confirmed a code at {at}"),
    };
    format!(
        "number {confirmed}; asked for {} times ({} in 24 h) from {} networks: {} sent, {} refused, {} verified, \
         {} unconfirmed",
        number("asked"),
        number("asked_24h"),
        number("networks"),
        number("sent"),
        number("refused"),
        number("verified"),
        number("unconfirmed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_reads_from_top_to_bottom() {
        let answer = json!({
            "checks": [{"check": "opt-out", "result": "counts", "reasons": [
                {"code": "opt-out", "detail": "+659123xxxx opted out of messages", "mode": "enforce"}]}],
            "limits": [{"limit": "built-in msisdn", "value": 3, "quota": 10, "window": "30m", "mode": "enforce"}],
            "would_change": [{"change": "opt_in", "detail": "the number answers START", "verdict": "allow"}],
        });
        assert_eq!(
            lines(&answer),
            [
                "check opt-out          counts",
                "      opt-out: +659123xxxx opted out of messages",
                "limit \"built-in msisdn\": 3 of 10 in 30m (enforce)",
                "then allow: the number answers START",
            ]
        );
    }
}
