//! `seawall serve`

use super::{Failure, ServeArgs, block_on, log};

pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = args.place.load(args.listen.clone())?;
    log::start(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(block_on(crate::serve::run(config))??)
}
