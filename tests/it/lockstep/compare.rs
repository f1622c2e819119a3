//! What both stores list, read and log, side by side.

use quota_coordinator::store::{
    Store,
    call::{Call, GroupRef, Op, Settlement},
    log::LogQuery,
};

use super::run::Run;

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

    /// The event logs, and what stands.
    pub async fn compare_logs(&self) {
        let query = LogQuery { standing: true, ..LogQuery::after(0) };
        let mut expected = self.model.log(&self.pool, query).await.unwrap();
        let mut got = self.redis.log(&self.pool, query).await.unwrap();
        expected.standing.iter_mut().for_each(|list| list.sort_unstable());
        got.standing.iter_mut().for_each(|list| list.sort_unstable());
        assert_eq!(format!("{got:#?}"), format!("{expected:#?}"));
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
