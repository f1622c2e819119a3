//! From messages to what is shown.

mod link;

use std::time::Duration;

use jiff::Timestamp;
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    draw::draw,
    link::Signal,
    message::Message,
    model::{Connection, Line, Model, Now},
    plain,
    screen::Screen,
    theme::Theme,
};

struct Watched {
    model: Model,
    now: Now,
}

impl Watched {
    fn new(pools: &[&str]) -> Self {
        let pools: Vec<String> = pools.iter().map(|pool| (*pool).to_owned()).collect();
        let now = Now { instant: Instant::now(), wall: Timestamp::from_second(1_800_000_000).unwrap() };
        Self { model: Model::new("http://127.0.0.1:8080".into(), None, &pools), now }
    }

    fn pass(&mut self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.now = Now { instant: self.now.instant + time, wall: self.now.wall + time };
    }

    fn signal(&mut self, signal: Signal) {
        self.model.apply(signal, self.now);
    }

    fn says(&mut self, message: &Value) {
        self.signal(Signal::Said(Message::read(&message.to_string())));
    }

    fn says_change(&mut self, seq: u64, limit: Option<&str>, from: &str, to: &str, cause: &str) {
        self.says(&json!({
            "type": "quota_event", "pool": "openai", "prev": seq - 1, "status": "warning", "seq": seq, "cursor": format!("c{seq}"),
            "at": "2027-01-15T08:00:00.25Z", "limit": limit, "scope": {}, "from": from, "to": to, "cause": cause,
            "unit": "requests", "capacity": 500, "used": 450, "held": 5, "remaining": 45,
        }));
    }

    fn lines(&self, pool: usize) -> Vec<String> {
        let line = |line: &Line| match line {
            Line::Note { text, .. } => text.clone(),
            Line::Change { name, from, to, cause, .. } => format!("{name} {from}>{to} {cause}"),
        };
        self.model.pools[pool].lines.iter().map(line).collect()
    }

    fn shown(&self, (width, height): (u16, u16), screen: &mut Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &self.model, screen, Theme { colour: false }, self.now)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
        (0..height).map(row).collect()
    }
}

fn counter(limit: &str, scope: &Value, figures: (u64, u64, u64), status: &str, reset_after_ms: Option<u64>) -> Value {
    let (capacity, used, held) = figures;
    let mut counter = json!({
        "limit": limit, "scope": scope, "unit": "requests", "capacity": capacity, "used": used, "held": held,
        "remaining": capacity.saturating_sub(used + held), "over": 0, "percentage": 0.0, "status": status,
        "mode": "enforce", "kind": "rate", "window_ms": 60000, "total": 12,
    });
    if let Some(ms) = reset_after_ms {
        counter["reset_after_ms"] = ms.into();
    }
    counter
}

fn status(kind: &str, mode: Option<&str>, limits: Vec<Value>) -> Value {
    let mut message = json!({
        "type": kind, "success": true, "pool": "openai", "workspace_id": null, "cursor": "v1.a.3.0123456789abcdef0001",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "status": "warning", "partitions": {"normal": 12, "warning": 1, "exhausted": 1}, "limits": limits,
            "errors": {"count": 0, "last_error": null, "last_error_at": null}, "can_make_request": true, "wait_seconds": 0,
            "last_updated": "2027-01-15T08:00:00Z",
        },
    });
    if let Some(mode) = mode {
        message["mode"] = mode.into();
    }
    if mode == Some("snapshot") {
        message["reason"] = "no_cursor".into();
    }
    message
}

fn limits() -> Vec<Value> {
    let mut money = counter("budget", &json!({}), (0, 0, 0), "normal", Some(86_400_000 * 12));
    for (name, value) in [("capacity", "1500"), ("used", "1234.567891"), ("held", "0.25"), ("remaining", "265.182109")] {
        money[name] = value.into();
    }
    let mut shadow = counter("tokens_per_minute", &json!({}), (150_000, 0, 1), "normal", None);
    shadow["mode"] = "shadow".into();
    let mut list = vec![
        counter("requests_per_minute", &json!({}), (500, 440, 15), "warning", Some(42_000)),
        counter("requests_per_day", &json!({}), (1_000_000_000, 123_456_789, 0), "normal", Some(11_520_000)),
        money,
        shadow,
        counter("per_user", &json!({"user": "u1", "model": "gpt-4o"}), (10, 10, 0), "exhausted", Some(1500)),
        json!({"limit": "shared", "scope": {}, "unit": "requests", "status": "normal", "mode": "enforce"}),
    ];
    list.extend(
        (1..=14).map(|n| {
            counter("per_workspace", &json!({"workspace": format!("w{n:02}")}), (100, n * 7, 1), "normal", Some(60_000))
        }),
    );
    list
}

fn watched() -> Watched {
    let mut watched = Watched::new(&["openai"]);
    watched.signal(Signal::Connecting);
    watched.says(&status("quota_initial", Some("snapshot"), limits()));
    watched.pass(2);
    watched.says_change(4, Some("requests_per_minute"), "normal", "warning", "commit");
    watched.says_change(5, None, "normal", "warning", "commit");
    watched
}

