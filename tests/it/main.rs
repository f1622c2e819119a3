//! Integration tests: one binary, real servers.

mod exact;
mod lease_end;
mod lockstep;
mod races;
mod settlement;
mod statuses;
mod support;
