//! Every Redis key and channel name. Nothing else formats one.
//!
//! All keys of a pool carry its id as hash tag, so that they share a slot and one script may touch
//! them all. Ids have no braces, group and record names are base64url: the text is injective.

use super::call::RecordId;
use crate::domain::{GroupId, PoolId};

/// Version of the stored layout; another version never reads these keys.
const PREFIX: &str = "qc1";

/// The channel on which a node hears its own probes.
pub fn probe_channel(node: &str) -> String {
    format!("{PREFIX}:probe:{node}")
}

/// A value that is taken once. Lives as long as it is kept for.
pub fn once(name: &str) -> String {
    format!("{PREFIX}:once:{name}")
}

/// The names of one pool's keys, ready to be cloned into commands.
#[derive(Clone, Debug)]
pub struct PoolKeys {
    /// Clock, operations, version, epoch, seq, status. Permanent: losing it is losing the epoch.
    pub meta: String,
    /// Event log. Lives 24 h after the last event.
    pub log: String,
    /// Open leases by deadline. Members leave when they are settled or their lease ends.
    pub open: String,
    /// Groups whose status time may change, by instant. Members leave when they are looked at.
    pub due: String,
    /// Groups by the expiry of their key. The sweeper removes what has expired.
    pub groups: String,
    /// Counters whose status is not normal. Fields leave when it is normal again.
    pub standing: String,
    /// Which number stands for which name. Permanent: numbers in groups refer to it.
    pub names: String,
    /// Runtime overrides. Permanent until deleted by an operator.
    pub overrides: String,
    /// Who changed which override. At most 1,000 entries, permanent.
    pub audit: String,
    /// Which notifications somebody has seen. Lives 7 days after the last.
    pub acknowledged: String,
    /// Epochs that have lost data, and how much. Lives 7 days after the last loss.
    pub losses: String,
    /// Pub/sub channel of the pool's events.
    pub channel: String,
    group: String,
    record: String,
}

impl PoolKeys {
    /// Names the keys of a pool.
    pub fn new(pool: &PoolId) -> Self {
        let key = |name: &str| format!("{PREFIX}:{{{pool}}}:{name}");
        Self {
            meta: key("meta"),
            log: key("log"),
            open: key("open"),
            due: key("due"),
            groups: key("groups"),
            standing: key("standing"),
            names: key("names"),
            overrides: key("overrides"),
            audit: key("audit"),
            acknowledged: key("acknowledged"),
            losses: key("losses"),
            channel: key("events"),
            group: key("g:"),
            record: key("r:"),
        }
    }

    /// The fixed keys of a call, in the order that `lua/lib/call.lua` expects.
    pub fn fixed(&self) -> [&str; 6] {
        [&self.meta, &self.log, &self.open, &self.due, &self.groups, &self.standing]
    }

    /// Writes the key of a group over what `name` holds: a call names dozens of keys, so they share one buffer.
    pub fn write_group(&self, name: &mut String, id: GroupId) {
        name.clear();
        name.push_str(&self.group);
        name.push_str(id.as_str());
    }

    /// Writes the key of a record over what `name` holds.
    pub fn write_record(&self, name: &mut String, id: RecordId) {
        name.clear();
        name.push_str(&self.record);
        name.push_str(id.as_str());
    }

    /// The hash of a group. Lives as long as its counters and the records that point at it need it.
    pub fn group(&self, id: GroupId) -> String {
        format!("{}{}", self.group, id.as_str())
    }

    /// The string of a record. Lives for the retention after it was settled and its lease ended; while
    /// nobody settles it, 45 days more.
    pub fn record(&self, id: RecordId) -> String {
        format!("{}{}", self.record, id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scope;

    #[test]
    fn keys_are_these_very_bytes() {
        let keys = PoolKeys::new(&PoolId::new("openai").unwrap());
        assert_eq!(
            keys.fixed(),
            [
                "qc1:{openai}:meta",
                "qc1:{openai}:log",
                "qc1:{openai}:open",
                "qc1:{openai}:due",
                "qc1:{openai}:groups",
                "qc1:{openai}:standing"
            ]
        );
        assert_eq!(keys.channel, "qc1:{openai}:events");
        assert_eq!(probe_channel("n1"), "qc1:probe:n1");
        let group = Scope::new([("workspace", "w1")]).unwrap().select(&["workspace".into()]).group_id();
        assert_eq!(keys.group(group), format!("qc1:{{openai}}:g:{}", group.as_str()));
        assert_eq!(keys.group(GroupId::pool_wide()), "qc1:{openai}:g:RBNvo1WzZ4oRRq0W9-hkng");
        assert!(keys.record(group).starts_with("qc1:{openai}:r:"));
    }
}
