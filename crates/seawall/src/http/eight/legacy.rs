//! Older spellings of SMS paths; requests and answers are the same.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, post};

use super::{sms_batch, sms_manage, sms_send};
use crate::app::App;

/// The aliases. They are not in `/openapi.json`: nobody should begin to use them.
pub(super) fn router() -> Router<Arc<App>> {
    ["/sms/v1", "/api/v1"].into_iter().fold(Router::new(), |router, base| {
        router
            .route(&format!("{base}/{{subAccountId}}/single"), post(sms_send::send))
            .route(&format!("{base}/{{subAccountId}}/single/{{umid}}"), delete(sms_manage::cancel))
            .route(&format!("{base}/{{subAccountId}}/many"), post(sms_batch::send))
            .route(&format!("{base}/{{subAccountId}}/many/compact"), post(sms_batch::send))
            .route(&format!("{base}/{{subAccountId}}/many/{{batchId}}"), delete(sms_manage::cancel_all))
    })
}
