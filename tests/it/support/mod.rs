pub mod document;
pub mod http;
pub mod node;
pub mod process;
pub mod redis;
pub mod timed;
