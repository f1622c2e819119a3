//! Integration tests: one binary, real servers.

mod exact;
mod lockstep;
mod races;
mod settlement;
mod support;
