//! `seawall audit verify`: whether the audit log is the one that was written.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::admin::{Common, encoded};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read the whole audit log. Exit code 1: an entry was changed, removed, added or moved.
    Verify {
        /// A head that an earlier run printed: is the log up to it still there?
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

pub(super) async fn run(args: AuditArgs) -> Result<(), Failure> {
    let What::Verify { head, common } = &args.what;
    let path = match head {
        Some(head) => format!("audit/verify?head={}", encoded(head)),
        None => "audit/verify".to_owned(),
    };
    let asked = common.through(async |admin| admin.call(Method::GET, &path, None).await);
    let answer = asked.await?.unwrap_or_default();
    if common.json { output::json(&answer) } else { show(&answer) }?;
    if answer.get("status").and_then(Value::as_str) == Some("whole") {
        return Ok(());
    }
    let why = answer.get("broken").and_then(Value::as_str);
    let missing = "the head that was given is not in the log: a part is missing, or an old copy was put back";
    Err(Failure::Failed(format!("the audit log is broken: {}", why.unwrap_or(missing))))
}

fn show(answer: &Value) -> Result<(), String> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("none").to_owned();
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    output::line(&format!("{}: {} entries since {}", text("status"), number("entries"), text("since")))?;
    if number("unlinked") > 0 {
        output::line(&format!(
            "{} of them were written by a version that made no chain",
            number("unlinked")
        ))?;
    }
    output::line(&format!("head: {}", text("head")))
}
