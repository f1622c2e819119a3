//! A caller that is known by its key.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Reach, Role, Roles};
use crate::{
    domain::PoolId,
    http::problem::{FieldError, Problem},
};

/// Who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Principal {
    name: Arc<str>,
    roles: Roles,
    pools: Option<Arc<[PoolId]>>,
    reach: Reach,
    expires_at: Option<Timestamp>,
}

impl Principal {
    /// A principal of that name, with those roles, in those pools (`None` = all).
    pub fn new(name: &str, roles: Roles, pools: Option<&[PoolId]>) -> Self {
        Self { name: name.into(), roles, pools: pools.map(Into::into), reach: Reach::default(), expires_at: None }
    }

    /// The same, confined to some values of the scope.
    pub fn within(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The same, until an instant.
    pub fn until(self, expires_at: Option<Timestamp>) -> Self {
        Self { expires_at, ..self }
    }

    /// The values of the scope that it is confined to.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Has its key expired, by this node's clock?
    pub fn is_expired(&self) -> bool {
        self.expires_in().is_some_and(|rest| rest.is_zero())
    }

    /// For how long its key is good; `None` where that has no end.
    pub fn expires_in(&self) -> Option<Duration> {
        let expires_at = self.expires_at?;
        Some(Duration::try_from(expires_at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO))
    }

    /// The name of the key.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Does it have the role?
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(role)
    }

    /// May it see the pool?
    pub fn sees(&self, pool: &PoolId) -> bool {
        self.pools.as_ref().is_none_or(|pools| pools.contains(pool))
    }

    /// Is it confined to some pools?
    pub fn is_confined(&self) -> bool {
        self.pools.is_some()
    }

    /// The pool that a request is about: the one that it names, else the only one that the caller sees.
    ///
    /// `place` makes the error for a request that had to name one.
    pub fn choose<'a, I: Iterator<Item = &'a PoolId>>(
        &self,
        wanted: Option<&str>,
        configured: impl FnOnce() -> I,
        place: fn(String) -> FieldError,
    ) -> Result<PoolId, Problem> {
        if let Some(wanted) = wanted {
            let pool = PoolId::new(wanted).map_err(|e| Problem::validation(vec![place(e.to_string())]))?;
            return if self.sees(&pool) { Ok(pool) } else { Err(forbidden(&pool)) };
        }
        let visible: Vec<&PoolId> = configured().filter(|pool| self.sees(pool)).collect();
        match visible.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(Problem::forbidden("this key sees none of the configured pools")),
            several => {
                let names = several.iter().map(|pool| pool.as_str()).collect::<Vec<_>>().join(", ");
                Err(Problem::validation(vec![place(format!("name a pool; this key sees several: {names}"))]))
            }
        }
    }
}

fn forbidden(pool: &PoolId) -> Problem {
    Problem::forbidden(format!("this key may not use pool `{pool}`"))
}
