//! The settings of an SMPP provider.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::SettingsError;
use crate::settings::Reader;

const KEYS: [&str; 21] = [
    "host",
    "port",
    "system_id",
    "password",
    "system_type",
    "bind",
    "tls",
    "tls_ca_file",
    "tls_server_name",
    "window",
    "enquire_link_seconds",
    "reconnect_seconds",
    "response_timeout_seconds",
    "messages_per_second",
    "source_ton",
    "source_npi",
    "registered_delivery",
    "service_type",
    "gsm7_data_coding",
    "long_messages",
    "receipt_id",
];

/// Which way messages may flow over the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    Transceiver,
    Transmitter,
    Receiver,
}

/// How a message of several segments travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Long {
    /// One `submit_sm` a segment, joined by a user data header with an 8-bit reference.
    Udh,
    /// One `submit_sm` with the `message_payload` TLV; the SMSC splits.
    Payload,
}

/// How a receipt writes the id that `submit_sm_resp` gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiptId {
    /// The same way.
    AsGiven,
    /// `submit_sm_resp` is decimal and the receipt hexadecimal.
    Hex,
    /// `submit_sm_resp` is hexadecimal and the receipt decimal.
    Decimal,
}

/// Checked settings. The password is still a reference.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) system_id: String,
    pub(super) password: String,
    pub(super) system_type: String,
    pub(super) bind: Bind,
    pub(super) tls: bool,
    pub(super) tls_ca_file: Option<String>,
    pub(super) tls_server_name: Option<String>,
    pub(super) window: usize,
    pub(super) enquire_link: Duration,
    pub(super) reconnect: Duration,
    pub(super) response_timeout: Duration,
    pub(super) messages_per_second: Option<u32>,
    pub(super) source_ton: Option<u8>,
    pub(super) source_npi: Option<u8>,
    pub(super) registered_delivery: bool,
    pub(super) service_type: String,
    pub(super) gsm7_data_coding: u8,
    pub(super) long_messages: Long,
    pub(super) receipt_id: ReceiptId,
}

impl Settings {
    /// Reads and checks everything that can be checked without a connection or a secret.
    pub(super) fn read(settings: &Value, allow_insecure: bool) -> Result<Self, SettingsError> {
        let reader = Reader::root(settings, &KEYS)?;
        let host = reader.required_text("host")?.trim().to_owned();
        let tls = read_tls(&reader, &host, allow_insecure)?;
        let read = Settings {
            port: small(reader.integer("port", 1..=65_535)?).unwrap_or(if tls { 2776 } else { 2775 }),
            system_id: c_string(&reader, "system_id", 15, true)?,
            password: reader.secret("password")?.unwrap_or_default().to_owned(),
            system_type: c_string(&reader, "system_type", 12, false)?,
            bind: reader.choice("bind", &BINDS)?.unwrap_or(Bind::Transceiver),
            tls_ca_file: reader.text("tls_ca_file")?.map(str::to_owned),
            tls_server_name: reader.text("tls_server_name")?.map(str::to_owned),
            window: reader.integer("window", 1..=1000)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(10),
            enquire_link: reader.seconds("enquire_link_seconds", 0.05..=3600.0, 30.0)?,
            reconnect: reader.seconds("reconnect_seconds", 0.01..=60.0, 1.0)?,
            response_timeout: reader.seconds("response_timeout_seconds", 0.05..=120.0, 10.0)?,
            messages_per_second: small(reader.integer("messages_per_second", 1..=10_000)?),
            source_ton: small(reader.integer("source_ton", 0..=255)?),
            source_npi: small(reader.integer("source_npi", 0..=255)?),
            registered_delivery: reader.boolean("registered_delivery", true)?,
            service_type: c_string(&reader, "service_type", 5, false)?,
            gsm7_data_coding: small(reader.integer("gsm7_data_coding", 0..=255)?).unwrap_or(0),
            long_messages: reader.choice("long_messages", &LONG)?.unwrap_or(Long::Udh),
            receipt_id: reader.choice("receipt_id", &RECEIPT_ID)?.unwrap_or(ReceiptId::AsGiven),
            host,
            tls,
        };
        check_password(&reader, &read.password)?;
        Ok(read)
    }
}

const BINDS: [(&str, Bind); 3] =
    [("transceiver", Bind::Transceiver), ("transmitter", Bind::Transmitter), ("receiver", Bind::Receiver)];
