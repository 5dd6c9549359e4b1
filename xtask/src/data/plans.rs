//! Numbering plans: the patterns by which the library rlibphonenumber knows a valid number, folded into one automaton
//! (`seawall_core::msisdn::plans` reads it). The patterns are the library's own, as this build links it.
//!
//! The table knows what the library would say of `+` and the digits: valid, of this country and this kind, and written
//! as it is. All else is left to the library: invalid numbers, and those from which it might take a national prefix.

mod automaton;
mod pattern;
mod region;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use prost::Message;
use rlibphonenumber::PhoneMetadataCollection;
use serde_json::Value;

use super::{File, file};
use automaton::Automaton;
use region::{Code, Region};

pub fn build() -> Result<Vec<File>, String> {
    Ok(vec![file("number_plans.bin", table()?)])
}

/// The table of the library's patterns.
fn table() -> Result<Vec<u8>, String> {
    let mut codes: BTreeMap<i32, Vec<Region>> = BTreeMap::new();
    for metadata in metadata()?.metadata {
        let Some(code) = metadata.country_code else { continue };
        let main = metadata.main_country_for_code();
        let (regions, region) = (codes.entry(code).or_default(), Region::read(metadata)?);
        // The library's order: the main country first, the others as they come.
        regions.insert(if main { 0 } else { regions.len() }, region);
    }
    let mut automaton = Automaton::default();
    for (code, regions) in codes {
        automaton.add(code, &Code::new(code, regions)?)?;
    }
    let states = automaton.finish()?;
    println!("numbering plans: {} states", states.len());
    write::write(&states).ok_or_else(|| "the automaton does not fit its format".to_owned())
}

fn metadata() -> Result<PhoneMetadataCollection, String> {
    let path = library()?.join("src/generated/metadata/metadata.bin");
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    PhoneMetadataCollection::decode(bytes.as_slice()).map_err(|error| format!("{}: {error}", path.display()))
}

/// Where the source of the library lies that is linked here.
fn library() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let output = Command::new(cargo).args(arguments).current_dir(crate::sources::root()).output();
    let output = output.map_err(|error| format!("cargo metadata: {error}"))?;
    let all: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = all.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ours = packages.iter().find(|one| one.get("name").is_some_and(|name| name == "rlibphonenumber"));
    let manifest = ours.and_then(|one| one.get("manifest_path")?.as_str()).map(PathBuf::from);
    let dir = manifest.and_then(|manifest| manifest.parent().map(PathBuf::from));
    dir.ok_or_else(|| "cargo metadata names no rlibphonenumber".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tracked_table_is_of_the_library_that_is_linked() {
        let tracked = std::fs::read(crate::sources::root().join("data/number_plans.bin")).unwrap();
        assert!(tracked == table().unwrap(), "run cargo xtask data: the library's patterns have changed");
    }
}
