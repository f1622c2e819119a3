//! Admission control for shared LLM provider quotas.
pub mod config;
pub mod coordinator;
pub mod domain;
pub mod store;
