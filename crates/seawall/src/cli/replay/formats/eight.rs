//! 8x8: the export of messages (24 columns) and the objects of message details and delivery receipts.

use seawall_core::trace::{IfSent, Line, Op, Sms, Text, To};

use super::record::{EVERYBODY, Learned, Made, Passed, Record, Wrong};
use super::value;

/// One message. Its text may be masked, which hides what it links to and nothing else.
pub(super) fn message(record: &Record) -> Result<Made, Wrong> {
    if record.get(&["direction"]).is_some_and(|way| way == "0" || way.eq_ignore_ascii_case("inbound")) {
        return Ok(Made::Passed(Passed::Inbound));
    }
    let mut learned = Learned::default();
    let id = record.need(&["umid"])?.to_owned();
    let t = value::time(record, &["createdat", "status.timestamp"], &mut learned)?;
    let to = match value::number(record.need(&["msisdn", "destination"])?) {
        Ok(to) => to,
        Err(why) => return Ok(Made::Passed(why)),
    };
    let price = ["pricetotal", "price.total"];
    let price_micros = value::price(record, &price, &["pricecurrency", "price.currency"], &mut learned)?;
    let delivered = value::delivered(record.get(&["statusvalue", "status.state"]));
    let op = Op::SmsSend(Sms {
        to: To(Text::from(to)),
        text: Text::from(record.get(&["body"]).unwrap_or_default().to_owned()),
        known_number: false,
        price_micros,
        if_sent: Some(IfSent { delivered, ..IfSent::default() }),
        if_challenged: EVERYBODY,
    });
    let subaccount = record.get(&["subaccountid"]).map(|id| Text::from(id.to_owned()));
    let line =
        Line { t, id: id.into(), subaccount, client: Default::default(), caller: None, op, truth: None };
    Ok(Made::Line(Box::new(line), learned))
}
