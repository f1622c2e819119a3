//! Bodies of requests and answers, and their conversions to and from the coordinator's types.
//!
//! Field names here are the contract. Requests refuse unknown fields; answers leave absent ones out.

mod amount;
mod batch;
mod batch_answer;
mod change;
mod check;
mod decision;
mod figure;
mod limit;
mod notification;
mod provider_usage;
mod request;
mod reservation;
mod schema;
mod settle;
mod status;
mod text;
mod usage;
mod words;

pub use amount::{Amount, Charged, CostMap, GivenAmount, parse_amount};
pub use batch::{BatchBody, BatchItem, BatchOperation, MAX_OPERATIONS};
pub use batch_answer::{BatchResult, BatchResults};
pub use change::{ChangeBody, ChangeList, TicketBody};
pub use check::Check;
pub use decision::{DecisionBody, Denied, Granted};
pub use figure::{Counter, CounterUsage, percentage, shown};
pub use limit::{AlterationBody, AuditPage, LimitBody, LimitInForceBody, LimitList};
pub use notification::{NotificationBody, NotificationList, StatusCause};
pub use provider_usage::ProviderUsage;
pub use request::{EstimateBody, RecordBody, ReserveBody, ResetBody};
pub use reservation::{Reservation, ReservationPage};
pub use settle::{CommitBody, ExtendBody, Extended, ExtendedBody, ReleaseByKeyBody, Settled};
pub use status::{Errors, Gauge, PartitionCounts, StatusBody, StatusData};
pub use text::{Entries, Instant, Labels, LimitName, UnitName};
pub use usage::{Cleared, Recorded, UsagePage};
pub use words::{Authority, CallOutcome, CounterStatus, Level, Mode, Priority, Reason, ReservationState, Status};

#[cfg(test)]
pub mod examples;
