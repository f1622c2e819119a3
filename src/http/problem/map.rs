//! The one place where failures of the coordinator and of the framework get their status and code.

use std::time::Duration;

use poem::{
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::error::{ParseParamError, ParsePathError};

use super::{FieldError, Problem};
use crate::{
    coordinator::types::CoordinatorError,
    domain::{PlanError, Unit},
};

/// A failure of the coordinator. `cost` is the JSON pointer of the costs in the request's body.
pub fn from_coordinator(error: CoordinatorError, cost: &str) -> Problem {
    use CoordinatorError as E;
    let text = error.to_string();
    match error {
        E::UnknownPool { .. } => Problem::new(StatusCode::NOT_FOUND, "unknown_pool", "Pool does not exist", text),
        E::UnknownLimit { .. } => Problem::new(StatusCode::NOT_FOUND, "unknown_limit", "Limit does not exist", text),
        E::Scope(_) => Problem::validation(vec![FieldError::at("/estimate/model", text)]),
        E::Plan(plan) => from_plan(&plan, cost),
        E::UnknownReservation => Problem::new(StatusCode::NOT_FOUND, "reservation_not_found", "Reservation not found", text),
        E::UnknownNotification => Problem::new(StatusCode::NOT_FOUND, "notification_not_found", "Notification not found", text),
        E::AlreadySettled => Problem::new(StatusCode::CONFLICT, "already_settled", "Already settled", text),
        E::AlreadyReleased => Problem::new(StatusCode::CONFLICT, "already_released", "Already released", text),
        E::LeaseEnded => Problem::new(StatusCode::CONFLICT, "lease_ended", "Lease has ended", text),
        E::LeaseTooLong => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "lease_too_long", "Lease is too long", text.clone())
            .with_errors(vec![FieldError::at("/lease_ms", text)]),
        E::IdempotencyMismatch => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", "Idempotency key is already used", text)
        }
        E::StoreUnavailable { retry_after, .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "Temporarily reduced capacity", text)
                .with_retry_after(retry_after)
        }
        E::Overloaded { .. } => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Temporarily reduced capacity", text)
            .with_retry_after(Duration::from_secs(1)),
        E::Internal(cause) => Problem::internal(cause),
    }
}

fn from_plan(plan: &PlanError, cost: &str) -> Problem {
    let (code, title, unit) = match plan {
        PlanError::UnknownUnit { unit, .. } => ("unknown_unit", "Unit is not known", unit.as_str()),
        PlanError::MissingUnit { unit, .. } => ("missing_unit", "Cost is missing", unit.as_str()),
        PlanError::UnknownPrice { .. } => ("unknown_price", "Price is not known", Unit::COST_USD),
        PlanError::CostTooLarge => ("cost_too_large", "Cost is too large", Unit::COST_USD),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, plan.to_string())
        .with_errors(vec![FieldError::at(format!("{cost}/{unit}"), plan)])
}

/// A failure of the framework. `allow` lists the methods of a path, asked for only where it is needed.
pub fn from_poem(error: &poem::Error, allow: impl FnOnce() -> String) -> Problem {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if error.is::<NotFoundError>() {
        return Problem::not_found();
    }
    if error.is::<MethodNotAllowedError>() {
        let allow = allow();
        let detail = match allow.as_str() {
            "" => "this path does not answer that method".to_owned(),
            allow => format!("this path answers {allow}"),
        };
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail);
        return match HeaderValue::from_str(&allow) {
            Ok(value) => problem.with_header(header::ALLOW, value),
            Err(_) => problem,
        };
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Problem::validation(vec![FieldError::parameter(error.name, &error.reason)]);
    }
    if let Some(error) = error.downcast_ref::<ParsePathError>() {
        return Problem::validation(vec![FieldError::parameter(error.name, &error.reason)]);
    }
    if let Some(error) = error.downcast_ref::<ReadBodyError>() {
        return from_body(error);
    }
    let status = error.status();
    if status.is_client_error() {
        return Problem::new(status, "bad_request", "Bad request", error.to_string());
    }
    Problem::internal(error)
}

/// A body that could not be read.
pub fn from_body(error: &ReadBodyError) -> Problem {
    match error {
        ReadBodyError::PayloadTooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "Body is too large",
            "the body is larger than this server takes",
        ),
        _ => Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request", "the body could not be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_the_coordinator_has_its_status_and_code() {
        use CoordinatorError as E;
        let pool = || "p".to_owned();
        let table = [
            (E::UnknownPool { pool: pool(), known: "q".into() }, 404, "unknown_pool"),
            (E::UnknownLimit { pool: pool(), limit: "l".into() }, 404, "unknown_limit"),
            (E::Plan(PlanError::UnknownUnit { unit: "tokns".into(), known: vec![] }), 422, "unknown_unit"),
            (E::Plan(PlanError::MissingUnit { unit: "tokens".into(), limit: "l".into() }), 422, "missing_unit"),
            (
                E::Plan(PlanError::UnknownPrice { limit: "l".into(), model: Some("m".into()), provider: "azure" }),
                422,
                "unknown_price",
            ),
            (E::Plan(PlanError::CostTooLarge), 422, "cost_too_large"),
            (E::UnknownReservation, 404, "reservation_not_found"),
            (E::UnknownNotification, 404, "notification_not_found"),
            (E::AlreadySettled, 409, "already_settled"),
            (E::AlreadyReleased, 409, "already_released"),
            (E::LeaseEnded, 409, "lease_ended"),
            (E::LeaseTooLong, 422, "lease_too_long"),
            (E::IdempotencyMismatch, 422, "idempotency_mismatch"),
            (E::StoreUnavailable { reason: "x".into(), retry_after: Duration::from_millis(1200) }, 503, "store_unavailable"),
            (E::Overloaded { pool: pool() }, 503, "overloaded"),
            (E::Internal("secret cause".into()), 500, "internal"),
        ];
        for (error, status, code) in table {
            let problem = from_coordinator(error, "/cost");
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            let response = problem.response(None);
            assert_eq!(response.headers().contains_key("retry-after"), status == 503);
            assert!(!serde_json::to_string(&problem.body(None)).unwrap().contains("secret"));
        }
        let gone = from_coordinator(E::UnknownReservation, "/cost");
        assert!(gone.to_string().contains("POST /api/quota/usage"));
        let unit = from_coordinator(E::Plan(PlanError::UnknownUnit { unit: "tokns".into(), known: vec![] }), "/cost");
        assert_eq!(unit.0.errors[0].pointer.as_deref(), Some("/cost/tokns"));
        let away = E::StoreUnavailable { reason: "x".into(), retry_after: Duration::from_millis(1200) };
        assert_eq!(from_coordinator(away, "").response(None).headers()["retry-after"], "2");
    }
}
