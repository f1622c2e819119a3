pub mod document;
pub mod http;
pub mod node;
pub mod redis;
pub mod timed;