const LONG: [(&str, Long); 2] = [("udh", Long::Udh), ("payload", Long::Payload)];
const RECEIPT_ID: [(&str, ReceiptId); 3] =
    [("as_given", ReceiptId::AsGiven), ("hex", ReceiptId::Hex), ("decimal", ReceiptId::Decimal)];

/// TLS unless the SMSC is on this machine or the operator says otherwise, twice.
fn read_tls(reader: &Reader<'_>, host: &str, allow_insecure: bool) -> Result<bool, SettingsError> {
    let loopback = is_loopback(host);
    let tls = reader.boolean("tls", !loopback)?;
    if !tls && !loopback && !allow_insecure {
        let problem = "false sends passwords and codes in clear; set true, or allow plain TCP \
                       with allow_insecure = true under [smpp] in the configuration";
        return Err(reader.error("tls", problem));
    }
    if !tls {
        for key in ["tls_ca_file", "tls_server_name"] {
            if reader.value(key).is_some() {
                return Err(reader.error(key, "has no effect while tls is false"));
            }
        }
    }
    Ok(tls)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A literal password can be checked now; a reference only when it is resolved.
fn check_password(reader: &Reader<'_>, password: &str) -> Result<(), SettingsError> {
    let reference = password.starts_with("env:") || password.starts_with("file:");
    if reference {
        Ok(())
    } else {
        fits_password(password).map_err(|problem| reader.error("password", problem))
    }
}

/// SMPP 3.4 allows 8 characters; longer ones cannot be sent.
pub(super) fn fits_password(password: &str) -> Result<(), String> {
    fits(password, 8)
}

fn c_string(reader: &Reader<'_>, key: &str, most: usize, required: bool) -> Result<String, SettingsError> {
    let text = if required { reader.required_text(key)? } else { reader.text(key)?.unwrap_or_default() };
    fits(text, most).map_err(|problem| reader.error(key, problem))?;
    Ok(text.to_owned())
}

fn fits(text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        Ok(())
    } else {
        Err(format!("must be at most {most} ASCII characters, as SMPP 3.4 has it"))
    }
}

fn small<T: TryFrom<u64>>(number: Option<u64>) -> Option<T> {
    number.and_then(|number| T::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(settings: Value) -> String {
        Settings::read(&settings, false).err().unwrap().to_string()
    }

    #[test]
    fn defaults() {
        let settings = Settings::read(&json!({"host": "127.0.0.1", "system_id": "seawall"}), false).unwrap();
        assert!(!settings.tls, "loopback needs none");
        assert_eq!((settings.port, settings.window, settings.bind), (2775, 10, Bind::Transceiver));
        assert_eq!(settings.response_timeout, Duration::from_secs(10));
        let remote = Settings::read(&json!({"host": "smpp.example", "system_id": "s"}), false).unwrap();
        assert!(remote.tls);
        assert_eq!(remote.port, 2776);
    }

    #[test]
    fn plain_tcp_leaves_the_machine_only_when_allowed() {
        let settings = json!({"host": "smpp.example", "system_id": "s", "tls": false});
        assert!(problem(settings.clone()).contains("allow_insecure"));
        assert!(Settings::read(&settings, true).is_ok());
        for host in ["localhost", "127.0.0.9", "::1", "[::1]"] {
            assert!(Settings::read(&json!({"host": host, "system_id": "s"}), false).is_ok(), "{host}");
        }
        assert!(
            problem(json!({"host": "127.0.0.1.example", "system_id": "s", "tls": false})).contains("tls")
        );
    }

    #[test]
    fn bad_values_are_named_without_secrets() {
        assert!(problem(json!({"system_id": "s"})).starts_with("settings.host"));
        assert!(problem(json!({"host": "localhost", "systemid": "s"})).contains("\"system_id\""));
        let long = problem(json!({"host": "localhost", "system_id": "s", "password": "123456789"}));
        assert!(long.contains("settings.password") && !long.contains("123456789"), "{long}");
        assert!(
            problem(json!({"host": "localhost", "system_id": "s", "window": 1001})).contains("1 to 1000")
        );
        assert!(
            problem(json!({"host": "localhost", "system_id": "s", "bind": "sender"})).contains("receiver")
        );
    }
}
