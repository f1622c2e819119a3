//! Around every operation: request id, span, metrics, panics, and failures as problems.
//!
//! One layer does all of it, because each layer of the framework costs an allocation for each request.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use poem::{Endpoint, Request, Response};
use poem_openapi::OperationId;
use tokio::time::Instant;
use tracing::{Instrument, Span, field::Empty};

use super::{
    HttpState,
    problem::{self, Problem},
    request_id::{self, RequestId},
    routes::Routes,
};

/// Spans and lines of the access log have this target, at level debug: at the rates that a node sees, they cost more
/// than the answers, so they are made only where somebody asked for them.
const ACCESS: &str = "access";

/// What a request carries with it.
#[derive(Clone)]
pub struct Context {
    /// The node.
    pub state: HttpState,
    /// The request's id.
    pub id: RequestId,
}

impl Context {
    /// The context of a request. Fails only where the edge was left out, which is a bug.
    pub fn of(request: &Request) -> Result<&Self, Problem> {
        request.data::<Self>().ok_or_else(|| Problem::internal("the request did not pass the edge"))
    }
}

/// The layer around the router.
pub struct Edge<E> {
    inner: E,
    state: HttpState,
    routes: Routes,
}

impl<E> Edge<E> {
    /// Puts the layer around a router.
    pub fn around(inner: E, state: HttpState, routes: Routes) -> Self {
        Self { inner, state, routes }
    }

    fn failed(&self, error: poem::Error, path: &str, id: &RequestId) -> Response {
        if error.is_from_response() {
            return error.into_response();
        }
        let problem = problem::from_poem(&error, || self.routes.allowed(path));
        problem.log(id.as_str());
        problem.response(Some(id.as_str()))
    }

    /// Counts the request and writes its line in the access log: never the query string, which may hold a secret.
    fn seen(&self, response: &Response, operation: Option<OperationId>, started: Instant) {
        let operation = operation.map(|OperationId(name)| name);
        let (status, elapsed) = (response.status().as_u16(), started.elapsed());
        self.state.metrics().observe(operation, status, elapsed);
        let span = Span::current();
        if !span.is_disabled() {
            span.record("route", operation.and_then(|name| self.routes.template(name)).unwrap_or("none"));
            span.record("status", status);
            span.record("duration_us", u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
            tracing::debug!(target: ACCESS, "answered");
        }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let id = RequestId::of(request.headers());
        let method = request.method().clone();
        let uri = request.uri().clone();
        request.set_data(Context { state: self.state.clone(), id: id.clone() });
        let span = tracing::debug_span!(
            target: ACCESS, "request", id = id.as_str(), %method, route = Empty, status = Empty, duration_us = Empty
        );
        async {
            let (mut response, operation) = match AssertUnwindSafe(self.inner.call(request)).catch_unwind().await {
                Ok(Ok(response)) => {
                    let operation = response.data::<OperationId>().copied();
                    (response, operation)
                }
                Ok(Err(error)) => {
                    let operation = error.data::<OperationId>().copied();
                    (self.failed(error, uri.path(), &id), operation)
                }
                Err(panic) => {
                    let problem = Problem::internal(panic_text(panic.as_ref()));
                    problem.log(id.as_str());
                    (problem.response(Some(id.as_str())), None)
                }
            };
            response.headers_mut().insert(request_id::HEADER, id.header());
            self.seen(&response, operation, started);
            Ok(response)
        }
        .instrument(span)
        .await
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("of unknown kind"))
}
