//! The coordinator as one caller may use it: every request is confined to the caller's scope on its way in, and every
//! answer shows no more than that on its way out. Operations know no other way to the coordinator.

use super::reach::{self, Reach};
use crate::{
    coordinator::{
        Coordinator,
        notifications::Notification,
        types::{
            Ask, Commit, CoordinatorError, Decision, Extend, Extended, Metadata, Principal, Record, Recorded, Release,
            ReservationView, Reserve, Reset, Settled, Usage, Verdict,
        },
    },
    domain::{PoolId, Scope},
    events::filter::View,
    http::problem::{FieldError, Problem, from_coordinator},
};

/// See the module's documentation.
pub struct Guarded<'a> {
    coordinator: &'a Coordinator,
    reach: &'a Reach,
}

fn unknown() -> Problem {
    from_coordinator(CoordinatorError::UnknownReservation, "")
}

impl<'a> Guarded<'a> {
    /// The coordinator within a reach.
    pub(super) fn new(coordinator: &'a Coordinator, reach: &'a Reach) -> Self {
        Self { coordinator, reach }
    }

    /// The scope that the caller's request stands for.
    pub fn confine(&self, scope: Scope) -> Result<Scope, Problem> {
        self.reach.confine(scope)
    }

    /// A model that is named in the estimate alone stands for the scope's.
    fn ask(&self, mut ask: Ask) -> Result<Ask, Problem> {
        if let Some(model) = ask.estimate.as_ref().and_then(|estimate| estimate.model.as_deref())
            && self.reach.confines("model")
            && ask.scope.get("model").is_none()
        {
            let scope = Scope::new(ask.scope.iter().chain([("model", model)]));
            ask.scope = scope.map_err(|error| Problem::validation(vec![FieldError::at("/scope", error)]))?;
        }
        ask.scope = self.reach.confine(ask.scope)?;
        Ok(ask)
    }

    /// A reservation of another scope does not exist for the caller.
    async fn owned(&self, id: &str) -> Result<(), Problem> {
        if !self.reach.is_confined() {
            return Ok(());
        }
        match self.coordinator.scopes_of_allowed(id).await.map_err(|e| from_coordinator(e, ""))? {
            Some(scopes) if scopes.iter().all(|scope| self.reach.owns(scope)) => Ok(()),
            Some(_) => Err(unknown()),
            None => self.reservation(id).await.map(|_| ()),
        }
    }

    /// [`Coordinator::reserve`].
    pub async fn reserve(&self, mut request: Reserve) -> Result<Decision, Problem> {
        request.ask = self.ask(request.ask)?;
        let mut decision = self.coordinator.reserve(request).await.map_err(|e| from_coordinator(e, "/cost"))?;
        self.reach.veil(&mut decision.figures);
        Ok(decision)
    }

    /// [`Coordinator::check`].
    pub async fn check(&self, ask: Ask) -> Result<Verdict, Problem> {
        let mut verdict = self.coordinator.check(self.ask(ask)?).await.map_err(|e| from_coordinator(e, "/cost"))?;
        self.reach.veil(&mut verdict.figures);
        Ok(verdict)
    }

    /// [`Coordinator::record`].
    pub async fn record(&self, mut request: Record) -> Result<Recorded, Problem> {
        request.ask = self.ask(request.ask)?;
        let mut recorded = self.coordinator.record(request).await.map_err(|e| from_coordinator(e, "/cost"))?;
        self.reach.veil(&mut recorded.figures);
        Ok(recorded)
    }

    /// [`Coordinator::commit`].
    pub async fn commit(&self, request: Commit) -> Result<Settled, Problem> {
        self.owned(&request.reservation).await?;
        self.coordinator.commit(request).await.map_err(|e| from_coordinator(e, "/cost"))
    }

    /// [`Coordinator::release`]. By key, a caller reaches nothing but what it reserved itself.
    pub async fn release(&self, request: Release) -> Result<Settled, Problem> {
        if let Release::Reservation(id) = &request {
            self.owned(id).await?;
        }
        self.coordinator.release(request).await.map_err(|e| from_coordinator(e, ""))
    }

