//! Twilio: the message log (console export, API list), and the attempts of Verify.

use seawall_core::trace::{IfSent, Line, Op, Sms, Start, Text, To};

use super::record::{EVERYBODY, Learned, Made, Passed, Record, Wrong};
use super::value;

/// A confirmation whose time the log does not tell comes so long after sending (milliseconds).
pub(super) const ASSUMED: u64 = 30_000;
/// A code lives so long (milliseconds); a log that says "updated" later means something else.
const VALID: u128 = 600_000;

/// One message of the log.
pub(super) fn message(record: &Record) -> Result<Made, Wrong> {
    if record.get(&["direction"]).is_some_and(|way| way.to_ascii_lowercase().starts_with("inbound")) {
        return Ok(Made::Passed(Passed::Inbound));
    }
    let mut learned = Learned::default();
    let id = record.need(&["sid"])?.to_owned();
    let t = value::time(record, &["datecreated", "sentdate", "datesent"], &mut learned)?;
    let to = record.need(&["to"])?;
    if to.contains(':') {
        return Ok(Made::Passed(Passed::OtherChannel));
    }
    let to = match value::number(to) {
        Ok(to) => to,
        Err(why) => return Ok(Made::Passed(why)),
    };
    let op = Op::SmsSend(Sms {
        to: To(Text::from(to)),
        text: Text::from(record.get(&["body"]).unwrap_or_default().to_owned()),
        known_number: false,
        price_micros: value::price(record, &["price"], &["priceunit"], &mut learned)?,
        if_sent: Some(IfSent { delivered: value::delivered(record.get(&["status"])), ..IfSent::default() }),
        if_challenged: EVERYBODY,
    });
    let subaccount = record.get(&["messagingservicesid", "accountsid"]);
    Ok(Made::Line(Box::new(line(t, id, subaccount, op)), learned))
}

/// One attempt of Verify: a code that was sent, and whether it was confirmed.
pub(super) fn attempt(record: &Record) -> Result<Made, Wrong> {
    if record.get(&["channel"]).is_some_and(|channel| !channel.eq_ignore_ascii_case("sms")) {
        return Ok(Made::Passed(Passed::OtherChannel));
    }
    let mut learned = Learned::default();
    let id = record.need(&["sid"])?.to_owned();
    let t = value::time(record, &["datecreated"], &mut learned)?;
    let to = match value::number(record.need(&["channeldata.to"])?) {
        Ok(to) => to,
        Err(why) => return Ok(Made::Passed(why)),
    };
    let delivered = value::delivered(record.get(&["channeldata.messagestatus"]));
    let if_sent =
        IfSent { confirm_after_ms: confirmed(record, t, &mut learned)?, wrong_checks: 0, delivered };
    let op = Op::VerifyStart(Start {
        to: To(Text::from(to)),
        known_number: false,
        price_micros: value::price(record, &["price.value"], &["price.currency"], &mut learned)?,
        if_sent,
        if_challenged: EVERYBODY,
    });
    Ok(Made::Line(Box::new(line(t, id, record.get(&["servicesid"]), op)), learned))
}

/// Milliseconds from sending to the right code.
fn confirmed(
    record: &Record,
    sent: seawall_core::time::Timestamp,
    learned: &mut Learned,
) -> Result<Option<u64>, Wrong> {
    const STATUS: [&str; 1] = ["conversionstatus"];
    match record.need(&STATUS)?.to_ascii_lowercase().as_str() {
        "unconverted" => Ok(None),
        "converted" => {
            let updated = record.get(&["dateupdated"]).is_some();
            let after = match updated {
                true => value::time(record, &["dateupdated"], learned)?.since(sent).as_millis(),
                false => 0,
            };
            if (1..=VALID).contains(&after) {
                return Ok(u64::try_from(after).ok());
            }
            learned.assumed_time = true;
            Ok(Some(ASSUMED))
        }
        other => Err(record.wrong(&STATUS, format!("`{other}` is neither converted nor unconverted"))),
    }
}

fn line(
    t: seawall_core::time::Timestamp,
    id: String,
    subaccount: Option<&str>,
    op: Op<'static>,
) -> Line<'static> {
    let subaccount = subaccount.map(|id| Text::from(id.to_owned()));
    Line { t, id: id.into(), subaccount, client: Default::default(), caller: None, op, truth: None }
}
