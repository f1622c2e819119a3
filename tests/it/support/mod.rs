pub mod eventually;
pub mod live;
pub mod node;
pub mod proxy;
pub mod redis;
pub mod timed;
pub mod web;
