//! The five operations of a collection, the same for each: a macro, because the description of an operation
//! is made from its function.

/// Makes a module with `create`, `list`, `get`, `patch` and `delete`.
macro_rules! collection {
    ($module:ident, $collection:ident, $input:ident, $view:ident, $path:literal, $nouns:literal, $noun:literal) => {
        pub mod $module {
            use std::sync::Arc;

            use axum::extract::State;
            use axum::http::StatusCode;
            use serde_json::Value;
            use utoipa::openapi::{RefOr, Schema};
            use utoipa::{PartialSchema, ToSchema};

            use crate::app::App;
            use crate::app::collections::{
                self,
                $module::{$collection, $input, $view},
            };
            use crate::http::admin::auth::Admin;
            use crate::http::admin::page::{List, PageQuery, cursor, place, size};
            use crate::http::admin::patch;
            use crate::http::extract::{Json, Path, Query};
            use crate::http::native::{answers::Refused, whole};

            /// A merge patch, for the description.
            pub struct Change;

            impl PartialSchema for Change {
                fn schema() -> RefOr<Schema> {
                    patch::schema::<$input>()
                }
            }

            impl ToSchema for Change {
                fn name() -> std::borrow::Cow<'static, str> {
                    patch::name::<$input>()
                }

                fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                    <$input as ToSchema>::schemas(schemas);
                }
            }

            /// Add one.
            #[utoipa::path(
                        post,
                        path = concat!("/admin/v1/", $path),
                        operation_id = concat!("create", $noun),
                        tag = "set-up",
                        request_body = $input,
                        responses((status = 201, description = "It is stored and in force.", body = $view)),
                        security(("admin_token" = []))
                    )]
            pub async fn create(
                State(app): State<Arc<App>>,
                admin: Admin,
                Json(body): Json<Value>,
            ) -> Result<(StatusCode, axum::Json<$view>), Refused> {
                let work = async move { collections::create::<$collection>(&app, &admin.actor, body).await };
                Ok((StatusCode::CREATED, axum::Json(whole(work).await?)))
            }

            /// All of them, oldest first.
            #[utoipa::path(
                        get,
                        path = concat!("/admin/v1/", $path),
                        operation_id = concat!("list", $nouns),
                        tag = "set-up",
                        params(PageQuery),
                        responses((status = 200, description = "A page.", body = List<$view>)),
                        security(("admin_token" = []))
                    )]
            pub async fn list(
                State(app): State<Arc<App>>,
                _admin: Admin,
                Query(page): Query<PageQuery>,
            ) -> Result<axum::Json<List<$view>>, Refused> {
                let limit = size(page.limit)?;
                let after = place(&app, $path, page.cursor.as_deref())?;
                let after = after.as_deref().and_then(|place| place.split_once(' '));
                let after = after.and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
                let (data, next) = collections::list::<$collection>(&app, after, limit).await?;
                let next_cursor = next.map(|(at, id)| cursor(&app, $path, &format!("{at} {id}")));
                Ok(axum::Json(List { data, next_cursor }))
            }

            /// One.
            #[utoipa::path(
                        get,
                        path = concat!("/admin/v1/", $path, "/{id}"),
                        operation_id = concat!("get", $noun),
                        tag = "set-up",
                        params(("id" = String, Path, description = "Its id or its unique name.")),
                        responses((status = 200, description = "As it is.", body = $view)),
                        security(("admin_token" = []))
                    )]
            pub async fn get(
                State(app): State<Arc<App>>,
                _admin: Admin,
                Path(id): Path<String>,
            ) -> Result<axum::Json<$view>, Refused> {
                Ok(axum::Json(collections::get::<$collection>(&app, &id).await?))
            }

            /// Change some fields of one: a JSON merge patch, checked as a whole.
            #[utoipa::path(
                        patch,
                        path = concat!("/admin/v1/", $path, "/{id}"),
                        operation_id = concat!("change", $noun),
                        tag = "set-up",
                        params(("id" = String, Path, description = "Its id or its unique name.")),
                        request_body = Change,
                        responses((status = 200, description = "As it is now, in force.", body = $view)),
                        security(("admin_token" = []))
                    )]
            pub async fn patch(
                State(app): State<Arc<App>>,
                admin: Admin,
                Path(id): Path<String>,
                Json(body): Json<Value>,
            ) -> Result<axum::Json<$view>, Refused> {
                let work =
                    async move { collections::patch::<$collection>(&app, &admin.actor, &id, body).await };
                Ok(axum::Json(whole(work).await?))
            }

            /// Delete one.
            #[utoipa::path(
                        delete,
                        path = concat!("/admin/v1/", $path, "/{id}"),
                        operation_id = concat!("delete", $noun),
                        tag = "set-up",
                        params(("id" = String, Path, description = "Its id or its unique name.")),
                        responses((status = 204, description = "It is gone.")),
                        security(("admin_token" = []))
                    )]
            pub async fn delete(
                State(app): State<Arc<App>>,
                admin: Admin,
                Path(id): Path<String>,
            ) -> Result<StatusCode, Refused> {
                let work = async move { collections::delete::<$collection>(&app, &admin.actor, &id).await };
                whole(work).await?;
                Ok(StatusCode::NO_CONTENT)
            }
        }
    };
}

pub(super) use collection;
