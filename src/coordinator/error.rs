//! Failures of the coordinator.

use std::time::Duration;

use crate::domain::PlanError;

/// Why the coordinator could not answer. A denial is not among these: it is an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CoordinatorError {
    /// No such pool in this node's configuration.
    #[error("pool `{pool}` does not exist; configured are: {known}")]
    UnknownPool {
        /// As given.
        pool: String,
        /// What exists.
        known: String,
    },
    /// No such limit in the pool.
    #[error("limit `{limit}` does not exist in pool `{pool}`")]
    UnknownLimit {
        /// The pool.
        pool: String,
        /// As given.
        limit: String,
    },
    /// The scope is not valid (with the estimate's model in it).
    #[error(transparent)]
    Scope(#[from] crate::domain::scope::InvalidScope),
    /// The request's costs do not fit the pool's limits.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Never seen, or forgotten after its retention.
    #[error(
        "reservation not found: it never existed or was forgotten; a use that happened can be recorded with POST /api/quota/usage"
    )]
    UnknownReservation,
    /// No such notification stands (any more).
    #[error("no such notification stands; what it said may be over")]
    UnknownNotification,
    /// Settled before, in another way.
    #[error("the reservation was already settled in another way")]
    AlreadySettled,
    /// Released before.
    #[error("the reservation was already released")]
    AlreadyReleased,
    /// The lease ended; it cannot be prolonged.
    #[error("the lease has ended")]
    LeaseEnded,
    /// The total lease would pass 24 hours, or the reservation would hold more amounts than a record keeps.
    #[error("a lease cannot pass 24 hours in total, nor take more than 255 amounts")]
    LeaseTooLong,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used before with another request")]
    IdempotencyMismatch,
    /// The store did not answer within its deadline, or is away.
    #[error("the store is unavailable: {reason}")]
    StoreUnavailable {
        /// For the log and the caller; names no secret.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The node holds as many waiting requests as it may.
    #[error("too many requests are waiting for pool `{pool}`")]
    Overloaded {
        /// The pool.
        pool: String,
    },
    /// The store answered something that this version does not understand.
    #[error("internal error: {0}")]
    Internal(String),
}
