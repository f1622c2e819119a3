//! Changes after a cursor, as a list; and tickets.

use poem::{Request, http::StatusCode};
use poem_openapi::{OpenApi, param::Query};

use super::{Live, command::Wanted, query::Target, upgrade::origin_of};
use crate::{
    domain::Position,
    events::filter::View,
    http::{
        Tag,
        answer::Answer,
        auth::{Auth, Read},
        headers::millis,
        problem::{FieldError, Problem, from_coordinator},
        query::{Args, page_size},
        wire::{ChangeBody, ChangeList, TicketBody},
    },
};

/// Operations on status changes.
pub struct EventsApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Usage")]
impl EventsApi {
    /// List status changes
    ///
    /// Changes after a cursor, oldest first; without one, what is still kept. A cursor from which this cannot be
    /// told is answered 410 with the reason: read the status and go on from its cursor.
    #[oai(path = "/events", method = "get", operation_id = "list_events")]
    async fn list(
        &self,
        auth: Auth<Read>,
        /// The pool; the first that the key sees where it is not named.
        pool: Query<Option<String>>,
        /// Only what concerns this workspace.
        workspace_id: Query<Option<String>>,
        /// The position after which to begin.
        cursor: Query<Option<String>>,
        /// Most changes to list: 1 to 200.
        limit: Query<Option<u32>>,
        request: &Request,
    ) -> Result<Answer<ChangeList>, Problem> {
        let caller = auth.0;
        Args::of(request, &["pool", "workspace_id", "cursor", "limit"])?;
        let most = page_size(limit.0)?;
        let bad_cursor = || Problem::validation(vec![FieldError::parameter("cursor", "is not a cursor of this system")]);
        let after = cursor.0.as_deref().map(|text| Position::from_cursor(text).ok_or_else(bad_cursor)).transpose()?;
        let wanted = Wanted { pool: pool.0, workspace_id: workspace_id.0, ..Wanted::default() };
        let target = Target::of(wanted, &caller.principal, &caller.state)?;
        let live = Live::of(&caller.state)?;
        let kept = live.hub().changes(&target.pool, after).await.map_err(|error| from_coordinator(error, ""))?;
        let changes = kept.map_err(|gone| {
            let detail = format!("{}: the oldest change that is kept is {}", gone.reason.as_str(), gone.oldest);
            Problem::new(StatusCode::GONE, "cursor_expired", "Cursor expired", detail)
        })?;
        let filter = target.filter();
        let mut list = Vec::new();
        let mut cursor = changes.top;
        let mut prev = changes.from;
        let mut has_more = false;
        let visible = changes.events.iter().map(|event| (event, filter.view(&event.change)));
        for (event, view) in visible.filter(|(_, view)| *view != View::Hidden) {
            if list.len() == most {
                has_more = true;
                break;
            }
            list.push(ChangeBody::new(&target.pool, prev, event, view));
            prev = event.position.seq;
            cursor = event.position;
        }
        if !has_more {
            cursor = changes.top;
        }
        Ok(Answer::ok(ChangeList { events: list, cursor: cursor.to_cursor(), has_more }))
    }

    /// Make a ticket
    ///
    /// For pages that cannot send a header with a WebSocket: put it into the URL as `ticket`. It is good once, for a
    /// short time, through any node, and only from the page's own origin.
    #[oai(path = "/ws-tickets", method = "post", operation_id = "make_ticket")]
    async fn ticket(&self, auth: Auth<Read>, request: &Request) -> Result<Answer<TicketBody>, Problem> {
        let caller = auth.0;
        let live = Live::of(&caller.state)?;
        let ticket = live.issue_ticket(&caller.state, &caller.principal, origin_of(request)).await?;
        Ok(Answer::ok(TicketBody { ticket, expires_in_ms: millis(live.0.settings.ticket) }))
    }
}
