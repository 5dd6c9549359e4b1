//! From a written value to the thing that it means, or to what would have been right.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use seawall_core::time::span;
use toml::Value;

/// Any text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "write text in quotes".to_owned())
}

/// A web address without a path; comes without the slash at its end.
pub(super) fn origin(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let fix = || "write where people reach it, such as \"https://sms.example.com\"".to_owned();
    let url = reqwest::Url::parse(text.trim()).map_err(|_| fix())?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let known = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.has_host();
    if plain && known { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(fix()) }
}

/// Text that is not empty.
pub(super) fn some_text(value: &Value) -> Result<Option<String>, String> {
    match text(value)?.trim() {
        "" => Err("is empty; leave the key out instead".to_owned()),
        text => Ok(Some(text.to_owned())),
    }
}

/// `true` or `false`.
pub(super) fn switch(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "write true or false, without quotes".to_owned())
}

/// Address and port.
pub(super) fn address(value: &Value) -> Result<SocketAddr, String> {
    let fix = "not an address with a port; write e.g. \"127.0.0.1:8080\" or \"[::]:8080\"";
    text(value)?.trim().parse().map_err(|_| fix.to_owned())
}

/// A whole number within bounds.
pub(super) fn count(bounds: RangeInclusive<u64>) -> impl FnOnce(&Value) -> Result<u64, String> {
    move |value| {
        let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
        let fix = format!("write a whole number from {} to {}, without quotes", bounds.start(), bounds.end());
        number.filter(|n| bounds.contains(n)).ok_or(fix)
    }
}

/// A duration within bounds.
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> impl FnOnce(&Value) -> Result<Duration, String> {
    move |value| {
        let read = value.as_str().and_then(|t| span::parse(t.trim())).filter(|d| bounds.contains(d));
        let (from, to) = (span::format(*bounds.start()), span::format(*bounds.end()));
        read.ok_or_else(|| format!("write a duration from {from} to {to}, e.g. \"30s\" (ms, s, m, h, d)"))
    }
}

/// A size in bytes within bounds.
pub(super) fn size(bounds: RangeInclusive<usize>) -> impl FnOnce(&Value) -> Result<usize, String> {
    move |value| {
        let fix = format!(
            "write a size from {} to {} bytes, e.g. 65536 or \"64KiB\"",
            bounds.start(),
            bounds.end()
        );
        bytes(value).filter(|n| bounds.contains(n)).ok_or(fix)
    }
}

fn bytes(value: &Value) -> Option<usize> {
    let Some(text) = value.as_str() else {
        return usize::try_from(value.as_integer()?).ok();
    };
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// Several texts.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let fix = "write a list of texts, e.g. [\"10.0.0.0/8\"]";
    value.as_array().ok_or(fix)?.iter().map(|v| v.as_str().map(str::to_owned).ok_or(fix.to_owned())).collect()
}

/// Networks; an address alone is a network of one.
pub(super) fn networks(value: &Value) -> Result<Vec<IpNet>, String> {
    let network = |text: String| {
        let alone = || text.trim().parse::<IpAddr>().map(IpNet::from);
        let fix = || format!("`{text}` is not a network; write e.g. \"10.0.0.0/8\" or \"2001:db8::/32\"");
        text.trim().parse().or_else(|_| alone()).map_err(|_| fix())
    };
    texts(value)?.into_iter().map(network).collect()
}

/// The name of an HTTP header.
pub(super) fn header_name(value: &Value) -> Result<String, String> {
    let name = text(value)?.trim().to_ascii_lowercase();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let good = !name.is_empty() && name.len() <= 64 && name.bytes().all(token);
    let fix = "not the name of a header; write e.g. \"x-forwarded-for\"";
    good.then_some(name).ok_or_else(|| fix.to_owned())
}

/// One of some words.
pub(super) fn word<T: Copy>(words: &[(&str, T)]) -> impl FnOnce(&Value) -> Result<T, String> {
    move |value| {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| format!("write {}", known.join(" or ")))
    }
}
