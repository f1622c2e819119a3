//! Servers that forget scripts, forget everything, or stop answering; and calls that make no sense.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quota_coordinator::{
    coordinator::types::CoordinatorError,
    domain::PoolId,
    private_redis::PrivateRedis,
    store::{
        Store,
        call::{Op, RecordId},
        codec,
        redis::{RedisSettings, RedisStore},
        scripts::{Publish, Scripts},
    },
};

use crate::support::{
    node::{Node, call, catalogue_of, cost, pool_of, until},
    redis::{connection, dump, fresh_pool, keys_of, settings, shared, store},
};

const LIMITS: &str = "[[pools.limits]]\nid = \"rpm\"\nunit = \"requests\"\ncapacity = 1000\nwindow = \"1h\"\n\
                      [[pools.limits]]\nid = \"open\"\nunit = \"requests\"\nkind = \"concurrency\"\ncapacity = 1000\n";

const DEADLINE: Duration = Duration::from_millis(250);

fn impatient(url: &str) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(&RedisSettings { deadline: DEADLINE, ..settings(url) }).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let server = PrivateRedis::start().await.unwrap();
    let node = Arc::new(Node::start(store(&server), &pool_of(&fresh_pool("flush"), LIMITS)).await);
    let mut connection = connection(&server).await;
    let callers = (0..8).map(|_| {
        let node = node.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                let grant = node.granted(node.asks(&[])).await;
                node.commits(&grant.reservation, &[]).await.unwrap();
            }
        })
    });
    let callers = futures_util::future::join_all(callers);
    let flushing = async {
        for _ in 0..30 {
            let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (callers, ()) = tokio::join!(callers, flushing);
    callers.into_iter().for_each(Result::unwrap);
    assert_eq!(node.figures("rpm").await, (400, 0));
    assert_eq!(node.call_counts(&node.pool).unwrap().failures, 0);
}

/// A port of 127.0.0.1 that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn epoch(cursor: &str) -> String {
    cursor.split('.').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_server_that_lost_everything_begins_a_new_epoch() {
    let port = free_port();
    let server = PrivateRedis::start_on_port(port).await.unwrap();
    let pool = pool_of(&fresh_pool("lost"), LIMITS);
    let node = Node::start(impatient(server.url()), &pool).await;
    let capacity = |value: u64| format!("{{\"capacity\":{value}}}");
    let outside = store(&server);
    outside.set_override(&pool.id, "rpm", Some(&capacity(500))).await.unwrap();
    let before = node.decide(node.asks(&[])).await;
    assert_eq!(before.figures[0].capacity, 500);
    let old = node.granted(node.asks(&[])).await.reservation;

    server.kill().await.unwrap();
    let away = node.reserve(node.asks(&[])).await;
    assert!(matches!(away, Err(CoordinatorError::StoreUnavailable { .. })), "{away:?}");
    drop(server);
    let server = PrivateRedis::start_on_port(port).await.unwrap();
    // The first override after the loss is not taken for the one that was lost.
    store(&server).set_override(&pool.id, "rpm", Some(&capacity(300))).await.unwrap();
    let mut after = None;
    until("the node works again", Duration::from_secs(5), async || {
        after = node.reserve(node.asks(&[])).await.ok();
        after.is_some()
    })
    .await;
    let after = after.unwrap();
    assert_ne!(epoch(&after.cursor), epoch(&before.cursor));
    assert_eq!((after.figures[0].capacity, after.figures[0].held), (300, 1));
    let answer = node.commits(&old, &[]).await;
    assert!(matches!(answer, Err(CoordinatorError::UnknownReservation)), "{answer:?}");
    // What stands for what is written down again, by whoever meets the new epoch.
    let mut connection = connection(&server).await;
    until("names are registered", Duration::from_secs(5), async || {
        keys_of(&mut connection, &pool.id).await.iter().any(|key| key.ends_with(":names"))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_holds_nobody_up_for_long() {
    let server = PrivateRedis::start().await.unwrap();
    let node = Node::start(impatient(server.url()), &pool_of(&fresh_pool("stop"), LIMITS)).await;
    node.granted(node.asks(&[])).await;
    server.pause().await.unwrap();
    for _ in 0..3 {
        let asked = Instant::now();
        let answer = node.reserve(node.asks(&[])).await;
        let took = asked.elapsed();
        assert!(matches!(answer, Err(CoordinatorError::StoreUnavailable { .. })), "{answer:?}");
        // A deadline to connect, and one for the call; the rest is for a busy machine.
        assert!(took < 2 * DEADLINE + Duration::from_secs(1), "{took:?}");
    }
    server.resume().await.unwrap();
    until("the node works again", Duration::from_secs(5), async || node.reserve(node.asks(&[])).await.is_ok()).await;
    // What was sent before the server stopped may have been carried out; nothing was twice.
    let (_, held) = node.figures("rpm").await;
    assert!((2..=5).contains(&held), "{held}");
}

#[tokio::test]
async fn what_gives_back_goes_on_when_the_server_is_out_of_memory() {
    let server = PrivateRedis::start().await.unwrap();
    let node = Node::without_sweeper(store(&server), &pool_of(&fresh_pool("oom"), LIMITS)).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(node.granted(node.asks(&[])).await.reservation);
    }
    let mut connection = connection(&server).await;
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").query_async(&mut connection).await.unwrap();
    // Together, so that they go in one call with what cannot be granted.
    let (settled, refused) = tokio::join!(
        futures_util::future::join_all(open.iter().map(|id| node.commits(id, &[]))),
        futures_util::future::join_all((0..8).map(|_| node.reserve(node.asks(&[])))),
    );
    for answer in settled {
        answer.unwrap();
    }
    for answer in refused {
        assert!(matches!(answer, Err(CoordinatorError::StoreUnavailable { .. })), "{answer:?}");
    }
    assert_eq!((node.figures("rpm").await, node.figures("open").await), ((8, 0), (0, 0)));
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("0").query_async(&mut connection).await.unwrap();
    node.granted(node.asks(&[])).await;
}

/// A reserve and a recorded use, as a store sends them: each a call of its own.
fn sensible(pool: &Arc<quota_coordinator::domain::Pool>) -> Vec<codec::Encoded> {
    let catalogue = catalogue_of(pool);
    let prepare = |opens| {
        let scope = quota_coordinator::domain::Scope::default();
        catalogue.prepare(&scope, &cost(&[]), None, quota_coordinator::domain::Priority::Normal, opens).unwrap()
    };
    let (reserve, used) = (prepare(true), prepare(false));
    let ops = vec![
        Op::Reserve {
            shape: reserve.shape,
            costs: reserve.costs,
            record: RecordId::from_raw([1; 16]),
            nonce: 1,
            fingerprint: 1,
            lease_us: 60_000_000,
            blob: bytes::Bytes::from_static(b"{}"),
        },
        Op::Record { shape: used.shape, costs: used.costs, record: RecordId::from_raw([2; 16]), fingerprint: 1 },
    ];
    let about = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let about = u64::try_from(about.as_micros()).unwrap();
    ops.into_iter().map(|op| codec::encode(&call(&catalogue, about, vec![op]))).collect()
}

async fn send(
    connection: &mut redis::aio::MultiplexedConnection,
    script: &str,
    pool: &PoolId,
    encoded: &codec::Encoded,
    args: &[Vec<u8>],
    leave_out_keys: usize,
) -> Result<redis::Value, redis::RedisError> {
    let keys = quota_coordinator::store::keys::PoolKeys::new(pool);
    let mut names: Vec<String> = keys.fixed().iter().map(|key| (*key).to_owned()).collect();
    names.extend(encoded.groups.iter().map(|group| keys.group(*group)));
    names.extend(encoded.records.iter().map(|record| keys.record(*record)));
    names.truncate(names.len() - leave_out_keys);
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(names.len());
    command.arg(&names).arg(args);
    command.query_async(connection).await
}

#[tokio::test]
async fn what_makes_no_sense_changes_nothing() {
    let id = fresh_pool("garbage");
    let budget = "[[pools.limits]]\nid = \"daily\"\nunit = \"requests\"\ncapacity = 1\nperiod = \"day\"\n";
    let pool = pool_of(&id, &[LIMITS, budget].concat());
    let script = Scripts::new(Publish::Plain, None).apply.text;
    let mut connection = connection(shared().await).await;
    let keys = quota_coordinator::store::keys::PoolKeys::new(&id);
    for encoded in sensible(&pool) {
        let channel = keys.channel.clone().into_bytes();
        let args: Vec<Vec<u8>> = encoded.args.iter().cloned().chain([channel, encoded.texts.clone()]).collect();
        let before = dump(&mut connection, &id).await;
        let mut refused = 0;
        for (at, arg) in args.iter().enumerate() {
            // Cut short anywhere, missing, or something else entirely. The channel's name is free text.
            let mut wrong: Vec<Vec<u8>> = (0..arg.len()).map(|length| arg[..length].to_vec()).collect();
            wrong.push(b"what is this?".to_vec());
            for wrong in wrong.into_iter().filter(|_| at != 5) {
                let mut args = args.clone();
                args[at] = wrong;
                let answer = send(&mut connection, &script, &id, &encoded, &args, 0).await;
                let after = dump(&mut connection, &id).await;
                assert!(answer.is_err() || after == before, "argument {at}: {answer:?}");
                assert_eq!(after, before, "argument {at} {:?}: {answer:?}", args[at]);
                refused += 1;
            }
            let answer = send(&mut connection, &script, &id, &encoded, &args[..at], 0).await;
            assert!(answer.is_err(), "{at} arguments: {answer:?}");
            assert_eq!(dump(&mut connection, &id).await, before, "{at} arguments");
        }
        for fewer in 1..=8 {
            let answer = send(&mut connection, &script, &id, &encoded, &args, fewer).await;
            assert!(answer.is_err(), "{fewer} keys fewer: {answer:?}");
            assert_eq!(dump(&mut connection, &id).await, before, "{fewer} keys fewer");
        }
        assert!(refused > 150, "{refused}");
        send(&mut connection, &script, &id, &encoded, &args, 0).await.unwrap();
        assert_ne!(dump(&mut connection, &id).await, before);
    }
}
