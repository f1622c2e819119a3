//! Integration tests: one binary, real servers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; its clock, its tasks and its environment are the machine's own"
)]

mod architecture;
mod asyncapi;
mod cli;
mod cli_dev;
mod data_loss;
mod denial_cache;
mod events_feed;
mod events_order;
mod events_repair;
mod exact;
mod http_auth;
mod http_bad_input;
mod http_decisions;
mod http_limits;
mod http_round;
mod http_scope;
mod http_shutdown;
mod keys;
mod lease_end;
mod listing;
mod live_chaos;
mod live_close;
mod live_hostile;
mod live_repair;
mod live_ws;
mod lockstep;
mod lua_contract;
mod manifests;
mod metrics;
mod notifications;
mod periods;
mod prices;
mod races;
mod retry_after;
mod server_faults;
mod settlement;
mod statuses;
mod store_away;
mod support;
mod watch;
