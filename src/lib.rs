//! Admission control for shared LLM provider quotas.
//!
//! Data flows one way: [`http`] → [`coordinator`] → [`store`] (Lua decides, writes, emits) → Redis.
//! [`domain`] holds the words that they all speak, [`app`] puts a node together.

pub mod app;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod domain;
pub mod events;
pub mod http;
pub mod private_redis;
pub mod store;
pub mod telemetry;
pub mod trace;
