//! Clear counters.

use poem_openapi::OpenApi;

use super::{
    Tag,
    answer::Answer,
    auth::{Admin, Auth},
    body::Body,
    problem::Problem,
    wire::{Cleared, ResetBody},
};

/// Operations that only an admin may do.
pub struct ResetApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Admin")]
impl ResetApi {
    /// Reset
    ///
    /// Clears the counters of a pool, of one limit, or of a scope. What was reserved before is not refunded into a
    /// cleared counter.
    #[oai(path = "/reset", method = "post", operation_id = "reset")]
    async fn reset(&self, auth: Auth<Admin>, body: Body<ResetBody>) -> Result<Answer<Cleared>, Problem> {
        let caller = auth.0;
        let reset = body.0.into_reset(&caller)?;
        let cleared = caller.coordinator().reset(reset).await?;
        Ok(Answer::ok(Cleared { cleared }))
    }
}
