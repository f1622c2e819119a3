//! Integration tests: one binary, real servers.

mod lockstep;
mod support;
