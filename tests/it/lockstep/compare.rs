//! What both stores list, read and log, side by side.

use quota_coordinator::store::{
    Store,
    call::{Call, GroupRef, Op, Settlement},
};

use super::run::Run;
use crate::support::redis::{connection, events, shared};

impl Run {
    /// Ends leases and looks at groups as a node's sweeper does.
    pub async fn sweep(&mut self) {
        let expected = self.model.due(&self.pool, 64).await.unwrap();
        let got = self.redis.due(&self.pool, 64).await.unwrap();
        assert_eq!(got, expected);
        let records = self.redis.records(&self.pool, &got.leases).await.unwrap();
        assert_eq!(records, self.model.records(&self.pool, &got.leases).await.unwrap());
        let mut ops = Vec::new();
        for (id, record) in got.leases.iter().zip(records) {
            ops.push(Op::Settle {
                record: *id,
                nonce: None,
                groups: record.unwrap().groups,
                how: Settlement::Expire,
                fingerprint: 0,
            });
        }
        ops.extend(got.groups.iter().map(|id| Op::Touch { group: GroupRef::Id(*id) }));
        self.call(ops).await;
    }

    /// The event logs are the same, too.
    pub async fn compare_logs(&mut self) {
        let mut connection = connection(shared().await).await;
        let got = events(&mut connection, &self.pool).await;
        let log = self.model.log(&self.pool);
        let expected = log.iter().map(|event| {
            let (group, number) = event.counter.as_ref().map_or(("", 0), |(group, number)| (group.as_str(), number.get()));
            serde_json::json!([
                event.seq,
                event.id.as_str(),
                event.prev.as_str(),
                event.at,
                event.cause,
                group,
                number,
                event.from,
                event.to
            ])
        });
        let fields = ["seq", "id", "prev", "at", "cause", "group", "number", "from", "to"];
        let got = got.iter().map(|event| serde_json::Value::from(fields.map(|field| event[field].clone()).to_vec()));
        assert_eq!(got.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    pub async fn read_all(&mut self) {
        for config in [0, 1] {
            let ops = self.nodes[config].groups.iter().map(|g| Op::Read { group: GroupRef::Spec(g.clone()) }).collect();
            let call =
                Call { config_version: 0, retention_us: 0, calendars: self.calendars.clone(), about_us: self.time, seed: 1, ops };
            let expected = self.model.read(&self.pool, &call).await.unwrap();
            assert_eq!(self.redis.read(&self.pool, &call).await.unwrap(), expected);
        }
    }
}
