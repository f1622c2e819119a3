pub mod eventually;
pub mod live;
pub mod proxy;
pub mod redis;
