//! From the store's replies to what callers are told.

use std::time::Duration;

use super::{
    catalogue::{Catalogue, Prepared},
    denials::LocalDenial,
    queue::Answered,
    types::{Authority, CoordinatorError, Decision, Denial, DenialReason, Grant, Obstacles, Outcome, Verdict},
};
use crate::{
    domain::Mode,
    store::reply::{Answer, Record, Wait},
};

/// An answer that this operation never has.
pub fn unexpected(answer: &Answer) -> CoordinatorError {
    CoordinatorError::Internal(format!("the store gave an answer that does not fit: {answer:?}"))
}

/// Which figures are in the way.
fn obstacles(catalogue: &Catalogue, prepared: &Prepared, waits: &[Wait]) -> Obstacles {
    let mut obstacles = Obstacles::default();
    for (at, _) in waits.iter().enumerate().filter(|(_, wait)| **wait != Wait::No) {
        match catalogue.mode(prepared, at) {
            Mode::Enforce => obstacles.violated.push(at),
            Mode::Shadow => obstacles.shadow_violated.push(at),
        }
    }
    obstacles
}

/// The longest wait among those in the way; `None` when one of them never ends.
fn denial(waits: impl IntoIterator<Item = Wait>) -> Denial {
    match waits.into_iter().max() {
        Some(Wait::Never) => Denial { reason: DenialReason::CostExceedsCapacity, retry_after: None },
        Some(Wait::For(us)) => Denial { reason: DenialReason::LimitReached, retry_after: Some(Duration::from_micros(us)) },
        Some(Wait::No) | None => Denial { reason: DenialReason::LimitReached, retry_after: Some(Duration::ZERO) },
    }
}

fn enforced(obstacles: &Obstacles, waits: &[Wait]) -> Denial {
    denial(obstacles.violated.iter().map(|at| waits[*at]))
}

/// Answer to a reserve.
pub fn decision(
    catalogue: &Catalogue,
    prepared: &Prepared,
    answered: Answered,
    grant: impl FnOnce(u64) -> Grant,
    earlier: impl FnOnce(&Record, u64) -> Grant,
) -> Result<Decision, CoordinatorError> {
    let header = answered.header;
    let (outcome, obstacles) = match answered.answer {
        Answer::Granted { figure, shadow } => (Outcome::Granted(grant(figure)), obstacles(catalogue, prepared, &shadow)),
        Answer::Denied(waits) => {
            let obstacles = obstacles(catalogue, prepared, &waits);
            (Outcome::Denied(enforced(&obstacles, &waits)), obstacles)
        }
        Answer::Replay(record) => (Outcome::Granted(earlier(&record, header.clock_us)), Obstacles::default()),
        Answer::Mismatch => return Err(CoordinatorError::IdempotencyMismatch),
        Answer::Voided => return Err(CoordinatorError::AlreadyReleased),
        other => return Err(unexpected(&other)),
    };
    let figures = catalogue.figures(prepared, &answered.figures, header.clock_us);
    let status = catalogue.scope_status(&header, &figures);
    Ok(Decision { outcome, obstacles, figures, status, cursor: header.position.to_cursor(), authority: Authority::Redis })
}

/// Answer to an extension whose cost has no room.
pub fn refused(catalogue: &Catalogue, prepared: &Prepared, answered: &Answered) -> Result<Decision, CoordinatorError> {
    let verdict = verdict(catalogue, prepared, answered)?;
    let denial = verdict.denial.ok_or_else(|| unexpected(&answered.answer))?;
    Ok(Decision {
        outcome: Outcome::Denied(denial),
        obstacles: verdict.obstacles,
        figures: verdict.figures,
        status: verdict.status,
        cursor: verdict.cursor,
        authority: Authority::Redis,
    })
}

/// Answer to a reserve that is known to be denied. It shows the counters in the way and no others.
pub fn local_denial(catalogue: &Catalogue, prepared: &Prepared, local: &LocalDenial) -> Decision {
    let at = local.header.clock_us;
    let figures: Vec<_> = local.full.iter().map(|(item, figure, _)| catalogue.item_figure(prepared, *item, figure, at)).collect();
    let status = catalogue.scope_status(&local.header, &figures);
    Decision {
        outcome: Outcome::Denied(denial(local.full.iter().map(|(.., wait)| *wait))),
        obstacles: Obstacles { violated: (0..figures.len()).collect(), shadow_violated: Vec::new() },
        figures,
        status,
        cursor: local.header.position.to_cursor(),
        authority: Authority::Redis,
    }
}

/// Answer to a check.
pub fn verdict(catalogue: &Catalogue, prepared: &Prepared, answered: &Answered) -> Result<Verdict, CoordinatorError> {
    let (denial, obstacles) = match &answered.answer {
        Answer::Granted { shadow, .. } => (None, obstacles(catalogue, prepared, shadow)),
        Answer::Denied(waits) => {
            let obstacles = obstacles(catalogue, prepared, waits);
            (Some(enforced(&obstacles, waits)), obstacles)
        }
        other => return Err(unexpected(other)),
    };
    let figures = catalogue.figures(prepared, &answered.figures, answered.header.clock_us);
    let status = catalogue.scope_status(&answered.header, &figures);
    Ok(Verdict { denial, obstacles, figures, status, cursor: answered.header.position.to_cursor() })
}
