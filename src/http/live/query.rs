//! What a client wants to follow, checked against what its key may see.

use poem::Request;

use super::command::Wanted;
use crate::{
    domain::{PoolId, Position, Scope},
    events::Filter,
    http::{
        HttpState,
        auth::{Principal, Reach},
        problem::{FieldError, Problem},
        query::Args,
    },
};

/// Parameters of the URL.
pub const KNOWN: &[&str] = &["pool", "workspace_id", "cursor", "ticket", "scope."];

/// Something that may be followed.
#[derive(Clone, Debug)]
pub struct Target {
    /// The pool.
    pub pool: PoolId,
    /// As it was asked for; shown in answers.
    pub workspace_id: Option<String>,
    /// Which events.
    pub scope: Scope,
    /// What its key sees of it.
    pub reach: Reach,
    /// Where to go on; a cursor that cannot be read is none.
    pub cursor: Option<Position>,
}

/// The URL's parameters as a wish.
pub fn of_request(request: &Request) -> Result<Wanted, Problem> {
    let args = Args::of(request, KNOWN)?;
    let text = |name: &str| args.get(name).map(str::to_owned);
    let scope = args.scope()?.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(Wanted { pool: text("pool"), workspace_id: text("workspace_id"), scope, cursor: text("cursor") })
}

impl Target {
    /// Checks a wish. A pool that is not named is the first that the key sees.
    pub fn of(wanted: Wanted, principal: &Principal, state: &HttpState) -> Result<Self, Problem> {
        let Wanted { pool, workspace_id, mut scope, cursor } = wanted;
        let pools = state.coordinator().pools();
        let place = |detail| FieldError::parameter("pool", detail);
        let first = pools.iter().map(|pool| &pool.id).find(|id| pool.is_none() && principal.sees(id));
        let pool = match first {
            Some(first) => first.clone(),
            None => principal.choose(pool.as_deref(), || pools.iter().map(|pool| &pool.id), place)?,
        };
        state.coordinator().pool(&pool).map_err(|error| crate::http::problem::from_coordinator(error, ""))?;
        if let Some(workspace) = &workspace_id {
            scope.insert("workspace".to_owned(), workspace.clone());
        }
        let scope = Scope::new(scope).map_err(|error| {
            let name = error.key().map_or_else(|| "scope".to_owned(), |key| format!("scope.{key}"));
            Problem::validation(vec![FieldError::parameter(name, error)])
        })?;
        let scope = principal.reach().confine(scope).map_err(Problem::in_query)?;
        let workspace_id = scope.get("workspace").map(str::to_owned);
        let cursor = cursor.as_deref().and_then(Position::from_cursor);
        Ok(Self { pool, workspace_id, scope, reach: principal.reach().clone(), cursor })
    }

    /// Which events are told, and how much of them.
    pub fn filter(&self) -> Filter {
        self.reach.filter(self.scope.clone())
    }
}
