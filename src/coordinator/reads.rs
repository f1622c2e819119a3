//! Reading counters: of a scope, or of the whole pool a page at a time.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Coordinator, RENEWALS,
    catalogue::{Catalogue, Partitioning, figure},
    queue::{PoolQueue, reload},
    store_error,
    types::{CoordinatorError, Figure, Reset, Usage},
    unsettled,
};
use crate::{
    domain::{GroupId, Number, Partition, PoolId, Scope},
    store::{
        Store, StoreError,
        call::{Call, GroupRef, GroupSpec, Op},
        reply::{Outcome, Reply},
    },
};

/// Groups read by one script call.
const PORTION: usize = 100;

/// A group to be read.
struct Wanted<'a> {
    partitioning: &'a Partitioning,
    partition: Arc<Partition>,
    spec: Arc<GroupSpec>,
}

fn wanted<'a>(catalogue: &Catalogue, partitioning: &'a Partitioning, partition: Partition) -> Wanted<'a> {
    let spec = catalogue.group(partitioning, &partition);
    Wanted { partitioning, partition: Arc::new(partition), spec }
}

/// True when no entry of the partition contradicts the scope.
fn fits(partition: &Partition, scope: &Scope) -> bool {
    partition.iter().all(|(key, value)| scope.get(key).is_none_or(|asked| asked == value))
}

async fn read(
    queue: &PoolQueue,
    store: &dyn Store,
    catalogue: &Catalogue,
    groups: &[Wanted<'_>],
) -> Result<Reply, CoordinatorError> {
    let mut call = Call {
        config_version: catalogue.version,
        retention_us: 0,
        calendars: catalogue.calendars.clone(),
        about_us: queue.clock.about_us(),
        seed: 0,
        ops: groups.iter().map(|wanted| Op::Read { group: GroupRef::Spec(wanted.spec.clone()) }).collect(),
    };
    for _ in 0..2 {
        match store.read(queue.id(), &call).await.map_err(store_error)? {
            Outcome::Done(reply) => {
                queue.clock.learn(reply.header.clock_us);
                return Ok(reply);
            }
            Outcome::RetryPeriod(header) | Outcome::StaleConfig(header) => call.about_us = header.clock_us,
        }
    }
    Err(CoordinatorError::Internal("the store kept asking for other periods".into()))
}

/// Figures of one group in a reply.
fn figures_in(catalogue: &Catalogue, wanted: &Wanted<'_>, reply: &Reply, base: usize, scope: &Scope) -> Vec<Figure> {
    let slots = wanted.partitioning.limits.iter().zip(&wanted.spec.slots).zip(reply.counters.iter().skip(base));
    slots
        .map(|((limit, spec), counter)| (&catalogue.pool.limits[*limit], spec, counter))
        .filter(|(limit, ..)| limit.applies_to(scope))
        .map(|(limit, spec, counter)| figure(limit, &wanted.partition, spec.capacity, counter, reply.header.clock_us))
        .collect()
}

/// The group that a stored text names, if this configuration knows it and the scope admits it.
fn of_text<'a>(catalogue: &'a Catalogue, text: &str, scope: &Scope) -> Option<Wanted<'a>> {
    let partition = Partition::from_text(text)?;
    let per: Vec<&str> = partition.iter().map(|(key, _)| key).collect();
    let partitioning = catalogue.partitionings.iter().find(|p| p.per.iter().map(AsRef::as_ref).eq(per.iter().copied()))?;
    fits(&partition, scope).then(|| wanted(catalogue, partitioning, partition))
}

/// `None` when the overrides are not those of the catalogue any more.
async fn usage(
    queue: &PoolQueue,
    store: &dyn Store,
    catalogue: &Catalogue,
    groups: Vec<Wanted<'_>>,
    scope: &Scope,
    next: Option<String>,
) -> Result<Option<Usage>, CoordinatorError> {
    let mut figures = Vec::new();
    let mut header = None;
    for portion in groups.chunks(PORTION) {
        let reply = read(queue, store, catalogue, portion).await?;
        for (wanted, (_, base)) in portion.iter().zip(&reply.bases) {
            figures.extend(figures_in(catalogue, wanted, &reply, *base, scope));
        }
        header = Some(reply.header);
    }
    let header = match header {
        Some(header) => header,
        None => read(queue, store, catalogue, &[]).await?.header,
    };
    if header.config_version != catalogue.version {
        return Ok(None);
    }
    let status = catalogue.scope_status(&header, if scope.is_empty() { &[] } else { &figures });
    Ok(Some(Usage { figures, status, cursor: header.position.to_cursor(), at_us: header.clock_us, next }))
}

