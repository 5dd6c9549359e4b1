//! `seawall init`

use clap::Args;

use super::{Failure, Place, block_on, output};
use crate::serve;

#[derive(Args, Debug)]
pub(super) struct InitArgs {
    #[command(flatten)]
    place: Place,
    /// Name of the account.
    #[arg(long, value_name = "NAME", default_value = "default")]
    account: String,
    /// Id of the first subaccount.
    #[arg(long, value_name = "ID")]
    subaccount: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InitArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    let made = block_on(serve::init(&config, &args.account, args.subaccount.as_deref()))??;
    if args.json {
        return Ok(output::json(&made)?);
    }
    output::pairs(&[
        ("account", &format!("{} ({})", made.account, made.account_id)),
        ("subaccount", &made.subaccount_id),
        ("API key", &made.api_key),
        ("admin token", &made.admin_token),
    ])?;
    Ok(output::line("\nThe key and the token are shown only now. Start the gateway with `seawall serve`.")?)
}
