//! Everything that speaks HTTP: the door (room 1), then one module for each dialect (rooms 2, 3 and 8).

pub mod admin;
pub mod bearer;
pub mod callbacks;
pub mod docs;
pub mod door;
pub mod eight;
pub mod extract;
pub mod health;
pub mod metrics;
pub mod multipart;
pub mod native;
pub mod not_me;
pub mod openapi;
pub mod problem;
pub mod rate_limit;
pub mod strict;
pub mod twilio;
pub mod voice;
pub mod well_known;

use std::sync::Arc;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::config::Config;

/// The gateway's whole HTTP surface.
pub fn router(app: Arc<App>) -> Router {
    let (router, mut api) = assembled(&app.config).split_for_parts();
    let router = router.merge(openapi::served(&mut api)).with_state(app.clone());
    door::finish(router, &app.config, app.metrics.clone())
}

/// Every route and its description.
fn assembled(config: &Config) -> OpenApiRouter<Arc<App>> {
    let own_listener = config.metrics.listen.is_some();
    let metrics = if own_listener { OpenApiRouter::default() } else { metrics::router() };
    [
        native::router(config),
        admin::router(),
        docs::router(),
        health::router(),
        well_known::router(),
        metrics,
        callbacks::router(),
        not_me::router(),
        voice::router(),
        twilio::router(),
    ]
    .into_iter()
    .fold(eight::router(), OpenApiRouter::merge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn config() -> Config {
        Config::load(None, std::iter::empty(), crate::config::Overrides::default()).unwrap()
    }

    fn document() -> Value {
        let mut api = assembled(&config()).into_openapi();
        drop(openapi::served::<Arc<App>>(&mut api));
        openapi::describe(&api)
    }

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        let methods = paths.iter().flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        methods.collect()
    }

    #[test]
    fn the_tracked_document_is_what_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let served = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &served).unwrap();
        }
        let tracked = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            tracked == served,
            "openapi.json is out of date; write it with UPDATE_DOCS=1 and read the difference"
        );
    }

    #[test]
    fn operations_have_names_of_their_own_and_known_security() {
        let document = document();
        let mut names: Vec<&str> = Vec::new();
        for (which, operation) in operations(&document) {
            let name = operation["operationId"].as_str();
            names.push(name.unwrap_or_else(|| panic!("{which} has no operationId")));
            for scheme in operation["security"].as_array().into_iter().flatten().filter_map(Value::as_object)
            {
                for name in scheme.keys() {
                    let known = &document["components"]["securitySchemes"][name];
                    assert!(known.is_object(), "{which}: security scheme {name} is not described");
                }
            }
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "an operationId is used twice");
    }

    #[test]
    fn references_lead_somewhere() {
        let document = document();
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer} is not described");
        }
    }

    #[test]
    fn no_name_of_a_schema_means_two_things() {
        let config = config();
        let parts = [eight::router(), native::router(&config), admin::router(), health::router()];
        let mut seen = std::collections::BTreeMap::new();
        for schemas in parts.into_iter().filter_map(|part| part.into_openapi().components) {
            for (name, schema) in schemas.schemas {
                let schema = serde_json::to_value(schema).unwrap();
                let before = seen.insert(name.clone(), schema.clone());
                assert!(before.is_none_or(|before| before == schema), "{name}");
            }
        }
    }
}
