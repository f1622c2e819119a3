//! One example of every answer and request, for tests against the document.

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;
use crate::{
    coordinator::{
        limits::{Alteration, AlterationNote, LimitInForce, LimitOverride},
        notifications::{self, Notification},
        types::{self, DenialReason, Figure, Grant, Obstacles, Outcome, Partitions, ReservationState as State},
    },
    domain::{
        self, EventId, GroupId, Partition, PoolId, PoolStatus, Position, QuotaEvent, Scope, Unit,
        event::{Cause, Change, CounterChange},
    },
    http::{
        headers::LimitHeaders,
        problem::{FieldError, Problem},
        testing::{budget, concurrency, figure, rate},
    },
};

const AT: u64 = 1_764_000_000_250_000;

fn money() -> Unit {
    Unit::new("cost_usd").unwrap()
}

fn pool() -> PoolId {
    PoolId::new("openai").unwrap()
}

fn set() -> LimitOverride {
    LimitOverride { capacity: 200, by: "ops".into(), at_us: AT, reason: Some("launch day".into()) }
}

fn limit_in_force() -> LimitInForceBody {
    let configured = std::sync::Arc::new(rate("requests-per-minute", "requests", 500, 60));
    LimitInForce { configured, capacity: 200, set: Some(set()) }.into()
}

fn alteration() -> AlterationBody {
    let note = AlterationNote { by: "ops".into(), limit: "requests-per-minute".into(), unit: "requests".into() };
    Alteration { at: (AT / 1000, 0), note, before: Some(set()), after: Some(set()) }.into()
}

fn figures() -> Vec<Figure> {
    let mut per_workspace = rate("workspace-tokens-per-minute", "tokens", 40_000, 60);
    per_workspace.per = vec!["workspace".into()];
    vec![
        figure(rate("requests-per-minute", "requests", 500, 60), 21, Some(58_211)),
        figure(rate("requests-per-day", "requests", 10_000, 86_400), 21, Some(58_211)),
        figure(per_workspace, 50_000, Some(12_000)),
        figure(budget("month", "cost_usd", 50_000_000_000), 12_345, Some(1)),
        figure(concurrency("in-flight", "requests", 64), 4, None),
    ]
}

fn grant(replayed: bool) -> types::Decision {
    let state = if replayed { State::Committed } else { State::Open };
    types::Decision {
        outcome: Outcome::Granted(Grant {
            reservation: "r-1".into(),
            expires_at_us: AT,
            charged: vec![(money(), 12_345), (Unit::requests(), 1)],
            state,
            replayed,
        }),
        obstacles: Obstacles { violated: vec![], shadow_violated: if replayed { vec![] } else { vec![1] } },
        figures: if replayed { vec![] } else { figures() },
        status: PoolStatus::Normal,
        cursor: "c1".into(),
        authority: types::Authority::Redis,
    }
}

/// A replayed grant.
pub fn replay() -> types::Decision {
    grant(true)
}

/// A denial by one limit, for 1840 ms.
pub fn denial() -> types::Decision {
    let mut per_workspace = rate("workspace-tokens-per-minute", "tokens", 40_000, 60);
    per_workspace.per = vec!["workspace".into()];
    types::Decision {
        outcome: Outcome::Denied(types::Denial {
            reason: DenialReason::LimitReached,
            retry_after: Some(Duration::from_micros(1_839_001)),
        }),
        obstacles: Obstacles { violated: vec![0], shadow_violated: vec![] },
        figures: vec![figure(per_workspace, 40_000, Some(12_000))],
        status: PoolStatus::RateLimited,
        cursor: "c1".into(),
        authority: types::Authority::Redis,
    }
}

/// A commit that this node keeps, said again.
pub fn settled() -> types::Settled {
    types::Settled {
        reservation: "r-1".into(),
        state: State::Committed,
        charged: vec![(money(), 1)],
        skipped: vec!["gone".into()],
        late: true,
        estimated: false,
        settled_at_us: AT,
        replayed: true,
        cursor: "c1".into(),
        authority: types::Authority::Local,
    }
}

fn usage() -> types::Usage {
    types::Usage { figures: figures(), status: PoolStatus::Warning, cursor: "c1".into(), at_us: AT, next: Some("n".into()) }
}

fn verdict(denied: bool) -> types::Verdict {
    let denial = denied.then_some(types::Denial { reason: DenialReason::CostExceedsCapacity, retry_after: None });
    let obstacles = Obstacles { violated: if denied { vec![2] } else { vec![] }, shadow_violated: vec![] };
    types::Verdict { denial, obstacles, figures: figures(), status: PoolStatus::Normal, cursor: "c1".into() }
}

fn recorded() -> types::Recorded {
    types::Recorded {
        charged: vec![(Unit::requests(), 1)],
        figures: figures(),
        status: PoolStatus::Normal,
        replayed: false,
        cursor: "c1".into(),
    }
}

