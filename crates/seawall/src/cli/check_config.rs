//! `seawall check-config`

use clap::Args;

use super::{Failure, Place, output};
use crate::http::door::Tls;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    place: Place,
    /// Print the configuration in force, with the source of every value.
    #[arg(long)]
    print: bool,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    if let Some(files) = &config.tls {
        Tls::load(files).map_err(Failure::Wrong)?;
    }
    for warning in &config.warnings {
        eprintln!("seawall: warning: {warning}");
    }
    let say = if args.print { config.effective().trim_end() } else { "The configuration is in order." };
    Ok(output::line(say)?)
}
