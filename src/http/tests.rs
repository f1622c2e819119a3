//! Requests that never reach the coordinator, through the whole edge.

use poem::{
    Endpoint, Response, Route,
    http::StatusCode,
    test::{TestClient, TestResponse},
};
use serde_json::Value;

use super::{
    HttpSettings, HttpState,
    auth::{AuthMode, AuthSettings, KeySettings, Role, digest},
    router,
};
use crate::coordinator::Coordinator;

fn settings(mode: AuthMode) -> AuthSettings {
    let key = |name: &str, roles: &[Role]| KeySettings {
        name: name.into(),
        sha256: digest(name),
        roles: roles.to_vec(),
        pools: None,
        reach: crate::http::auth::Reach::default(),
        expires_at: None,
    };
    AuthSettings { mode, keys: vec![key("reader", &[Role::Read]), key("app", &[Role::Consume])], admin_key_sha256: None }
}

fn client(mode: AuthMode) -> TestClient<impl Endpoint<Output = Response>> {
    let bounds = HttpSettings { body_limit: 2048, ..HttpSettings::default() };
    let state = HttpState::new(Coordinator::absent(), &settings(mode), prometheus::Registry::new(), bounds).unwrap();
    TestClient::new(router(state, Route::new().at("/panic", poem::endpoint::make_sync(|_| -> Response { panic!("on purpose") }))))
}

/// Status, and the body of a problem, whose own members are checked here for all tests.
async fn problem(response: TestResponse) -> (u16, Value) {
    let status = response.0.status();
    assert_eq!(response.0.content_type(), Some("application/problem+json"));
    let id = response.0.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.0.headers()["cache-control"], "no-store");
    let body: Value = serde_json::from_str(&response.0.into_body().into_string().await.unwrap()).unwrap();
    assert_eq!((&body["status"], &body["instance"]), (&status.as_u16().into(), &id.as_str().into()));
    (status.as_u16(), body)
}

async fn post(path: &str, content_type: &str, body: impl Into<String>) -> (u16, Value) {
    let client = client(AuthMode::None);
    problem(client.post(path).content_type(content_type).body(body.into()).send().await).await
}