fn notification(seen: bool) -> Notification {
    Notification {
        id: "n1".into(),
        level: notifications::Level::Error,
        title: "Pool openai has reached its limit".into(),
        message: "requests-per-minute: 500 of 500.".into(),
        suggested_actions: vec!["Wait.".into()],
        status: PoolStatus::RateLimited,
        partition: Partition::default(),
        figures: figures(),
        created_at_us: AT,
        acknowledged: seen.then(|| notifications::Acknowledgement { by: "ops".into(), at_us: AT }),
    }
}

fn view() -> types::ReservationView {
    types::ReservationView {
        reservation: "r-1".into(),
        pool: pool(),
        state: State::Expired,
        scope: Scope::new([("workspace", "w1")]).unwrap(),
        metadata: BTreeMap::from([("job".to_owned(), "42".to_owned())]),
        created_at_us: AT,
        expires_at_us: AT,
        charged: vec![(money(), 1)],
    }
}

fn prolonged() -> types::Extended {
    types::Extended::Prolonged { reservation: "r-1".into(), expires_at_us: AT, cursor: "c1".into() }
}

fn changes() -> ChangeList {
    let limit = budget("month", "cost_usd", 50_000_000_000);
    let counter = CounterChange {
        number: limit.number(),
        limit: Some(std::sync::Arc::new(limit)),
        group: GroupId::pool_wide(),
        partition: Partition::default(),
        from: domain::CounterStatus::Normal,
        to: domain::CounterStatus::Warning,
        total: 45_000_000_000,
        held: 1,
        capacity: 50_000_000_000,
    };
    let event = |change| QuotaEvent {
        position: Position { epoch: 10, seq: 3, event: EventId::NONE },
        prev: EventId::NONE,
        at_us: AT,
        cause: Cause::Commit,
        change,
    };
    let of_pool = Change::Pool { from: PoolStatus::Normal, to: PoolStatus::Warning };
    let events = [event(of_pool), event(Change::Counter(counter))]
        .map(|event| ChangeBody::new(&pool(), 2, &event, crate::events::filter::View::Full));
    ChangeList { events: events.into(), cursor: "c1".into(), has_more: false }
}

/// Examples of answers, by the name of their schema.
pub fn answers() -> Vec<(&'static str, Value)> {
    fn of(schema: &'static str, answer: impl Serialize) -> (&'static str, Value) {
        (schema, serde_json::to_value(answer).unwrap())
    }
    let problem = Problem::validation(vec![FieldError::at("/cost", "x"), FieldError::parameter("pool", "y")])
        .with_retry_after(Duration::from_millis(1));
    let results = vec![
        DecisionBody::from(grant(false)).into(),
        DecisionBody::from(denial()).into(),
        Settled::from(settled()).into(),
        ExtendedBody::from(prolonged()).into(),
        Recorded::from(recorded()).into(),
        BatchResult::from(&problem),
    ];
    let status = |workspace: Option<&str>, denied| {
        StatusBody::new(
            &pool(),
            workspace.map(str::to_owned),
            usage(),
            Some(Partitions { normal: 3, warning: 1, exhausted: 0 }),
            &verdict(denied),
        )
    };
    vec![
        of("Decision", DecisionBody::from(grant(false))),
        of("Decision", DecisionBody::from(replay())),
        of("Decision", DecisionBody::from(denial())),
        of("Settled", Settled::from(settled())),
        of("ExtendAnswer", ExtendedBody::from(prolonged())),
        of("ExtendAnswer", ExtendedBody::from(types::Extended::Denied(Box::new(denial())))),
        of("ReservationPage", ReservationPage { reservations: vec![view().into()], next: Some("n".into()) }),
        of("Reservation", Reservation::from(view())),
        of("BatchAnswer", BatchResults { results }),
        of("UsagePage", UsagePage::new(&pool(), usage())),
        of("Notification", NotificationBody::from(notification(true))),
        of("NotificationList", NotificationList { pool: "openai".into(), notifications: vec![notification(false).into()] }),
        of("Recorded", Recorded::from(recorded())),
        of("StatusChanges", changes()),
        of("WebSocketTicket", TicketBody { ticket: "t".into(), expires_in_ms: 30_000 }),
        of("StatusAnswer", status(None, false)),
        of("StatusAnswer", status(Some("w1"), true)),
        of("Check", Check::from(verdict(false))),
        of("Check", Check::from(verdict(true))),
        of("Limit", limit_in_force()),
        of("LimitList", LimitList { pool: "openai".into(), limits: vec![limit_in_force().clone()] }),
        of("AuditPage", AuditPage { pool: "openai".into(), entries: vec![alteration()], next: Some("1764000000250.0".into()) }),
        of("Cleared", Cleared { cleared: 3 }),
        of("Health", json!({"status": "ok"})),
        of("Problem", problem.body(Some("r1"))),
        of("LimitHeaders", LimitHeaders { policy: "p".into(), limit: "l".into(), retry_after: None }),
    ]
}

type Reader = fn(&str) -> Result<(), String>;

