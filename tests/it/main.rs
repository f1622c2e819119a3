//! Integration tests: one binary, real servers.

mod denial_cache;
mod exact;
mod lease_end;
mod lockstep;
mod periods;
mod races;
mod retry_after;
mod server_faults;
mod settlement;
mod statuses;
mod support;
