//! Admission control for shared LLM provider quotas.
pub mod coordinator;
pub mod domain;
pub mod http;
pub mod store;
