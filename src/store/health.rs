//! How a store's connections are doing, for metrics and for people.

/// Is a connection used, tried, or left alone?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Calls pass.
    Closed,
    /// One call is on its way to find out whether the server is back.
    HalfOpen,
    /// Calls are answered at once, without asking the server.
    Open,
}

impl Circuit {
    /// All of them, in the order of their numbers in metrics: 0, 1, 2.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The word in metrics, log and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// One connection of the store.
#[derive(Clone, Debug)]
pub struct LaneHealth {
    /// What it is for.
    pub lane: String,
    /// Its circuit breaker.
    pub circuit: Circuit,
    /// How often the breaker went to each state, in the order of [`Circuit::ALL`].
    pub transitions: [u64; 3],
}
