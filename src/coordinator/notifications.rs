//! Notifications: what a person should know now, one for each scope, status and episode.
//!
//! They are derived from what stands in another status than normal, so every node says the same, and
//! one that is over is gone by itself. Only that somebody has seen one is stored.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Coordinator, reads, store_error,
    types::{CoordinatorError, Figure, Partitions, Principal},
};
use crate::{
    domain::{CounterStatus, GroupId, Kind, Limit, Partition, PoolId, PoolStatus, Scope},
    store::log::{LogQuery, Standing},
};

/// Notifications of one listing, the worst first.
pub const MOST: usize = 200;
/// How long it is remembered that somebody has seen one.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the record.
    Info,
    /// Something is running out.
    Warning,
    /// Something has run out.
    Error,
}

/// That somebody has seen a notification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Name of the key.
    pub by: String,
    /// µs since 1970.
    pub at_us: u64,
}

/// One thing that a person should know.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The same on every node, and for as long as the status stands: scope, status and episode.
    pub id: String,
    /// How urgent it is.
    pub level: Level,
    /// One line.
    pub title: String,
    /// What has happened, and when it ends.
    pub message: String,
    /// What a person can do.
    pub suggested_actions: Vec<String>,
    /// The status that stands.
    pub status: PoolStatus,
    /// Whose.
    pub partition: Partition,
    /// Counters that make it so.
    pub figures: Vec<Figure>,
    /// When it began, µs since 1970.
    pub created_at_us: u64,
    /// Who has seen it.
    pub acknowledged: Option<Acknowledgement>,
}

/// Counters of one group that are not normal.
struct Episode {
    group: GroupId,
    status: CounterStatus,
    since_us: u64,
}

/// One episode for each group: its worst status, and when that began.
fn episodes(standing: &[Standing]) -> Vec<Episode> {
    let mut by_group: BTreeMap<GroupId, Episode> = BTreeMap::new();
    for row in standing {
        let new = Episode { group: row.group, status: row.status, since_us: row.since_us };
        let known = by_group.entry(row.group).or_insert(Episode { group: row.group, ..new });
        if row.status > known.status || (row.status == known.status && row.since_us < known.since_us) {
            (known.status, known.since_us) = (row.status, row.since_us);
        }
    }
    let mut list: Vec<Episode> = by_group.into_values().collect();
    list.sort_by_key(|episode| (std::cmp::Reverse(episode.status), episode.since_us));
    list
}

fn id_of(pool: &PoolId, episode: &Episode) -> String {
    let text = format!("{pool}|{}|{}|{}", episode.group.as_str(), episode.status.as_str(), episode.since_us);
    URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..16])
}

impl Coordinator {
    /// Notifications of the scopes that do not contradict `scope`, the worst first, at most [`MOST`].
    pub async fn notifications(&self, pool: &PoolId, scope: &Scope) -> Result<Vec<Notification>, CoordinatorError> {
        let queue = self.queue(pool)?;
        let query = LogQuery { standing: true, ..LogQuery::HEAD };
        let page = self.0.store.log(pool, query).await.map_err(store_error)?;
        let episodes = episodes(&page.standing.unwrap_or_default());
        let groups: Vec<GroupId> = episodes.iter().map(|episode| episode.group).collect();
        let figures = reads::figures_of(queue, self.0.store.as_ref(), &groups, scope, MOST).await?;
        let seen = self.0.store.acknowledgements(pool).await.map_err(store_error)?;
        let mut list = Vec::new();
        for episode in &episodes {
            let Some(figures) = figures.get(&episode.group) else { continue };
            let id = id_of(pool, episode);
            let acknowledged = seen.get(&id).and_then(|json| serde_json::from_str(json).ok());
            list.extend(notification(pool, id, episode, figures, acknowledged));
        }
        Ok(list)
    }

    /// How many partitions are in which status; `None` when too many are not normal to be counted at once.
    pub async fn partitions(&self, pool: &PoolId) -> Result<Option<Partitions>, CoordinatorError> {
        let query = LogQuery { standing: true, ..LogQuery::HEAD };
        let page = self.0.store.log(self.queue(pool)?.id(), query).await.map_err(store_error)?;
        Ok(page.standing.map(|standing| {
            let others = |status| {
                let list = episodes(&standing);
                let count = list.iter().filter(|e| e.status == status && e.group != GroupId::pool_wide()).count();
                u64::try_from(count).unwrap_or(u64::MAX)
            };
            let (warning, exhausted) = (others(CounterStatus::Warning), others(CounterStatus::Exhausted));
            // The index also lists the pool-wide group, once anything was asked.
            Partitions { normal: page.groups.saturating_sub(1 + warning + exhausted), warning, exhausted }
        }))
    }

