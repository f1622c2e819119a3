pub mod document;
pub mod http;
pub mod redis;
