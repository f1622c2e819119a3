//! Pure values and rules: no I/O, no clock, no HTTP, no Redis.
//!
//! One word for one thing: a **pool** is one shared supply of quota; a **limit** one ceiling in it; a
//! **scope** says who asks and for what; a **partition** is the part of a scope that a limit's `per`
//! keys select; a **counter** is one limit for one partition; a **group** is all counters of a pool
//! with the same partition, kept and decided together. **Cost** is units asked for or used.

pub mod event;
pub mod ids;
pub mod limit;
pub mod period;
pub mod plan;
pub mod pool;
pub mod price;
pub mod scope;
pub mod status;
pub mod unit;
pub mod usage;

pub use event::{EventId, Position, QuotaEvent};
pub use ids::{LimitId, Number, PoolId};
pub use limit::{Kind, Limit, Mode, OnLeaseEnd, OnStoreFailure, Priority, Settle};
pub use plan::{Estimate, PlanError};
pub use pool::{Pool, Provider};
pub use price::{Price, Prices, TokenUse};
pub use scope::{GroupId, Partition, Scope};
pub use status::{CounterStatus, PoolStatus};
pub use unit::{Cost, Unit};
