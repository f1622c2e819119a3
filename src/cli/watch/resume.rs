//! What is followed, and where to go on after the connection was lost.

use serde_json::{Value, json};

use super::message::{Message, Status};

/// One pool that is followed.
#[derive(Clone, Debug, Default)]
struct Followed {
    pool: Option<String>,
    cursor: Option<String>,
    /// Seq of the last event, where nothing came since that moves the place on without one.
    last: Option<u64>,
}

/// All that is followed over one connection: the first by the URL, the others by commands.
#[derive(Clone, Debug)]
pub struct Resume {
    workspace: Option<String>,
    followed: Vec<Followed>,
}

/// An event is missing before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap;

/// The name of a subscription on the connection; the first has none.
pub fn name(at: usize) -> Option<String> {
    (at > 0).then(|| format!("p{at}"))
}

/// The place of a subscription of that name.
pub fn place(name: Option<&str>) -> usize {
    name.and_then(|name| name.strip_prefix('p')).and_then(|at| at.parse().ok()).unwrap_or(0)
}

impl Resume {
    /// Of these pools; of the node's first when none is named.
    pub fn new(pools: &[String], workspace: Option<String>) -> Self {
        let mut followed: Vec<_> =
            pools.iter().map(|pool| Followed { pool: Some(pool.clone()), ..Followed::default() }).collect();
        if followed.is_empty() {
            followed.push(Followed::default());
        }
        Self { workspace, followed }
    }

    /// Parameters of the URL.
    pub fn query(&self) -> [(&'static str, Option<&str>); 3] {
        let first = self.followed.first();
        let text = |of: fn(&Followed) -> Option<&String>| first.and_then(of).map(String::as_str);
        [
            ("pool", text(|f| f.pool.as_ref())),
            ("workspace_id", self.workspace.as_deref()),
            ("cursor", text(|f| f.cursor.as_ref())),
        ]
    }

    /// Commands to be sent once the first pool's figures have come.
    pub fn commands(&self) -> Vec<String> {
        let command = |(at, followed): (usize, &Followed)| {
            let name = name(at)?;
            let mut command = json!({"type": "subscribe", "id": name, "subscription": name, "pool": followed.pool});
            let more = [("workspace_id", &self.workspace), ("cursor", &followed.cursor)];
            for (key, value) in more {
                if let Some(value) = value {
                    command[key] = Value::from(value.clone());
                }
            }
            Some(command.to_string())
        };
        self.followed.iter().enumerate().filter_map(command).collect()
    }

    /// Takes note of a message.
    ///
    /// # Errors
    /// Something between this event and the last is missing; the place stays before the gap.
    pub fn note(&mut self, message: &Message) -> Result<(), Gap> {
        match message {
            Message::QuotaInitial(status) | Message::QuotaUpdate(status) => self.note_status(status),
            Message::QuotaEvent(event) => {
                let Some(followed) = self.followed.get_mut(place(event.subscription.as_deref())) else { return Ok(()) };
                if followed.last.zip(event.prev).is_some_and(|(last, prev)| prev > last) {
                    followed.last = None;
                    return Err(Gap);
                }
                followed.last = Some(event.seq);
                followed.cursor = Some(event.cursor.clone());
            }
            Message::Reset { subscription, .. } => {
                if let Some(followed) = self.followed.get_mut(place(subscription.as_deref())) {
                    (followed.cursor, followed.last) = (None, None);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note_status(&mut self, status: &Status) {
        if let Some(followed) = self.followed.get_mut(place(status.subscription.as_deref())) {
            // From now on the same pool, also where the node's configuration gets another first one.
            followed.pool = Some(status.pool.clone());
            followed.cursor = Some(status.cursor.clone());
            followed.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(prev: u64, seq: u64) -> Message {
        Message::read(&format!(r#"{{"type":"quota_event","prev":{prev},"seq":{seq},"cursor":"c{seq}","subscription":"p1"}}"#))
    }

    #[test]
    fn the_way_on_is_after_the_last_message() {
        let mut resume = Resume::new(&["a".into(), "b".into()], Some("w1".into()));
        assert_eq!(resume.query(), [("pool", Some("a")), ("workspace_id", Some("w1")), ("cursor", None)]);
        let status = r#"{"type":"quota_initial","pool":"a","cursor":"c0","mode":"snapshot","data":{}}"#;
        resume.note(&Message::read(status)).unwrap();
        resume.note(&event(4, 6)).unwrap();
        assert_eq!(resume.query()[2], ("cursor", Some("c0")));
        let commands = resume.commands();
        assert_eq!(commands.len(), 1);
        let command: Value = serde_json::from_str(&commands[0]).unwrap();
        assert_eq!(
            command,
            json!({"type": "subscribe", "id": "p1", "subscription": "p1", "pool": "b", "workspace_id": "w1", "cursor": "c6"})
        );
        resume.note(&Message::read(r#"{"type":"reset","subscription":"p1","pool":"b","reason":"diverged"}"#)).unwrap();
        assert!(!resume.commands()[0].contains("cursor"));
    }

    #[test]
    fn a_gap_is_noticed_and_the_place_stays_before_it() {
        let mut resume = Resume::new(&["a".into(), "b".into()], None);
        resume.note(&event(3, 5)).unwrap();
        resume.note(&event(5, 9)).unwrap();
        assert_eq!(resume.note(&event(10, 11)), Err(Gap));
        assert!(resume.commands()[0].contains("\"c9\""));
        let update = r#"{"type":"quota_update","subscription":"p1","pool":"b","cursor":"c20","data":{}}"#;
        resume.note(&Message::read(update)).unwrap();
        resume.note(&event(20, 21)).unwrap();
    }
}
