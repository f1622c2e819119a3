//! Integration tests: one binary, real servers.

mod denial_cache;
mod exact;
mod keys;
mod lease_end;
mod listing;
mod lockstep;
mod lua_contract;
mod periods;
mod races;
mod retry_after;
mod server_faults;
mod settlement;
mod statuses;
mod support;
