//! Answers to the operations of a batch.

use poem_openapi::Object;
use serde::Serialize;

use super::{
    DecisionBody, Denied, Extended, ExtendedBody, Granted, Recorded, Settled,
    schema::{documented, one_of},
    words::{DeniedTag, DoneTag, ErrorTag, GrantedTag},
};
use crate::http::problem::{Problem, ProblemBody};

/// An answer with the word that tells it apart inside a batch.
macro_rules! kind_of {
    ($(#[$doc:meta])* $name:ident, $tag:ty, $answer:ty) => {
        $(#[$doc])*
        #[derive(Debug, Object, Serialize)]
        pub struct $name {
            /// Tells the answers of a batch apart; always the same word in this one.
            pub kind: $tag,
            /// The answer.
            #[oai(flatten)]
            #[serde(flatten)]
            pub answer: $answer,
        }
    };
}
kind_of!(
    /// Units are held.
    BatchGranted, GrantedTag, Granted
);
kind_of!(
    /// Nothing was taken, by reserve or by extend.
    BatchDenied, DeniedTag, Denied
);
kind_of!(
    /// A commit or release was done.
    BatchSettled, DoneTag, Settled
);
kind_of!(
    /// An extend was done.
    BatchExtended, DoneTag, Extended
);
kind_of!(
    /// A use was recorded.
    BatchRecorded, DoneTag, Recorded
);
kind_of!(
    /// The operation failed; the others are not concerned.
    BatchError, ErrorTag, ProblemBody
);

/// Answer to one operation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum BatchResult {
    /// Units are held.
    Granted(Box<BatchGranted>),
    /// Nothing was taken.
    Denied(Box<BatchDenied>),
    /// A commit or release was done.
    Settled(Box<BatchSettled>),
    /// An extend was done.
    Extended(Box<BatchExtended>),
    /// A use was recorded.
    Recorded(Box<BatchRecorded>),
    /// The operation failed.
    Error(Box<BatchError>),
}

one_of!(
    BatchResult,
    "BatchResult",
    "Answer to one operation, told apart by `kind`: granted, denied, done or error.",
    BatchGranted,
    BatchDenied,
    BatchSettled,
    BatchExtended,
    BatchRecorded,
    BatchError
);

impl From<DecisionBody> for BatchResult {
    fn from(body: DecisionBody) -> Self {
        match body {
            DecisionBody::Granted(answer) => Self::Granted(Box::new(BatchGranted { kind: GrantedTag::Granted, answer: *answer })),
            DecisionBody::Denied(answer) => Self::denied(*answer),
        }
    }
}

impl From<Settled> for BatchResult {
    fn from(answer: Settled) -> Self {
        Self::Settled(Box::new(BatchSettled { kind: DoneTag::Done, answer }))
    }
}

impl From<ExtendedBody> for BatchResult {
    fn from(body: ExtendedBody) -> Self {
        match body {
            ExtendedBody::Prolonged(answer) => Self::Extended(Box::new(BatchExtended { kind: DoneTag::Done, answer })),
            ExtendedBody::Denied(answer) => Self::denied(*answer),
        }
    }
}

impl From<Recorded> for BatchResult {
    fn from(answer: Recorded) -> Self {
        Self::Recorded(Box::new(BatchRecorded { kind: DoneTag::Done, answer }))
    }
}

impl From<&Problem> for BatchResult {
    fn from(problem: &Problem) -> Self {
        Self::Error(Box::new(BatchError { kind: ErrorTag::Error, answer: problem.body(None) }))
    }
}

impl BatchResult {
    fn denied(answer: Denied) -> Self {
        Self::Denied(Box::new(BatchDenied { kind: DeniedTag::Denied, answer }))
    }
}

/// Answers, in the order of the operations.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "BatchAnswer")]
pub struct BatchResults {
    /// One for each operation.
    pub results: Vec<BatchResult>,
}
