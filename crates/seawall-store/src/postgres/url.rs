//! `postgres://user:password@host:port/database?…` as the driver wants it.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::Tls;
use crate::{Result, StoreError};

/// What each session is told: no statement runs for ever, and no transaction is left open.
const OPTIONS: &str =
    "-c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=20s";

fn wrong(why: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("the URL of PostgreSQL cannot be used: {why}"))
}

/// The configuration of a URL, and how it is encrypted. Beyond this machine it is, unless the URL says
/// `sslmode=disable`; `sslrootcert=FILE` names the authority that signed the server's certificate.
pub(super) fn read(url: &str) -> Result<(Config, Tls)> {
    let (url, roots) = take_parameter(url, "sslrootcert");
    let mut config: Config = url.parse().map_err(wrong)?;
    if !url.contains("sslmode=") {
        let here = config.get_hosts().iter().all(is_here);
        config.ssl_mode(if here { SslMode::Disable } else { SslMode::Require });
    }
    let options = config.get_options().map(|own| format!("{OPTIONS} {own}"));
    config.options(options.unwrap_or_else(|| OPTIONS.to_owned()));
    if config.get_application_name().is_none() {
        config.application_name("seawall");
    }
    config.connect_timeout(Duration::from_millis(1_500));
    config.tcp_user_timeout(Duration::from_secs(5)).keepalives_idle(Duration::from_secs(5));
    Ok((config, Tls::new(roots.as_deref())?))
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Takes a parameter that the driver does not know out of a URL.
fn take_parameter(url: &str, name: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let of = |part: &str| part.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned);
    let found = query.split('&').find_map(of);
    let left: Vec<&str> = query.split('&').filter(|part| of(part).is_none()).collect();
    let left = if left.is_empty() { base.to_owned() } else { format!("{base}?{}", left.join("&")) };
    (left, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_it_is_encrypted_unless_told_otherwise() {
        let mode = |url: &str| read(url).map(|(config, _)| config.get_ssl_mode());
        assert_eq!(mode("postgres://u:p@127.0.0.1/db").unwrap(), SslMode::Disable);
        assert_eq!(mode("postgres:///db?host=/run/postgresql").unwrap(), SslMode::Disable);
        assert_eq!(mode("postgres://u:p@db.example/db").unwrap(), SslMode::Require);
        assert_eq!(mode("postgres://u:p@db.example/db?sslmode=disable").unwrap(), SslMode::Disable);
        let error = mode("postgres://u:p@db.example/db?sslrootcert=/none").unwrap_err().to_string();
        assert!(error.contains("/none"), "{error}");
        let error = read("postgres://u:s3cret@h:port/db").err().unwrap().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
