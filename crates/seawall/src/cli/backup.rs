//! `seawall backup`

use std::path::{Path, PathBuf};

use clap::Args;
use seawall_store::vault::KEY_FILE;
use serde_json::json;

use super::replay::progress::Progress;
use super::{Failure, Place, output};
use crate::app::backup::backup;

#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// File to write; it must not exist.
    file: PathBuf,
    /// Copy the installation's key into this file, too. Keep the two apart: together they open everything.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    if config.store.postgres.is_some() {
        let say = "this installation keeps its data in PostgreSQL: back that up with pg_dump or continuous archiving, \
             and installation.key apart from it (docs/operate.md)";
        return Err(Failure::Wrong(say.to_owned()));
    }
    let (dir, file) = (config.data_dir(), args.file.as_path());
    if args.key.as_deref().is_some_and(|key| key == file) {
        return Err(Failure::Wrong("--key has to name another file than the backup".to_owned()));
    }
    if let Some(taken) = [Some(file), args.key.as_deref()].into_iter().flatten().find(|path| path.exists()) {
        return Err(Failure::Failed(format!(
            "{} exists already; a backup replaces nothing",
            taken.display()
        )));
    }
    let progress = Progress::new(Some(1), false);
    let bytes = backup(dir, file, &mut |left, of| progress.pages(left, of)).map_err(|e| e.to_string())?;
    progress.finish();
    if let Some(key) = &args.key {
        copy_key(dir, key)?;
    }
    if args.json {
        return Ok(output::json(&json!({"file": file, "bytes": bytes, "key": args.key}))?);
    }
    output::line(&format!("{}: {bytes} bytes", file.display()))?;
    Ok(output::line(&match &args.key {
        Some(key) => format!("{}: the key that opens it; keep it apart from the backup", key.display()),
        None => format!(
            "The key is not in it. Nobody can read this backup without {}: keep a copy of that, apart from the backup \
             (--key FILE makes one).",
            dir.join(KEY_FILE).display()
        ),
    })?)
}

/// Copies the key for its owner's eyes only, on disk when this returns.
pub(super) fn copy_key(dir: &Path, to: &Path) -> Result<(), String> {
    copy_private(&dir.join(KEY_FILE), to)
}

/// Copies a small file for its owner's eyes only; the copy must not exist.
pub(super) fn copy_private(from: &Path, to: &Path) -> Result<(), String> {
    let bytes = std::fs::read(from).map_err(|e| format!("cannot read {}: {e}", from.display()))?;
    write_private(to, &bytes)
}

/// Writes a small file for its owner's eyes only; it must not exist.
pub(super) fn write_private(to: &Path, bytes: &[u8]) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", to.display());
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}
