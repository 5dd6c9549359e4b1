//! Matches as CSV.

use super::super::lists::csv::cell;
use super::report::{Example, Report};

const HEADER: &str = "decision_id,at,operation,subaccount_id,to,country,client_ip,verdict,with_rule,later_verified,\
                      price,currency,reasons,count\r\n";

/// A line for each match, false positives first. No cell begins like a formula.
pub fn csv(report: &Report) -> String {
    let mut out = String::with_capacity(HEADER.len() + report.examples.len() * 200);
    out.push_str(HEADER);
    report.examples.iter().for_each(|example| line(example, &mut out));
    out
}

fn line(example: &Example, out: &mut String) {
    let cells = [
        example.decision_id.clone(),
        example.at.to_rfc3339(),
        example.operation.as_str().to_owned(),
        example.subaccount_id.clone(),
        // Without `+`, which a spreadsheet would take for the start of a formula.
        example.to.trim_start_matches('+').to_owned(),
        example.country.clone(),
        example.client_ip.clone().unwrap_or_default(),
        example.verdict.to_owned(),
        example.with_rule.to_owned(),
        example.later_verified.to_string(),
        example.price.map(|micros| micros.to_string()).unwrap_or_default(),
        example.currency.clone().unwrap_or_default(),
        example.reasons.join(" "),
        example.count.to_string(),
    ];
    out.push_str(&cells.map(|text| cell(&text)).join(","));
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::request::Operation;
    use seawall_core::time::Timestamp;

    #[test]
    fn a_line_has_a_cell_for_each_title_and_none_is_a_formula() {
        let mut out = String::new();
        let example = Example {
            decision_id: "dec_1".to_owned(),
            at: Timestamp::from_millis(0),
            operation: Operation::SmsSend,
            subaccount_id: "=cmd|x".to_owned(),
            to: "+659123xxxx".to_owned(),
            country: "SG".to_owned(),
            client_ip: None,
            verdict: "allow",
            with_rule: "block",
            later_verified: true,
            price: Some(-1),
            currency: None,
            reasons: vec!["a".to_owned(), "b".to_owned()],
            count: 1,
        };
        line(&example, &mut out);
        assert_eq!(
            out,
            "dec_1,1970-01-01T00:00:00.000Z,sms.send,'=cmd|x,659123xxxx,SG,,allow,block,true,'-1,,a b,1\r\n"
        );
        assert_eq!(HEADER.split(',').count(), out.split(',').count());
    }
}
