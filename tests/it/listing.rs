//! Reading through many groups and reservations, a page at a time.

use std::{collections::BTreeMap, sync::Arc};

use quota_coordinator::{
    coordinator::types::{Metadata, Reserve, Reset},
    domain::{Scope, Unit},
};

use crate::support::{
    node::{Node, asks, pool_of},
    redis::{fresh_pool, shared, store},
};

const LIMITS: &str = "[[pools.limits]]\nid = \"own\"\nunit = \"requests\"\ncapacity = 5\nwindow = \"1h\"\nper = [\"workspace\"]\n\
                      [[pools.limits]]\nid = \"all\"\nunit = \"requests\"\ncapacity = 500\nwindow = \"1h\"\n";

/// Sixty workspaces that came at once, so that they share calls, and with them the expiry of their keys.
async fn crowd() -> Arc<Node> {
    let node = Arc::new(Node::start(store(shared().await), &pool_of(&fresh_pool("pages"), LIMITS)).await);
    let requests = (0..60).map(|n| {
        let name = format!("w{n:02}");
        let metadata = Metadata::from([("trace".to_owned(), format!("t{}", n % 3))]);
        node.granted(Reserve { metadata, ..asks(&node.pool, &[("workspace", &name)], &[]) })
    });
    futures_util::future::join_all(requests).await;
    node
}

#[tokio::test]
async fn pages_show_each_group_once() {
    let node = crowd().await;
    for size in [1, 7, 59, 60, 61, 200] {
        let (mut seen, mut after) = (BTreeMap::<String, u32>::new(), None::<String>);
        loop {
            let page = node.usage(&node.pool, &Scope::default(), after.as_deref(), size).await.unwrap();
            for figure in page.figures {
                assert_eq!((figure.used, figure.held), if figure.partition.is_pool_wide() { (0, 60) } else { (0, 1) });
                *seen.entry(figure.partition.to_text()).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 61, "pages of {size}");
        assert!(seen.values().all(|times| *times == 1), "pages of {size}: {seen:?}");
    }
}

#[tokio::test]
async fn a_reset_reaches_every_group() {
    let node = crowd().await;
    let everything = Reset { pool: node.pool.clone(), limit: None, scope: Scope::default(), principal: "tester".into() };
    let one = Reset { scope: Scope::new([("workspace", "w07")]).unwrap(), ..everything.clone() };
    assert_eq!(node.reset(one).await.unwrap(), 1);
    assert_eq!(node.reset(everything).await.unwrap(), 61);
    let usage = node.usage_now().await;
    assert!(usage.figures.iter().all(|figure| (figure.used, figure.held) == (0, 0)), "{usage:?}");
}

#[tokio::test]
async fn open_reservations_are_listed_oldest_first_by_scope_and_metadata() {
    let node = crowd().await;
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    let metadata = Metadata::from([("trace".to_owned(), "t1".to_owned())]);
    loop {
        let (page, next) = node.reservations(&node.pool, &Scope::default(), &metadata, after.as_deref(), 6).await.unwrap();
        seen.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 20);
    assert!(seen.is_sorted_by_key(|view| view.created_at_us));
    assert!(seen.iter().all(|view| view.metadata == metadata));
    let names: std::collections::BTreeSet<_> = seen.iter().map(|view| view.reservation.clone()).collect();
    assert_eq!(names.len(), 20);

    let scope = Scope::new([("workspace", "w07")]).unwrap();
    let (page, _) = node.reservations(&node.pool, &scope, &Metadata::new(), None, 6).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].charged, [(Unit::requests(), 1)]);
    node.releases(&page[0].reservation).await.unwrap();
    let (page, _) = node.reservations(&node.pool, &scope, &Metadata::new(), None, 6).await.unwrap();
    assert!(page.is_empty());
}