/// The groups of a page of the pool's index that this configuration knows and the scope admits.
async fn page<'a>(
    queue: &PoolQueue,
    store: &dyn Store,
    catalogue: &'a Catalogue,
    scope: &Scope,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Wanted<'a>>, Option<String>), StoreError> {
    let page = store.groups(queue.id(), after, limit).await?;
    let known = page.groups.iter().filter_map(|(_, text)| of_text(catalogue, text, scope));
    let mut known: Vec<Wanted<'_>> = known.filter(|wanted| !wanted.partition.is_pool_wide()).collect();
    known.sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok((known, page.next))
}

/// Figures of some groups by their names, of those that this configuration knows and the scope admits;
/// at most `most` groups, in the order given.
pub async fn figures_of(
    queue: &PoolQueue,
    store: &dyn Store,
    groups: &[GroupId],
    scope: &Scope,
    most: usize,
) -> Result<BTreeMap<GroupId, Vec<Figure>>, CoordinatorError> {
    let catalogue = queue.catalogue.load_full();
    let texts = store.texts(queue.id(), groups).await.map_err(store_error)?;
    let known = texts.iter().flatten().filter_map(|text| of_text(&catalogue, text, scope));
    let wanted: Vec<Wanted<'_>> = known.take(most).collect();
    let mut figures = BTreeMap::new();
    for portion in wanted.chunks(PORTION) {
        let reply = read(queue, store, &catalogue, portion).await?;
        for (wanted, (_, base)) in portion.iter().zip(&reply.bases) {
            figures.insert(wanted.spec.id, figures_in(&catalogue, wanted, &reply, *base, scope));
        }
    }
    Ok(figures)
}

/// Groups and counters that a reset touches; no numbers = all of the group.
pub async fn resettable(
    queue: &PoolQueue,
    store: &dyn Store,
    request: &Reset,
) -> Result<Vec<(GroupId, Vec<Number>)>, StoreError> {
    let catalogue = queue.catalogue.load_full();
    let numbers = |partitioning: &Partitioning| -> Option<Vec<Number>> {
        let Some(limit) = &request.limit else { return Some(Vec::new()) };
        let at = partitioning.limits.iter().find(|at| catalogue.pool.limits[**at].id.as_str() == limit)?;
        Some(vec![catalogue.pool.limits[*at].number()])
    };
    let mut list = Vec::new();
    if request.scope.is_empty()
        && let Some(numbers) = catalogue.partitionings.first().and_then(numbers)
    {
        list.push((GroupId::pool_wide(), numbers));
    }
    let mut after: Option<String> = None;
    loop {
        let (groups, next) = page(queue, store, &catalogue, &Scope::default(), after.as_deref(), 1000).await?;
        for group in groups.iter().filter(|group| contains(&group.partition, &request.scope)) {
            if let Some(numbers) = numbers(group.partitioning) {
                list.push((group.spec.id, numbers));
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(list),
        }
    }
}

/// True when each entry of the scope stands in the partition.
fn contains(partition: &Partition, scope: &Scope) -> bool {
    scope.iter().all(|(key, value)| partition.get(key) == Some(value))
}

impl Coordinator {
    /// Counters whose partition does not contradict the scope (all of the pool when the scope is
    /// empty), a page of at most `limit` groups at a time; the first page begins with the pool-wide ones.
    pub async fn usage(
        &self,
        pool: &PoolId,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Usage, CoordinatorError> {
        let (queue, store) = (self.queue(pool)?, self.0.store.as_ref());
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let (mut groups, next) = page(queue, store, &catalogue, scope, after, limit).await.map_err(store_error)?;
            if after.is_none() {
                groups.insert(0, wanted(&catalogue, &catalogue.partitionings[0], Partition::default()));
            }
            match usage(queue, store, &catalogue, groups, scope, next).await? {
                Some(usage) => return Ok(usage),
                None => reload(queue, store).await.map_err(store_error)?,
            }
        }
        Err(unsettled())
    }

    /// Counters that stand for this scope: the pool-wide ones, and those all of whose keys it names.
    pub async fn usage_of(&self, pool: &PoolId, scope: &Scope) -> Result<Usage, CoordinatorError> {
        let (queue, store) = (self.queue(pool)?, self.0.store.as_ref());
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let named = catalogue.partitionings.iter().filter(|p| p.per.iter().all(|key| scope.get(key).is_some()));
            let groups = named.map(|p| wanted(&catalogue, p, scope.select(&p.per))).collect();
            match usage(queue, store, &catalogue, groups, scope, None).await? {
                Some(usage) => return Ok(usage),
                None => reload(queue, store).await.map_err(store_error)?,
            }
        }
        Err(unsettled())
    }
}
