//! A cleaning as CSV that no spreadsheet runs, or as JSON; some rows at a time.

use seawall_core::intel::OperatorCode;
use seawall_store::StoreError;
use serde::Serialize;

use super::Kept;
use super::rows::Row;
use crate::app::App;
use crate::app::lists::csv::cell;

const COLUMNS: &str = "row,input,number,verdict,country,type,operator,mccmnc,duplicate_of,ported,reachable,reassigned,\
                       disposable,opted_out,problem,cost\r\n";

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values.
    Csv,
    /// `{"data": […]}`
    Json,
}

/// A row as it is shown. What nobody knows is null, and empty in CSV.
#[derive(Serialize)]
struct Shown<'a> {
    row: usize,
    input: &'a str,
    number: Option<String>,
    verdict: &'static str,
    country: Option<String>,
    r#type: Option<&'static str>,
    operator: Option<&'a str>,
    mccmnc: Option<OperatorCode>,
    duplicate_of: Option<usize>,
    ported: Option<bool>,
    reachable: Option<bool>,
    reassigned: Option<bool>,
    disposable: Option<bool>,
    opted_out: Option<bool>,
    problem: Option<String>,
    cost: i64,
}

impl<'a> From<&'a Row> for Shown<'a> {
    fn from(row: &'a Row) -> Self {
        let (number, known) = (row.number.ok(), row.known.as_deref());
        let network = known.and_then(|known| known.operator.as_ref());
        let code = network.and_then(|network| network.mcc.as_ref().zip(network.mnc.as_ref()));
        Shown {
            row: row.row,
            input: &row.input,
            number: number.map(|number| number.msisdn.to_e164()),
            verdict: row.verdict(),
            country: number.map(|number| number.country.to_string()),
            r#type: number.map(|number| number.kind.as_str()),
            operator: network.and_then(|network| network.name.as_deref()),
            mccmnc: code.and_then(|(mcc, mnc)| OperatorCode::parse(&format!("{mcc}{mnc}"))),
            duplicate_of: row.duplicate_of,
            ported: known.and_then(|known| known.ported),
            reachable: known.and_then(|known| known.reachable),
            reassigned: known.map(|known| known.reassigned),
            disposable: known.map(|known| known.disposable),
            opted_out: known.map(|known| known.opted_out),
            problem: match row.number {
                Err(error) => Some(error.to_string()),
                Ok(number) if !number.valid => Some("is not in its country's numbering plan".to_owned()),
                Ok(_) => known.and_then(|known| known.problem.clone()),
            },
            cost: known.map_or(0, |known| known.cost),
        }
    }
}

impl Shown<'_> {
    fn csv(&self) -> String {
        let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string()).unwrap_or_default();
        let cells = [
            self.row.to_string(),
            self.input.to_owned(),
            self.number.clone().unwrap_or_default(),
            self.verdict.to_owned(),
            self.country.clone().unwrap_or_default(),
            self.r#type.unwrap_or_default().to_owned(),
            self.operator.unwrap_or_default().to_owned(),
            self.mccmnc.map(|code| code.to_string()).unwrap_or_default(),
            self.duplicate_of.map(|row| row.to_string()).unwrap_or_default(),
            flag(self.ported),
            flag(self.reachable),
            flag(self.reassigned),
            flag(self.disposable),
            flag(self.opted_out),
            self.problem.clone().unwrap_or_default(),
            self.cost.to_string(),
        ];
        cells.map(|text| cell(&text)).join(",") + "\r\n"
    }
}

/// What stands before the rows.
pub fn opening(form: Form) -> &'static str {
    match form {
        Form::Csv => COLUMNS,
        Form::Json => "{\"data\":[",
    }
}

/// The rows from a place on (`None`: from the first), and where the next ones begin; `None` behind the end, which then is
/// written too.
pub async fn chunk(
    app: &App,
    cleaning: &Kept,
    form: Form,
    from: Option<i64>,
) -> Result<(String, Option<i64>), StoreError> {
    let (rows, next) = cleaning.rows(app, from).await?;
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let shown = Shown::from(row);
        match form {
            Form::Csv => text.push_str(&shown.csv()),
            Form::Json => {
                text.push_str(if from.is_some() || at > 0 { ",\n" } else { "\n" });
                text.push_str(&serde_json::to_string(&shown).unwrap_or_default());
            }
        }
    }
    if next.is_none() && form == Form::Json {
        text.push_str("\n]}\n");
    }
    Ok((text, next))
}