/// Examples of requests: the name of their schema, the body, and what reads it.
pub fn requests() -> Vec<(&'static str, Value, Reader)> {
    fn read<T: DeserializeOwned>(json: &str) -> Result<(), String> {
        serde_json::from_str::<T>(json).map(drop).map_err(|e| e.to_string())
    }
    let reserve = json!({
        "pool": "openai", "scope": {"workspace": "w1"}, "cost": {"requests": 1, "tokens": 1200, "cost_usd": "0.0123"},
        "estimate": {"model": "gpt-4o", "input_tokens": 1, "max_output_tokens": 2}, "lease_ms": 60000, "priority": "low",
        "wait_ms": 0, "idempotency_key": "k", "metadata": {"job": "42"},
    });
    let batch = json!({"operations": [
        {"op": "reserve", "cost": {"tokens": 1}}, {"op": "commit", "reservation": "r", "outcome": "unknown"},
        {"op": "release", "idempotency_key": "k"}, {"op": "extend", "reservation": "r", "add_cost": {}}, {"op": "record"},
    ]});
    vec![
        ("ReserveRequest", reserve, read::<ReserveBody>),
        ("ReserveRequest", json!({}), read::<ReserveBody>),
        ("ReserveRequest", json!({"pool": null, "lease_ms": null}), read::<ReserveBody>),
        (
            "RecordRequest",
            json!({"pool": "p", "cost": {"tokens": 12}, "scope": {}, "estimate": {}, "usage": {"total_tokens": 1}, "idempotency_key": "k"}),
            read::<RecordBody>,
        ),
        (
            "CommitRequest",
            json!({"cost": {"cost_usd": "0.1"}, "usage": {"prompt_tokens": 1, "new": [{}]}, "model": "m", "outcome": "failed"}),
            read::<CommitBody>,
        ),
        ("ReleaseByKeyRequest", json!({"pool": "p", "idempotency_key": "k"}), read::<ReleaseByKeyBody>),
        ("ExtendRequest", json!({"lease_ms": 1000, "add_cost": {"tokens": 1}, "idempotency_key": "k"}), read::<ExtendBody>),
        ("LimitRequest", json!({"capacity": 200, "reason": "launch day"}), read::<LimitBody>),
        ("LimitRequest", json!({"capacity": "12.5"}), read::<LimitBody>),
        ("ResetRequest", json!({"pool": "p", "limit": "l", "scope": {"a": "b"}}), read::<ResetBody>),
        ("BatchRequest", batch, read::<BatchBody>),
    ]
}

#[test]
fn a_grant_is_written_as_the_contract_says() {
    let mut decision = grant(false);
    decision.figures.truncate(1);
    decision.obstacles = Obstacles::default();
    assert_eq!(
        serde_json::to_string(&DecisionBody::from(decision)).unwrap(),
        concat!(
            r#"{"decision":"granted","reservation":"r-1","expires_at":"2025-11-24T16:00:00.25Z","status":"normal","cursor":"c1","#,
            r#""authority":"redis","charged":{"cost_usd":"0.000012345","requests":1},"limits":[{"limit":"requests-per-minute","#,
            r#""scope":{},"unit":"requests","capacity":500,"used":21,"held":0,"remaining":479,"over":0,"percentage":4.2,"#,
            r#""reset_after_ms":58211,"status":"normal","mode":"enforce"}]}"#
        )
    );
}

#[test]
fn a_denial_is_written_as_the_contract_says() {
    let value = serde_json::to_value(DecisionBody::from(denial())).unwrap();
    let limit = &value["limits"][0];
    assert_eq!(
        (&limit["scope"], &limit["remaining"], &limit["percentage"]),
        (&json!({"workspace": "w1"}), &json!(0), &json!(100.0))
    );
    assert_eq!(value["headers"]["Retry-After"], "2");
    assert_eq!(
        (&value["decision"], &value["retry_after_ms"], &value["violated"], &value["shadow_violated"], &value["reason"]),
        (&json!("denied"), &json!(1840), &json!(["workspace-tokens-per-minute"]), &json!([]), &json!("limit_reached"))
    );
}

#[test]
fn a_status_keeps_the_shape_that_clients_parse() {
    let value = serde_json::to_value(StatusBody::new(&pool(), None, usage(), None, &verdict(true))).unwrap();
    assert_eq!((&value["success"], &value["workspace_id"]), (&json!(true), &Value::Null));
    let data = &value["data"];
    assert_eq!(data["requests_per_minute"], json!({"current": 21, "limit": 500, "percentage": 4.2, "unit": "requests"}));
    assert_eq!(data["requests_per_day"]["limit"], 10_000);
    assert_eq!(data["tokens_per_minute"]["percentage"], 125.0);
    assert_eq!(data["errors"], json!({"count": 0, "last_error": null, "last_error_at": null}));
    assert_eq!((&data["can_make_request"], &data["wait_seconds"]), (&json!(false), &Value::Null));
    assert_eq!(data["limits"][3]["used"], "0.000012345");
}
