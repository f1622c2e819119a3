//! The fixed words of the wire, and what they stand for.

use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::{
    coordinator::{
        notifications,
        types::{self, ReservationState as State},
    },
    domain,
};

/// A fixed word: named in the document, read and written by serde, made from its twin of the domain.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident from $twin:ty { $($(#[$word_doc:meta])* $word:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[expect(missing_docs, reason = "each word is documented at its twin")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
        #[oai(rename_all = "snake_case")]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl From<$twin> for $name {
            fn from(twin: $twin) -> Self {
                match twin { $(<$twin>::$word => Self::$word),+ }
            }
        }
    };
}

words! {
    /// Status of a pool or a scope.
    Status from domain::PoolStatus { Normal, Warning, Degraded, RateLimited, QuotaExceeded }
}
words! {
    /// How urgent a notification is.
    Level from notifications::Level { Info, Warning, Error }
}
words! {
    /// Status of one counter.
    CounterStatus from domain::CounterStatus { Normal, Warning, Exhausted }
}
words! {
    /// What an exceeded limit does.
    Mode from domain::Mode { Enforce, Shadow }
}
words! {
    /// Who decided: the shared store, this node from what it held in advance, or nobody.
    Authority from types::Authority { Redis, Local, None }
}
words! {
    /// Why a request was denied.
    Reason from types::DenialReason { LimitReached, CostExceedsCapacity }
}
words! {
    /// State of a reservation.
    ReservationState from State { Open, Committed, Released, Expired }
}
words! {
    /// How important a request is to its caller.
    Priority from domain::Priority { Low, Normal, High }
}

impl From<Priority> for domain::Priority {
    fn from(word: Priority) -> Self {
        match word {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
        }
    }
}

/// How the call went that was paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// It succeeded; the cost is known.
    #[default]
    Ok,
    /// It failed.
    Failed,
    /// The caller gave up.
    Cancelled,
    /// The cost is not known (the stream was cut): the hold is charged and marked `estimated`.
    Unknown,
}

/// A field that always says the same word, so that clients can tell answers apart.
macro_rules! tag {
    ($(#[$doc:meta])* $name:ident = $word:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum, Serialize)]
        #[oai(rename_all = "snake_case")]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            /// The only value.
            #[default]
            $word,
        }
    };
}

tag! {
    /// Says `granted`.
    GrantedTag = Granted
}
tag! {
    /// Says `denied`.
    DeniedTag = Denied
}
tag! {
    /// Says `done`.
    DoneTag = Done
}
tag! {
    /// Says `error`.
    ErrorTag = Error
}
