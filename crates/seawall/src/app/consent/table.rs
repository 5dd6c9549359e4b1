//! Opt-ins as a table that no spreadsheet runs, and back.

use seawall_core::consent::Category;
use seawall_core::id::IdKind;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Page;

use super::super::App;
use super::super::audit::Actor;
use super::super::collections::Wrong;
use super::super::lists::csv::{cell, rows};
use super::opt_in::{self, OptIn, Stored};

/// Rows of one import.
const MOST: usize = 100_000;
/// Opt-ins read at a time.
const PAGE: usize = 1000;
const COLUMNS: [&str; 8] = ["id", "to", "subaccount_id", "category", "source", "proof", "ip", "at"];

/// All opt-ins, newest first.
pub async fn export(app: &App) -> Result<String, StoreError> {
    let mut text = COLUMNS.join(",") + "\r\n";
    let mut before = None;
    loop {
        let page = opt_in::list(app, Page { before, limit: PAGE }).await?;
        page.iter().for_each(|one| text.push_str(&line(one)));
        match page.last() {
            Some(last) if page.len() == PAGE => before = Some(last.id.row()),
            _ => return Ok(text),
        }
    }
}

fn line(one: &Stored) -> String {
    let opt_in = &one.opt_in;
    let cells = [
        one.id.show(IdKind::Consent),
        one.number.to_e164(),
        opt_in.subaccount.clone(),
        opt_in.category.as_str().to_owned(),
        opt_in.source.clone(),
        opt_in.proof.clone().unwrap_or_default(),
        opt_in.ip.clone().unwrap_or_default(),
        opt_in.at.to_rfc3339(),
    ];
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

/// Takes every row of a table, or none. Columns are found by their names; `to`, `subaccount_id` and `source` are needed.
pub async fn import(app: &App, actor: &Actor, text: String) -> Result<usize, Wrong> {
    let broken = |row: usize, problem: &str| Wrong::field("(body)", format!("row {row} {problem}"));
    let table = rows(&text).map_err(|e| broken(e.row, e.problem))?;
    let mut lines = table.into_iter();
    let (_, header) = lines.next().ok_or_else(|| Wrong::field("(body)", "is empty"))?;
    if let Some(strange) = header.iter().find(|name| !COLUMNS.contains(&name.trim())) {
        let strange: String = strange.chars().take(40).collect();
        let known = COLUMNS.join(", ");
        return Err(Wrong::field("(body)", format!("`{strange}` is no column; there are {known}")));
    }
    if lines.len() > MOST {
        return Err(Wrong::field("(body)", format!("has more than {MOST} rows; send it in parts")));
    }
    let mut all = Vec::with_capacity(lines.len());
    for (row, cells) in lines {
        all.push(read(app, &header, &cells).map_err(|problem| broken(row, &problem))?);
    }
    let count = all.len();
    opt_in::give(app, actor, all).await?;
    Ok(count)
}

fn read(app: &App, header: &[String], cells: &[String]) -> Result<(Msisdn, OptIn), String> {
    let get = |name: &str| {
        let at = header.iter().position(|column| column.trim() == name);
        at.and_then(|at| cells.get(at)).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let need = |name: &str| get(name).ok_or_else(|| format!("has no `{name}`"));
    let number =
        Msisdn::parse(&need("to")?, None).map_err(|e| format!("has a `to` that is no number: {e}"))?;
    let subaccount = need("subaccount_id")?;
    if !app.snapshot.load().subaccounts.contains_key(&subaccount) {
        return Err("names a `subaccount_id` that does not exist".to_owned());
    }
    let category = match get("category") {
        None => Category::Marketing,
        Some(word) => {
            Category::parse(&word).ok_or("has a `category` that is none of code, transactional, marketing")?
        }
    };
    let at = match get("at") {
        None => app.now(),
        Some(text) => {
            Timestamp::parse(&text).filter(|at| *at <= app.now()).ok_or("has an `at` that is no past time")?
        }
    };
    let (ip, proof) = (get("ip"), get("proof").map(|proof| proof.chars().take(1000).collect()));
    if ip.as_deref().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        return Err("has an `ip` that is no address".to_owned());
    }
    let source = need("source")?.chars().take(64).collect();
    Ok((
        number.msisdn,
        OptIn { subaccount, category, source, proof, ip, at, question: None, answer: None, veiled: false },
    ))
}
