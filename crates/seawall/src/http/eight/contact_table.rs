//! A table of contacts, as spreadsheets write it: which column is what, and every row as a contact or as what is wrong.

use std::collections::HashMap;

use seawall_core::msisdn::Msisdn;
use serde_json::{Map, Value, json};

use super::contacts::{ADDRESSES, understood};
use super::error::{Answer, Refused};
use super::numbers;
use crate::app::contacts::batches::{Row, Upload};
use crate::app::contacts::groups::Group;
use crate::app::lists::csv::Line;

/// Rows of one table.
pub(super) const MOST_ROWS: usize = 200_000;
/// Wrong rows that are told.
const SHOWN: usize = 100;
/// Characters of the name of a column of the caller's own.
const NAME: usize = 64;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    /// A field of a contact.
    Field(&'static str),
    /// An address, the number among them.
    Address(&'static str),
    /// Something of the caller's own.
    Custom(String),
    /// Nothing: it has no name.
    Nothing,
}

impl Column {
    /// By its name, however that is written.
    fn of(name: &str) -> Self {
        let name = name.trim();
        let plain: String =
            name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match plain.as_str() {
            "" => Self::Nothing,
            "msisdn" | "phone" | "phonenumber" | "mobile" | "mobilenumber" | "telephone" => {
                Self::Address("msisdn")
            }
            "firstname" | "givenname" => Self::Field("firstName"),
            "lastname" | "surname" | "familyname" => Self::Field("lastName"),
            "externalid" => Self::Field("externalId"),
            "country" | "countrycode" => Self::Field("country"),
            "emailaddress" => Self::Address("email"),
            plain => match ADDRESSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(plain)) {
                Some((known, _)) => Self::Address(known),
                None => Self::Custom(name.chars().filter(|c| !c.is_control()).take(NAME).collect()),
            },
        }
    }
}

fn columns(names: &[String]) -> Answer<Vec<Column>> {
    let columns: Vec<Column> = names.iter().map(|name| Column::of(name)).collect();
    for (at, column) in columns.iter().enumerate() {
        if *column != Column::Nothing && columns.iter().skip(at + 1).any(|other| other == column) {
            let message =
                format!("Invalid parameter: two columns are the same, the {}th is one of them", at + 1);
            return Err(Refused::bad(1000, message));
        }
    }
    if columns.iter().any(|column| matches!(column, Column::Address(_))) {
        return Ok(columns);
    }
    let message = "Invalid parameter: no column is an address; name one msisdn or email, in the header or in fileColumns";
    Err(Refused::bad(1000, message))
}

/// Understands a table. `named`: its columns, when it has no header. Every contact goes into `groups`, ids of `all`.
pub(super) fn rows(
    lines: Vec<Line>,
    named: Option<&str>,
    groups: &[u64],
    all: &[(Group, usize)],
) -> Answer<(Vec<Row>, Upload)> {
    let mut lines = lines.into_iter();
    let columns = match named {
        Some(named) => columns(&named.split(',').map(str::to_owned).collect::<Vec<_>>())?,
        None => columns(&lines.next().map(|(_, cells)| cells).unwrap_or_default())?,
    };
    if lines.len() == 0 || lines.len() > MOST_ROWS {
        return Err(Refused::bad(1000, format!("Invalid file: it needs 1 to {MOST_ROWS} rows of contacts")));
    }
    let mut upload = Upload { total_rows: lines.len(), contact_groups: groups.len(), ..Upload::default() };
    let into: Vec<Value> = groups.iter().map(|id| json!({"id": id})).collect();
    let (mut found, mut seen) = (Vec::<Row>::new(), HashMap::<Msisdn, usize>::new());
    for (number, cells) in lines {
        match understood(numbers::written, &described(&columns, &cells, &into), all) {
            Err(refused) => {
                upload.error_rows += 1;
                if upload.errors.len() < SHOWN {
                    upload.errors.push((number, refused.message));
                }
            }
            Ok((msisdn, body)) => {
                let there = msisdn.and_then(|m| seen.get(&m)).and_then(|at| found.get_mut(*at));
                if let Some(there) = there {
                    upload.duplicated_rows += 1;
                    there.body = there.body.merged(body);
                    continue;
                }
                seen.extend(msisdn.map(|m| (m, found.len())));
                found.push(Row { msisdn, body });
            }
        }
    }
    Ok((found, upload))
}

/// A row as the request that would make its contact.
fn described(columns: &[Column], cells: &[String], groups: &[Value]) -> Value {
    let (mut fields, mut addresses, mut custom) = (Map::new(), Map::new(), Map::new());
    for (column, cell) in columns.iter().zip(cells) {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        let value = Value::from(cell);
        match column {
            Column::Field(name) => fields.insert((*name).to_owned(), value),
            Column::Address(name) => addresses.insert((*name).to_owned(), value),
            Column::Custom(name) => custom.insert(name.clone(), value),
            Column::Nothing => None,
        };
    }
    fields.insert("addresses".to_owned(), addresses.into());
    fields.insert("customAttributes".to_owned(), custom.into());
    fields.insert("groups".to_owned(), groups.to_vec().into());
    fields.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::lists::csv;

    fn rows(
        text: &str,
        named: Option<&str>,
        groups: &[u64],
        all: &[(Group, usize)],
    ) -> Answer<(Vec<Row>, Upload)> {
        let lines = csv::rows(text).map_err(|_| Refused::bad(1000, "broken"))?;
        super::rows(lines, named, groups, all)
    }

    #[test]
    fn columns_are_known_however_they_are_written() {
        for (name, column) in [
            ("MSISDN", Column::Address("msisdn")),
            (" Phone number ", Column::Address("msisdn")),
            ("first_name", Column::Field("firstName")),
            ("E-Mail", Column::Address("email")),
            ("lineId", Column::Address("lineId")),
            ("Loyalty tier", Column::Custom("Loyalty tier".to_owned())),
            ("", Column::Nothing),
        ] {
            assert_eq!(Column::of(name), column, "{name}");
        }
    }

    #[test]
    fn a_table_with_a_header_and_one_without() {
        let text = "msisdn;first name;tier;country\n'+6591234567;Jo;gold;\n91234568;Al;;SG\n12;;;\n6591234567;;;SG\n;;;\n";
        let (found, upload) = rows(text, None, &[], &[]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].body.custom_attributes["tier"], "gold");
        assert_eq!(found[0].body.country.as_deref(), Some("SG"), "a later row of the same number adds to it");
        assert_eq!(found[1].msisdn, Msisdn::from_e164("+6591234568"));
        assert_eq!((upload.total_rows, upload.error_rows, upload.duplicated_rows), (5, 2, 1));
        assert_eq!(upload.errors.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [4, 6]);
        assert!(!upload.errors[0].1.contains("12"), "no number is repeated: {:?}", upload.errors);
        let (found, _) = rows("+6591234567,Jo\n", Some("msisdn, firstName"), &[], &[]).unwrap();
        assert_eq!(found[0].body.first_name.as_deref(), Some("Jo"));
    }

    #[test]
    fn tables_that_are_none() {
        for (text, named) in [
            ("", None),
            ("msisdn\n", None),
            ("name,tier\na,b\n", None),
            ("msisdn,phone\n1,2\n", None),
            ("msisdn\n\"1\n", None),
            ("+6591234567\n", Some("firstName")),
        ] {
            assert!(rows(text, named, &[], &[]).is_err(), "{text:?}");
        }
    }
}
