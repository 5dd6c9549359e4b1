//! `cargo xtask data --from DIR`: builds the tracked tables below `data/` from their sources. `data/README.md`
//! names the sources; the same sources give the same bytes. `cargo xtask data --plans` builds the numbering plans
//! alone, whose source is the library that is linked.

mod addresses;
mod codes;
mod layers;
mod numbers;
mod places;
mod plans;
mod read;

use std::time::Instant;

use crate::sources::root;
use read::From;

/// What the tables may take together: they are part of the binary.
const MOST: usize = 8_000_000;

/// A table to be written.
pub struct File {
    name: &'static str,
    bytes: Vec<u8>,
}

fn file(name: &'static str, bytes: Vec<u8>) -> File {
    File { name, bytes }
}

type Build = fn(&From) -> Result<Vec<File>, String>;

const BUILDS: &[(&str, Build)] = &[
    ("addresses", addresses::build),
    ("numbering plans", |_| plans::build()),
    ("operators", numbers::operators),
    ("disposable numbers", numbers::disposable),
    ("time zones", places::zones),
    ("portability", places::portable),
    ("prices", places::prices),
];

const USAGE: &str = "usage: cargo xtask data --from DIR, or cargo xtask data --plans";

pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [flag] if flag == "--plans" => plans::build()?.iter().try_for_each(write),
        [flag, dir] if flag == "--from" => all(dir),
        [flag, ..] => Err(format!("unknown option {flag}; {USAGE}")),
        [] => Err(USAGE.to_owned()),
    }
}

fn all(dir: &str) -> Result<(), String> {
    let from = From::new(dir)?;
    let mut files = Vec::new();
    for (name, build) in BUILDS {
        let start = Instant::now();
        files.extend(build(&from)?);
        println!("{name}: {:.1} s", start.elapsed().as_secs_f64());
    }
    let total = files.iter().map(|file| file.bytes.len()).sum::<usize>();
    if total > MOST {
        return Err(format!("{total} bytes are more than {MOST}; nothing was written"));
    }
    files.iter().try_for_each(write)?;
    println!("{total:9} bytes together");
    Ok(())
}

fn write(file: &File) -> Result<(), String> {
    let path = root().join("data").join(file.name);
    let same = std::fs::read(&path).is_ok_and(|bytes| bytes == file.bytes);
    println!("{:9} {}{}", file.bytes.len(), file.name, if same { "" } else { " (changed)" });
    if same {
        Ok(())
    } else {
        std::fs::write(&path, &file.bytes).map_err(|e| format!("{}: {e}", path.display()))
    }
}
