//! Starting, killing and losing private servers.

use super::*;

async fn ping(server: &PrivateRedis) -> redis::RedisResult<String> {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async(&mut connection).await
}

/// Waits (boundedly, without a fixed pause) until something is so.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_server_answers_and_leaves_nothing_behind() {
    let server = PrivateRedis::start().await.unwrap();
    assert_eq!(ping(&server).await.unwrap(), "PONG");
    let socket = PathBuf::from(server.url().strip_prefix("redis+unix://").unwrap());
    let (pid, dir) = (server.pid(), socket.parent().unwrap().to_owned());
    assert!(is_running(pid) && dir.exists());
    drop(server);
    eventually("the process ends", || !is_running(pid)).await;
    eventually("the directory goes", || !dir.exists()).await;
}

#[tokio::test]
async fn a_killed_server_can_be_started_again_on_its_port() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = PrivateRedis::start_on_port(port).await.unwrap();
    assert_eq!(server.url(), format!("redis://127.0.0.1:{port}"));
    let taken = PrivateRedis::start_on_port(port).await.unwrap_err().to_string();
    assert!(taken.contains("did not come up") && taken.contains("in use"), "{taken}");
    server.pause().await.unwrap();
    server.resume().await.unwrap();
    assert_eq!(ping(&server).await.unwrap(), "PONG");
    server.kill().await.unwrap();
    eventually("the process ends", || !is_running(server.pid())).await;
    let again = PrivateRedis::start_on_port(port).await.unwrap();
    assert_eq!(ping(&again).await.unwrap(), "PONG");
}

/// Not a test by itself: the parent that the next one kills.
#[tokio::test]
#[ignore = "run as a child process by `a_killed_parent_takes_its_server_along`"]
async fn a_parent_that_waits() {
    let server = PrivateRedis::start().await.unwrap();
    println!("\nserver {}", server.pid());
    sleep(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn a_killed_parent_takes_its_server_along() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["private_redis::tests::a_parent_that_waits", "--exact", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid = loop {
        let line = said.next_line().await.unwrap().expect("the parent says its server's process id");
        if let Some(pid) = line.strip_prefix("server ") {
            break pid.parse().unwrap();
        }
    };
    assert!(is_running(pid));
    parent.kill().await.unwrap();
    eventually("the process ends", || !is_running(pid)).await;
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let options = Options { program: Some("/nowhere/redis-server".into()), ..Options::default() };
    let error = PrivateRedis::start_with(options).await.unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/redis-server did not come up"), "{error}");
    assert!(PrivateRedisError::NotInstalled.to_string().contains("apt-get install redis-server"));
}

#[test]
fn a_named_server_wins_over_the_path() {
    assert_eq!(find_server_in(Some("/x/y".into()), None), Some("/x/y".into()));
    assert_eq!(find_server_in(Some("".into()), Some("/nowhere".into())), None);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("redis-server"), "").unwrap();
    let found = || find_server_in(None, Some(dir.path().into()));
    assert_eq!(found(), Some(dir.path().join("redis-server")));
    std::fs::write(dir.path().join("valkey-server"), "").unwrap();
    assert_eq!(found(), Some(dir.path().join("valkey-server")));
}