#[tokio::test]
async fn bad_bodies_are_refused_with_their_place() {
    let json = "application/json";
    for (body, status, code, pointer) in [
        ("{", 400, "invalid_json", ""),
        (r#"{"cost":{"tokens":NaN}}"#, 400, "invalid_json", "/cost/tokens"),
        ("{\"scope\":{\"w\":\"a\nb\"}}", 400, "invalid_json", "/scope/w"),
        (r#"{"cost":{"tokens":"many"}}"#, 422, "validation", "/cost/tokens"),
        (r#"{"cost":{"tokens":-1}}"#, 422, "validation", "/cost/tokens"),
        (r#"{"cost":{"tokens":0.5}}"#, 422, "validation", "/cost/tokens"),
        (r#"{"cost":{"tokens":9007199254740993}}"#, 422, "validation", "/cost/tokens"),
        (r#"{"cost":{"cost_usd":"0.0000000001"}}"#, 422, "validation", "/cost/cost_usd"),
        (r#"{"costs":{}}"#, 422, "validation", "/costs"),
        (r#"{"scope":{"w":"a\nb"},"pool":"p"}"#, 422, "validation", "/scope/w"),
        (r#"{"lease_ms":10,"pool":"p"}"#, 422, "validation", "/lease_ms"),
        (r#"{"wait_ms":10,"pool":"p"}"#, 422, "validation", "/wait_ms"),
        (r#"{"metadata":{"a b":""},"pool":"p"}"#, 422, "validation", "/metadata"),
        (r#"{"idempotency_key":"","pool":"p"}"#, 422, "validation", "/idempotency_key"),
        (r#"{"pool":"no/pool"}"#, 422, "validation", "/pool"),
    ] {
        let (got, problem) = post("/api/quota/reservations", json, body).await;
        assert_eq!((got, &problem["code"], &problem["errors"][0]["pointer"]), (status, &code.into(), &pointer.into()), "{body}");
    }
    let (status, problem) = post("/api/quota/batch", json, r#"{"operations":[{"op":"record"},{"op":"commit"}]}"#).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &"/operations/1/reservation".into()));
}

#[tokio::test]
async fn bodies_are_json_and_bounded() {
    let path = "/api/quota/reservations";
    assert_eq!(post(path, "text/plain", "{}").await.0, 415);
    let long = format!(r#"{{"pool":"{}"}}"#, "x".repeat(4096));
    let (status, body) = post(path, "application/json", long.clone()).await;
    assert_eq!((status, &body["code"]), (413, &"body_too_large".into()));
    let client = client(AuthMode::None);
    let chunks = futures_util::stream::iter([long.clone(), long].map(|part| Ok::<_, std::io::Error>(bytes::Bytes::from(part))));
    let chunked = poem::Body::from_bytes_stream(chunks);
    assert_eq!(problem(client.post(path).content_type("application/json").body(chunked).send().await).await.0, 413);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let client = client(AuthMode::None);
    for path in ["/", "/nowhere", "/api/quota", "/api/quota/nowhere", "/api/quota/reservations/a/b/c"] {
        let (status, body) = problem(client.get(path).send().await).await;
        assert_eq!((status, &body["code"]), (404, &"not_found".into()), "{path}");
    }
    let response = client.delete("/api/quota/usage").send().await;
    assert_eq!(response.0.headers()["allow"], "GET, POST, HEAD");
    assert_eq!(problem(response).await.0, 405);
    let response = client.post("/metrics").send().await;
    assert_eq!(response.0.headers()["allow"], "GET, HEAD");
    let (status, body) = problem(client.get("/panic").send().await).await;
    assert_eq!((status, &body["code"]), (500, &"internal".into()));
}

#[tokio::test]
async fn a_caller_without_a_key_learns_nothing_of_the_body() {
    let client = client(AuthMode::Keys);
    let response = client.post("/api/quota/reservations").content_type("text/plain").body("{").send().await;
    assert!(response.0.headers().contains_key("www-authenticate"));
    assert_eq!(problem(response).await.0, 401);
    let post = |key: &str| client.post("/api/quota/reservations").header("authorization", format!("Bearer {key}")).send();
    assert_eq!(problem(post("nobody").await).await.0, 401);
    assert_eq!(problem(post("reader").await).await.0, 403);
    assert_eq!(problem(post("app").await).await.0, 415);
    let (status, body) = problem(client.post("/api/quota/reset").send().await).await;
    assert_eq!((status, &body["code"]), (503, &"admin_disabled".into()));
}

#[tokio::test]
async fn queries_are_checked() {
    let client = client(AuthMode::None);
    for (path, code, parameter) in [
        ("/api/quota/usage?pool=p&period=day", "period_unavailable", "period"),
        ("/api/quota/usage?pool=p&period=week", "validation", "period"),
        ("/api/quota/usage?pool=p&limit=201", "validation", "limit"),
        ("/api/quota/usage?pool=p&limit=x", "validation", "limit"),
        ("/api/quota/usage?pool=p&worspace_id=w", "validation", "worspace_id"),
        ("/api/quota/usage?pool=p&scope.w=%00", "validation", "scope.w"),
        ("/api/quota/check?pool=p&cost.tokens=-1", "validation", "cost.tokens"),
        ("/api/quota/reservations?pool=p&after=a&after=b", "validation", "after"),
    ] {
        let (status, body) = problem(client.get(path).send().await).await;
        assert_eq!((status, &body["code"], &body["errors"][0]["parameter"]), (422, &code.into(), &parameter.into()), "{path}");
    }
    let response =
        client.post("/api/quota/reservations?denied_status=500").content_type("application/json").body("{}").send().await;
    assert_eq!(problem(response).await.0, 422);
    let sent = client.post("/api/quota/reservations").content_type("application/json").header("idempotency-key", "\"a");
    assert_eq!(problem(sent.body("{}").send().await).await.1["errors"][0]["parameter"], "Idempotency-Key");
    let (status, body) = problem(client.get("/api/quota/reservations/no.id").send().await).await;
    assert_eq!((status, &body["code"]), (404, &"reservation_not_found".into()));
}

#[tokio::test]
async fn the_root_answers_without_a_key() {
    let client = client(AuthMode::Keys);
    let response = client.get("/livez").header("x-request-id", "mine").send().await;
    response.assert_status_is_ok();
    response.assert_header("x-request-id", "mine");
    for (path, media_type) in [
        ("/openapi.json", "application/json"),
        ("/openapi.yaml", "application/yaml"),
        ("/docs", "text/html; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4"),
    ] {
        let response = client.get(path).send().await;
        assert_eq!((response.0.status(), response.0.content_type()), (StatusCode::OK, Some(media_type)), "{path}");
    }
    let metrics = client.get("/metrics").send().await.0.into_body().into_string().await.unwrap();
    assert!(metrics.contains(r#"http_requests_total{operation="livez",status="200"} 1"#), "{metrics}");
}
