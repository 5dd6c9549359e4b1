//! `seawall backtest`: what a draft rule would have done to recorded traffic.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::admin::{Admin, AdminArgs};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct BacktestArgs {
    /// The draft: JSON or TOML with the fields of a rule, or a condition alone (which blocks).
    #[arg(long, value_name = "FILE")]
    rule: PathBuf,
    /// Over the last so long; 14d when absent.
    #[arg(long, value_name = "SPAN")]
    since: Option<String>,
    /// Print the API's JSON.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the matches as a table (CSV), false positives first.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

pub(super) async fn run(args: BacktestArgs) -> Result<(), Failure> {
    let name = args.rule.display();
    let text =
        std::fs::read_to_string(&args.rule).map_err(|error| Failure::Wrong(format!("{name}: {error}")))?;
    let mut draft = draft(&text).map_err(|error| Failure::Wrong(format!("{name}: {error}")))?;
    if let Some(since) = &args.since {
        draft.insert("since".to_owned(), json!(since));
    }
    let admin = Admin::open(&args.admin).await?;
    let accept = if args.csv { CSV } else { JSON };
    let answer = admin.patient("rules/backtest", &Value::Object(draft), accept).await;
    admin.close().await;
    let answer = answer?;
    match (args.csv, args.json) {
        (true, _) => output::text(&answer)?,
        (_, true) => output::line(&answer)?,
        _ => show(&serde_json::from_str(&answer).unwrap_or_default())?,
    }
    Ok(())
}

/// The fields of a draft, however it is written.
fn draft(text: &str) -> Result<Map<String, Value>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty; write a condition, or a rule as JSON or TOML".to_owned());
    }
    // No condition begins with a brace, and none is a table of TOML: `==` is no assignment.
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"));
    }
    match toml::from_str::<Map<String, Value>>(text) {
        Ok(fields) => Ok(fields),
        Err(error) if text.lines().any(|line| line.trim_start().starts_with("when")) => {
            Err(format!("is not TOML: {}", error.message()))
        }
        Err(_) => Ok(Map::from_iter([("when".to_owned(), json!(text))])),
    }
}

fn show(report: &Value) -> Result<(), String> {
    let text = |field: &str| report.get(field).and_then(Value::as_str);
    output::line(text("sentence").unwrap_or_default())?;
    if let Some(note) = text("sampled_note") {
        output::line(&format!("Note: {note}."))?;
    }
    let examples = report.get("examples").and_then(Value::as_array);
    if let Some(examples) = examples.filter(|examples| !examples.is_empty()) {
        output::line("")?;
        output::objects(
            &["decision_id", "at", "to", "verdict", "with_rule", "later_verified"],
            examples.iter(),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_are_json_toml_or_a_condition() {
        let when = "number.country == \"UZ\" && client.hosting";
        let json = json!({"when": when, "action": "throttle"}).to_string();
        let toml = format!("action = \"throttle\"\nwhen = '{when}'\n");
        for text in [json.as_str(), toml.as_str()] {
            let draft = draft(text).unwrap();
            assert_eq!((&draft["when"], &draft["action"]), (&json!(when), &json!("throttle")), "{text}");
        }
        assert_eq!(Value::Object(draft(&format!("{when}\n")).unwrap()), json!({"when": when}));
        assert!(draft(" \n").is_err() && draft("{\"when\": ").is_err());
        assert!(draft("when = number.country").unwrap_err().contains("TOML"));
    }
}
