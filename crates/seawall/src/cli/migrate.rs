//! `seawall migrate`

use clap::Args;

use super::{Failure, Place, block_on, output};
use crate::serve;

#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    let done = block_on(serve::migrate(&config))?.map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(output::line(&done)?)
}