/// Compares with a file, or writes it where `UPDATE_SCREENS` is set.
#[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
fn assert_screen(name: &str, shown: &str) {
    let path = format!("{}/src/cli/watch/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE_SCREENS").is_ok() {
        std::fs::write(&path, shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(shown == expected, "{name}: shown is\n{shown}\nexpected was\n{expected}");
}

#[test]
fn screens_are_as_they_were() {
    let mut watched = watched();
    assert_screen("80x24", &watched.shown((80, 24), &mut Screen::default()));
    assert_screen("120x40", &watched.shown((120, 40), &mut Screen::default()));
    let mut scrolled = Screen::default();
    scrolled.on_key(crossterm::event::KeyCode::End.into(), 1);
    watched.says(&json!({"type": "reset", "pool": "openai", "reason": "diverged"}));
    let why = "not reachable: Connection refused (os error 111)".to_owned();
    watched.signal(Signal::Waiting { until: watched.now.instant + Duration::from_millis(12_300), why });
    assert_screen("80x24-lost", &watched.shown((80, 24), &mut scrolled));
    let mut two = Watched::new(&["openai", "anthropic"]);
    two.model.workspace = Some("w1".into());
    two.says(&status("quota_initial", Some("snapshot"), limits()[..2].to_vec()));
    two.says(&json!({"type": "error", "id": "p1", "fatal": false, "problem": {"title": "Forbidden", "detail": "not this pool"}}));
    two.says(&json!({"type": "ping", "n": 1, "stale": true}));
    assert_screen("80x24-two", &two.shown((80, 24), &mut Screen { pool: 1, ..Screen::default() }));
}

#[test]
fn nothing_breaks_a_screen_of_any_size() {
    let watched = watched();
    for width in [1, 20, 39, 40, 41, 60, 69, 70, 99, 100, 250] {
        for height in [1, 9, 10, 11, 24, 100] {
            watched.shown((width, height), &mut Screen::default());
            Watched::new(&[]).shown((width, height), &mut Screen::default());
        }
    }
}

#[test]
fn colours_repeat_what_words_say() {
    let watched = watched();
    let count = |colour| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &watched.model, &mut Screen::default(), Theme { colour }, watched.now)).unwrap();
        terminal.backend().buffer().content().iter().filter(|cell| cell.fg != ratatui::style::Color::Reset).count()
    };
    assert_eq!(count(false), 0);
    assert!(count(true) > 100);
}

#[test]
fn events_change_figures_and_come_once() {
    let mut watched = watched();
    let view = &watched.model.pools[0];
    let data = view.data.as_ref().unwrap();
    assert_eq!((data.limits[0].used.as_ref().unwrap().value(), data.status.as_str()), (450.0, "warning"));
    assert_eq!(view.reset_after(&data.limits[0], watched.now), Some(Duration::from_secs(40)));
    watched.signal(Signal::Waiting { until: watched.now.instant, why: "gone".into() });
    watched.signal(Signal::Waiting { until: watched.now.instant, why: "gone".into() });
    watched.signal(Signal::Connecting);
    assert_eq!(watched.model.connection, Connection::Connecting);
    watched.says(&status("quota_initial", Some("replay"), limits()));
    assert_eq!(watched.model.connection, Connection::Live { stale: false });
    watched.says_change(5, None, "normal", "warning", "commit");
    watched.says_change(6, None, "warning", "normal", "time");
    assert_eq!(
        watched.lines(0),
        [
            "pool warning>normal time",
            "connected again; nothing was missed",
            "not connected: gone",
            "pool normal>warning commit",
            "requests_per_minute normal>warning commit",
            "connected",
        ]
    );
}

#[test]
fn loss_of_continuity_is_told() {
    let mut watched = watched();
    watched.says(&json!({"type": "reset", "pool": "openai", "reason": "diverged"}));
    let mut snapshot = status("quota_initial", Some("snapshot"), vec![]);
    snapshot["reason"] = "diverged".into();
    watched.says(&snapshot);
    watched.says(&json!({"type": "token_expiring", "in_ms": 60000}));
    watched.says_change(1, None, "warning", "normal", "time");
    let lines = watched.lines(0);
    assert_eq!(
        lines[..4],
        [
            "pool warning>normal time",
            "the key expires in 60 s",
            "a snapshot (diverged); changes before it may be missing here",
            "continuity lost (diverged); a snapshot follows",
        ]
    );
    watched.says(&json!({"type": "ping", "n": 1, "stale": true}));
    assert_eq!(watched.model.connection, Connection::Live { stale: true });
    let at = watched.now.instant + Duration::from_secs(3);
    watched.signal(Signal::Leaving { at, why: "drain".into() });
    watched.says(&status("quota_update", None, limits()));
    assert_eq!(watched.model.connection, Connection::Leaving { at, why: "drain".into() });
    assert_eq!(watched.model.pools[0].data.as_ref().unwrap().limits.len(), 20);
}

#[test]
fn the_plain_form_is_a_table() {
    let watched = watched();
    let mut out = Vec::new();
    plain::write_pool(&mut out, &watched.model.pools[0], Some("w1"), watched.now).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "pool=openai workspace=w1 status=warning can_make_request=true wait_seconds=0 at=2027-01-15T08:00:00Z");
    assert_eq!(
        lines[2].split_whitespace().collect::<Vec<_>>(),
        ["requests_per_minute", "warning", "500", "450", "5", "45", "40s"]
    );
    assert_eq!(lines.len(), 22);
}
