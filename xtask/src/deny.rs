//! `cargo xtask deny`: licences, origins and banned crates, by `deny.toml`, and known vulnerabilities, where RustSec's
//! database can be reached (`SEAWALL_ADVISORIES` may name a checkout of it).
//!
//! cargo-deny would do the same and more, but takes longer to build than everything else here; these
//! few lines need only what `cargo metadata` and Cargo.lock say.

mod advisories;
mod database;
mod licence;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toml::Table;

use crate::sources::root;

/// deny.toml.
struct Rules {
    licences: BTreeSet<String>,
    source: String,
    banned: BTreeMap<String, String>,
    /// Advisories that do not concern us.
    accepted: BTreeMap<String, String>,
}

pub fn run(_: &[String]) -> Result<(), String> {
    let rules = Rules::read(&table("deny.toml")?)?;
    let locked = table("Cargo.lock")?;
    let mut wrong = origins(&rules, &locked);
    wrong.extend(licences(&rules, &metadata()?));
    let twice: Vec<String> = duplicates(&locked)
        .into_iter()
        .map(|(name, versions)| format!("{name} ({})", versions.join(", ")))
        .collect();
    if !twice.is_empty() {
        eprintln!("note: in more than one version: {}", twice.join(", "));
    }
    match database::checkout() {
        Ok(database) => wrong.extend(vulnerable(&rules, &locked, &database)?),
        Err(why) if database::is_named() => return Err(why),
        Err(why) => eprintln!("note: advisories were not looked at: {why}"),
    }
    wrong.iter().for_each(|line| eprintln!("{line}"));
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} dependencies are not allowed", wrong.len())) }
}

fn table(name: &str) -> Result<Table, String> {
    let text = std::fs::read_to_string(root().join(name)).map_err(|error| format!("{name}: {error}"))?;
    text.parse().map_err(|error| format!("{name}: {error}"))
}

impl Rules {
    fn read(table: &Table) -> Result<Self, String> {
        let text = |value: &toml::Value| value.as_str().map(str::to_owned);
        let list = table
            .get("licenses")
            .and_then(toml::Value::as_array)
            .ok_or("deny.toml: `licenses` is missing")?;
        let reasons = |name: &str| {
            let table = table.get(name).and_then(toml::Value::as_table);
            let table = table.ok_or_else(|| format!("deny.toml: `[{name}]` is missing"))?;
            Ok::<_, String>(table.iter().filter_map(|(what, why)| Some((what.clone(), text(why)?))).collect())
        };
        Ok(Rules {
            licences: list.iter().filter_map(text).collect(),
            source: table.get("source").and_then(text).ok_or("deny.toml: `source` is missing")?,
            banned: reasons("banned")?,
            accepted: reasons("accepted")?,
        })
    }
}

/// Crates of Cargo.lock: name, version, and source (`None`: ours).
fn locked_crates(locked: &Table) -> Vec<(String, String, Option<String>)> {
    let packages = locked.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let field = |package: &toml::Value, name: &str| {
        package.get(name).and_then(toml::Value::as_str).map(str::to_owned)
    };
    packages.filter_map(|p| Some((field(p, "name")?, field(p, "version")?, field(p, "source")))).collect()
}

fn origins(rules: &Rules, locked: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, version, source) in locked_crates(locked) {
        if let Some(why) = rules.banned.get(&name) {
            wrong.push(format!("{name} {version} is banned: {why}"));
        }
        if let Some(source) = source.filter(|source| !source.ends_with(&rules.source)) {
            wrong.push(format!("{name} {version} comes from {source}; only crates.io is allowed"));
        }
    }
    wrong
}

/// Says what is only worth knowing, and gives what must not be.
fn vulnerable(rules: &Rules, locked: &Table, database: &Path) -> Result<Vec<String>, String> {
    let theirs = locked_crates(locked).into_iter().filter(|(_, _, source)| source.is_some());
    let theirs = theirs.map(|(name, version, _)| (name, version));
    let found = advisories::concern(database, theirs, &rules.accepted)?;
    found.notes.iter().for_each(|note| eprintln!("note: {note}"));
    Ok(found.wrong)
}

fn duplicates(locked: &Table) -> Vec<(String, Vec<String>)> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version, _) in locked_crates(locked) {
        versions.entry(name).or_default().push(version);
    }
    versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect()
}

/// What cargo knows of the crates that are built on this kind of machine.
fn metadata() -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn licences(rules: &Rules, metadata: &Value) -> Vec<String> {
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let theirs = packages.filter(|package| package.get("source").is_some_and(|source| !source.is_null()));
    let refused = theirs.filter_map(|package| {
        let field = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
        let licence = field("license");
        let allowed = licence::is_allowed(licence, &|name| rules.licences.contains(name));
        (!allowed).then(|| {
            format!("{} {}: the licence `{licence}` is not allowed", field("name"), field("version"))
        })
    });
    refused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banned_and_foreign_crates_are_found() {
        let banned = BTreeMap::from([("openssl".to_owned(), "why".to_owned())]);
        let rules = Rules {
            licences: BTreeSet::new(),
            source: "registry".to_owned(),
            banned,
            accepted: BTreeMap::new(),
        };
        let lock = "[[package]]\nname='a'\nversion='1'\nsource='registry'\n[[package]]\nname='a'\nversion='2'\nsource='git'\n\
            [[package]]\nname='openssl'\nversion='1'\n";
        let lock: Table = lock.parse().unwrap();
        assert_eq!(origins(&rules, &lock).len(), 2);
        assert_eq!(duplicates(&lock), [("a".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
    }
}
