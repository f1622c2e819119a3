//! Integration tests: one binary, real servers.

mod events_feed;
mod events_order;
mod events_repair;
mod lockstep;
mod support;
