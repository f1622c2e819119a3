//! Admission control for shared LLM provider quotas.
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod domain;
pub mod events;
pub mod private_redis;
pub mod store;
pub mod telemetry;
pub mod trace;