    /// Remembers that somebody has seen a notification; the notification, or an error when none of that id stands.
    pub async fn acknowledge(
        &self,
        pool: &PoolId,
        scope: &Scope,
        id: &str,
        by: &Principal,
    ) -> Result<Notification, CoordinatorError> {
        let queue = self.queue(pool)?;
        let list = self.notifications(pool, scope).await?;
        let standing: Vec<String> = list.iter().map(|n| n.id.clone()).collect();
        let found = list.into_iter().find(|notification| notification.id == id).ok_or(CoordinatorError::UnknownNotification)?;
        if found.acknowledged.is_some() {
            return Ok(found);
        }
        let acknowledged = Acknowledgement { by: by.to_string(), at_us: queue.clock.about_us() };
        let json = serde_json::to_string(&acknowledged).map_err(|error| CoordinatorError::Internal(error.to_string()))?;
        self.0.store.acknowledge(pool, id, &json, &standing, REMEMBERED).await.map_err(store_error)?;
        Ok(Notification { acknowledged: Some(acknowledged), ..found })
    }
}

fn notification(
    pool: &PoolId,
    id: String,
    episode: &Episode,
    figures: &[Figure],
    acknowledged: Option<Acknowledgement>,
) -> Option<Notification> {
    let causes: Vec<Figure> = figures.iter().filter(|figure| figure.status == episode.status).cloned().collect();
    let first = causes.first()?;
    let is_budget = |figure: &Figure| matches!(figure.limit.kind, Kind::Budget { .. });
    let status = causes.iter().map(|figure| PoolStatus::of_counter(figure.status, is_budget(figure))).max()?;
    let whose = match first.partition.is_pool_wide() {
        true => format!("Pool {pool}"),
        false => first.partition.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", "),
    };
    let (level, what) = match status {
        PoolStatus::QuotaExceeded => (Level::Error, "has used up its quota"),
        PoolStatus::RateLimited => (Level::Error, "has reached its limit"),
        PoolStatus::Warning => (Level::Warning, "is close to its limit"),
        PoolStatus::Degraded | PoolStatus::Normal => (Level::Info, "has changed"),
    };
    Some(Notification {
        id,
        level,
        title: format!("{whose} {what}"),
        message: causes.iter().map(sentence).collect::<Vec<_>>().join(" "),
        suggested_actions: suggestions(first, status),
        status,
        partition: Partition::clone(&first.partition),
        created_at_us: episode.since_us,
        figures: causes,
        acknowledged,
    })
}

/// What one counter says: how full it is, and when it will be better.
fn sentence(figure: &Figure) -> String {
    let Limit { id, unit, kind, .. } = figure.limit.as_ref();
    let amount = |value| if unit.is_money() { format!("${}", unit.format(value)) } else { format!("{value} {unit}") };
    let full = format!(
        "{id}: {} of {} ({}.{} %)",
        amount(figure.used + figure.held),
        amount(figure.capacity),
        figure.per_mille() / 10,
        figure.per_mille() % 10
    );
    let until = figure.reset_after.map_or_else(String::new, |after| {
        let after = humantime::format_duration(Duration::from_secs(after.as_secs().max(1)));
        match kind {
            Kind::Rate { .. } => format!(", whole again in {after} if nothing more is asked"),
            Kind::Budget { calendar } => format!(", until this {} ends in {after}", calendar.length().as_str()),
            Kind::Concurrency => format!(", the last lease ends in {after} at the latest"),
        }
    });
    format!("{full}{until}.")
}

fn suggestions(figure: &Figure, status: PoolStatus) -> Vec<String> {
    let unit = &figure.limit.unit;
    let mut list = Vec::new();
    match (&figure.limit.kind, status) {
        (Kind::Budget { .. }, PoolStatus::Warning) => {
            list.push("Check who spends most, before the budget is used up.".to_owned());
            list.push("Move what can wait to the next period, or to a cheaper model.".to_owned());
        }
        (Kind::Budget { .. }, _) => {
            list.push("Nothing comes back before the period ends: raise the budget, or wait.".to_owned());
        }
        (Kind::Concurrency, _) => {
            list.push(
                "Look for reservations that are open for long: their callers may have stopped without committing.".to_owned(),
            );
        }
        (Kind::Rate { .. }, _) if unit.as_str() == "requests" => {
            list.push("Spread requests, or combine several into one.".to_owned());
        }
        (Kind::Rate { .. }, _) => {
            list.push("Ask for shorter answers (max_output_tokens is held in advance), or use a smaller model.".to_owned());
        }
    }
    if status > PoolStatus::Warning {
        list.push("Callers: wait for retry_after_ms before asking again.".to_owned());
    }
    list.push(format!("If the provider allows more, raise the capacity of `{}`.", figure.limit.id));
    list
}
