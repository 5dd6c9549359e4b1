//! `seawall import`

use clap::Args;

use super::{Failure, Place, block_on, output};
use crate::serve;

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    if config.store.postgres.is_none() {
        let say =
            "store.url has to name the PostgreSQL database to import into, and --data-dir the embedded store";
        return Err(Failure::Wrong(say.to_owned()));
    }
    let counts = block_on(serve::import(&config))?.map_err(|error| error.to_string())?;
    if args.json {
        let counts: serde_json::Map<_, _> =
            counts.into_iter().map(|(table, rows)| (table.to_owned(), rows.into())).collect();
        return Ok(output::json(&counts)?);
    }
    let shown: Vec<(&str, String)> =
        counts.iter().filter(|(_, rows)| *rows > 0).map(|(table, rows)| (*table, rows.to_string())).collect();
    output::pairs(&shown.iter().map(|(table, rows)| (*table, rows.as_str())).collect::<Vec<_>>())?;
    Ok(output::line("Everything is in PostgreSQL; the embedded store is kept as seawall.db.imported")?)
}