    /// [`Coordinator::extend`].
    pub async fn extend(&self, request: Extend) -> Result<Extended, Problem> {
        self.owned(&request.reservation).await?;
        let mut extended = self.coordinator.extend(request).await.map_err(|e| from_coordinator(e, "/add_cost"))?;
        if let Extended::Denied(decision) = &mut extended {
            self.reach.veil(&mut decision.figures);
        }
        Ok(extended)
    }

    /// [`Coordinator::reset`].
    pub async fn reset(&self, mut request: Reset) -> Result<u64, Problem> {
        request.scope = self.reach.confine(request.scope)?;
        self.coordinator.reset(request).await.map_err(|e| from_coordinator(e, ""))
    }

    /// [`Coordinator::usage`].
    pub async fn usage(&self, pool: &PoolId, scope: Scope, after: Option<&str>, limit: usize) -> Result<Usage, Problem> {
        let scope = self.reach.confine(scope).map_err(Problem::in_query)?;
        let mut usage = self.coordinator.usage(pool, &scope, after, limit).await.map_err(|e| from_coordinator(e, ""))?;
        self.reach.veil(&mut usage.figures);
        Ok(usage)
    }

    /// [`Coordinator::usage_of`].
    pub async fn usage_of(&self, pool: &PoolId, scope: Scope) -> Result<Usage, Problem> {
        let scope = self.reach.confine(scope).map_err(Problem::in_query)?;
        let mut usage = self.coordinator.usage_of(pool, &scope).await.map_err(|e| from_coordinator(e, ""))?;
        self.reach.veil(&mut usage.figures);
        Ok(usage)
    }

    /// [`Coordinator::reservation`].
    pub async fn reservation(&self, id: &str) -> Result<ReservationView, Problem> {
        let view = self.coordinator.reservation(id).await.map_err(|e| from_coordinator(e, ""))?;
        if self.reach.owns(&view.scope) { Ok(view) } else { Err(unknown()) }
    }

    /// [`Coordinator::reservations`].
    pub async fn reservations(
        &self,
        pool: &PoolId,
        scope: Scope,
        metadata: &Metadata,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ReservationView>, Option<String>), Problem> {
        let scope = self.reach.confine(scope).map_err(Problem::in_query)?;
        self.coordinator.reservations(pool, &scope, metadata, after, limit).await.map_err(|e| from_coordinator(e, ""))
    }

    /// [`Coordinator::notifications`]: the caller's own, and of what all share that it stands.
    pub async fn notifications(&self, pool: &PoolId, scope: Scope) -> Result<Vec<Notification>, Problem> {
        let scope = self.reach.confine(scope).map_err(Problem::in_query)?;
        let list = self.coordinator.notifications(pool, &scope).await.map_err(|e| from_coordinator(e, ""))?;
        if !self.reach.is_confined() {
            return Ok(list);
        }
        let filter = self.reach.filter(scope);
        let visible = list.into_iter().filter_map(|mut notification| {
            match filter.view_of(&notification.partition) {
                View::Hidden => return None,
                View::Full => {}
                View::Status => {
                    notification.message = format!("{}. Its figures are not for this key.", notification.title);
                    notification.acknowledged = None;
                    notification.figures.clear();
                }
            }
            Some(notification)
        });
        Ok(visible.collect())
    }

    /// [`Coordinator::acknowledge`]. It speaks for everybody, so what all share is not the caller's to acknowledge.
    pub async fn acknowledge(&self, pool: &PoolId, scope: Scope, id: &str, by: &Principal) -> Result<Notification, Problem> {
        let scope = self.reach.confine(scope).map_err(Problem::in_query)?;
        if self.reach.is_confined() {
            let list = self.notifications(pool, scope.clone()).await?;
            let unknown = || from_coordinator(CoordinatorError::UnknownNotification, "");
            let found = list.into_iter().find(|notification| notification.id == id).ok_or_else(unknown)?;
            if self.reach.filter(scope.clone()).view_of(&found.partition) != View::Full {
                let detail = "the notification concerns everybody who uses the pool";
                return Err(reach::forbidden(FieldError::parameter("id", detail)));
            }
        }
        self.coordinator.acknowledge(pool, &scope, id, by).await.map_err(|e| from_coordinator(e, ""))
    }
}
