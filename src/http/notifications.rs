//! What a person should know now.

use poem::Request;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Caller, Read},
    problem::{FieldError, Problem},
    query::Args,
    wire::{NotificationBody, NotificationList},
};
use crate::domain::PoolId;

/// Operations on notifications.
pub struct NotificationsApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Notifications")]
impl NotificationsApi {
    /// List notifications
    ///
    /// One for each scope that is not normal, the worst first; at most 200. One that is over is gone.
    #[oai(path = "/notifications", method = "get", operation_id = "list_notifications")]
    async fn list(
        &self,
        auth: Auth<Read>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        /// Only this workspace, and the pool itself; short for `scope.workspace`.
        workspace_id: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<NotificationList>, Problem> {
        let caller = auth.0;
        let (_, scope) = (workspace_id, Args::of(request, &["pool", "workspace_id", "scope."])?.scope()?);
        let pool = pool_of(&caller, pool.0.as_deref())?;
        let list = caller.coordinator().notifications(&pool, scope).await?;
        let notifications = list.into_iter().map(Into::into).collect();
        Ok(Answer::ok(NotificationList { pool: pool.as_str().to_owned(), notifications }))
    }

    /// Acknowledge a notification
    ///
    /// Says for everybody that somebody has seen it. It stands until its status is over, and is not shown by itself again.
    #[oai(path = "/notifications/:id/ack", method = "post", operation_id = "acknowledge_notification")]
    async fn acknowledge(
        &self,
        auth: Auth<Read>,
        /// The notification's id.
        id: Path<String>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        /// As in the listing that it was found in.
        workspace_id: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<NotificationBody>, Problem> {
        let caller = auth.0;
        let (_, scope) = (workspace_id, Args::of(request, &["pool", "workspace_id", "scope."])?.scope()?);
        let pool = pool_of(&caller, pool.0.as_deref())?;
        let seen = caller.coordinator().acknowledge(&pool, scope, &id.0, caller.principal.name()).await?;
        Ok(Answer::ok(seen.into()))
    }
}

fn pool_of(caller: &Caller, pool: Option<&str>) -> Result<PoolId, Problem> {
    caller.pool(pool, |detail| FieldError::parameter("pool", detail))
}
