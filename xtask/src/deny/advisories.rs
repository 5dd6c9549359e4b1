//! Known vulnerabilities of what is built in, by a checkout of RustSec's database: one file an advisory, with a block of
//! TOML before its text.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use semver::{Version, VersionReq};
use toml::Table;

/// What is known of one crate.
#[derive(Debug)]
struct Advisory {
    id: String,
    /// The first heading of its text.
    title: String,
    /// No vulnerability, but worth knowing: `unmaintained`, `unsound`, `notice`.
    informational: Option<String>,
    /// Versions that it does not concern: patched ones, and those that never had the fault.
    safe: Vec<VersionReq>,
}

/// What concerns the crates that are locked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Vulnerabilities.
    pub wrong: Vec<String>,
    /// What is only worth knowing.
    pub notes: Vec<String>,
}

/// Looks crates up, as name and version. `accepted`: identifiers of advisories that are left out, and why.
pub fn concern(
    database: &Path,
    crates: impl Iterator<Item = (String, String)>,
    accepted: &BTreeMap<String, String>,
) -> Result<Concerns, String> {
    let mut concerns = Concerns::default();
    for (name, version) in crates {
        let parsed = Version::parse(&version).map_err(|error| format!("{name} {version}: {error}"))?;
        for advisory in advisories(&database.join("crates").join(&name))? {
            if accepted.contains_key(&advisory.id) || advisory.safe.iter().any(|safe| safe.matches(&parsed)) {
                continue;
            }
            let Advisory { id, title, informational, .. } = advisory;
            match informational {
                Some(kind) => concerns.notes.push(format!("{name} {version}: {id} ({kind}): {title}")),
                None => concerns
                    .wrong
                    .push(format!("{name} {version}: {id}: {title}; update it, or accept it in deny.toml")),
            }
        }
    }
    Ok(concerns)
}

/// Those in a crate's directory; most crates have none.
fn advisories(directory: &Path) -> Result<Vec<Advisory>, String> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| format!("{}: {error}", directory.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let read = fs::read_to_string(&path).map_err(|error| error.to_string());
        let read = read.and_then(|text| Advisory::read(&text));
        found.extend(read.map_err(|error| format!("{}: {error}", path.display()))?);
    }
    Ok(found)
}

impl Advisory {
    /// Reads a file; `None` when what it says was taken back.
    fn read(text: &str) -> Result<Option<Self>, String> {
        let block = text.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```"));
        let (block, text) = block.ok_or("there is no block of TOML")?;
        let read: Table = block.parse().map_err(|error| format!("{error}"))?;
        let advisory = read.get("advisory").ok_or("`advisory` is missing")?;
        if advisory.get("withdrawn").is_some() {
            return Ok(None);
        }
        let field = |name: &str| advisory.get(name).and_then(toml::Value::as_str).map(str::to_owned);
        let mut safe = Vec::new();
        for list in ["patched", "unaffected"] {
            let ranges = read.get("versions").and_then(|versions| versions.get(list)?.as_array());
            for range in ranges.into_iter().flatten().filter_map(toml::Value::as_str) {
                safe.push(VersionReq::parse(range).map_err(|error| format!("`{range}`: {error}"))?);
            }
        }
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned();
        let id = field("id").ok_or("`id` is missing")?;
        Ok(Some(Advisory { id, title, informational: field("informational"), safe }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Scratch;

    const FAULT: &str = "```toml\n[advisory]\nid = \"RUSTSEC-1\"\n\n[versions]\npatched = [\">= 1.2.3, < 1.3.0\", \">= 1.3.1\"]\n\
                         unaffected = [\"< 0.9\"]\n```\n\n# It overflows\n\nBadly.\n";
    const OLD: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2\"\ninformational = \"unmaintained\"\n[versions]\npatched = []\n```\n# Gone\n";
    const TAKEN_BACK: &str =
        "```toml\n[advisory]\nid = \"RUSTSEC-3\"\nwithdrawn = \"2026-01-01\"\n```\n# Wrong\n";

    fn of(version: &str, accepted: &[&str]) -> Concerns {
        let scratch = Scratch::new().unwrap();
        let directory = scratch.0.join("crates/loose");
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in [("1.md", FAULT), ("2.md", OLD), ("3.md", TAKEN_BACK)] {
            fs::write(directory.join(name), text).unwrap();
        }
        let crates = [("loose", version), ("sound", "1.0.0")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let accepted = accepted.iter().map(|id| ((*id).to_owned(), "why".to_owned())).collect();
        concern(&scratch.0, crates.into_iter(), &accepted).unwrap()
    }

    #[test]
    fn versions_with_a_fault_are_found() {
        for (version, wrong) in
            [("1.2.2", true), ("1.2.3", false), ("1.3.0", true), ("2.0.0", false), ("0.8.9", false)]
        {
            let concerns = of(version, &[]);
            let said =
                format!("loose {version}: RUSTSEC-1: It overflows; update it, or accept it in deny.toml");
            assert_eq!(concerns.wrong, if wrong { vec![said] } else { vec![] });
            assert_eq!(concerns.notes, [format!("loose {version}: RUSTSEC-2 (unmaintained): Gone")]);
        }
        assert_eq!(of("1.2.2", &["RUSTSEC-1", "RUSTSEC-2"]), Concerns::default());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(Advisory::read("# no block").is_err());
        assert!(Advisory::read("```toml\n[versions]\n```\n").is_err());
        assert!(
            Advisory::read("```toml\n[advisory]\nid = \"x\"\n[versions]\npatched = [\"soon\"]\n```\n")
                .is_err()
        );
    }
}
