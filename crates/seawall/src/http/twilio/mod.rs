//! Twilio's dialect: JSON in snake_case, HTTP Basic, errors as `{code, message, more_info, status}`. Twilio's own client
//! libraries need nothing but another base URL.

mod caller;
mod error;
mod packages;
mod phone_number;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use error::schema as error_schema;

/// The routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(phone_number::fetch))
}
