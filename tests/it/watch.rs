//! `watch` as it is typed, against real nodes.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use crate::support::{
    process::{Ended, binary},
    redis::{fresh_pool, shared},
    web::{KEY, keyed, open, take},
};

const LONG: Duration = Duration::from_secs(30);

async fn watch(args: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = Command::from(binary(&[&["watch"], args].concat()));
    timeout(LONG, command.envs(env.iter().copied()).output()).await.unwrap().unwrap().into()
}

#[tokio::test]
async fn the_present_state_is_printed_once() {
    let (pool, other) = (fresh_pool("once"), fresh_pool("no-such"));
    let node = keyed(shared().await, &pool).await;
    let url = format!("http://{}", node.address());
    take(&node, "slots", "w1").await;

    let ended = watch(&["--once", "--url", &url, "--pool", pool.as_str()], &[("QUOTA_KEY", KEY)]).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(lines[0].starts_with(&format!("pool={pool} status=rate_limited can_make_request=")), "{}", ended.out);
    let slots: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(slots[..6], ["one-at-a-time", "exhausted", "1", "0", "1", "0"], "{}", ended.out);

    let wrong = watch(&["--once", "--url", &url, "--key", "wrong"], &[]).await;
    assert_eq!((wrong.code, wrong.out.as_str()), (64, ""), "{}", wrong.err);
    assert!(wrong.err.contains("the key is not known"), "{}", wrong.err);
    let keyless = watch(&["--once", "--url", &url], &[]).await;
    assert_eq!((keyless.code, keyless.err.trim()), (64, "the node wants a key: --key or QUOTA_KEY"));
    let both = watch(&["--once", "--url", &url, "--key", KEY, "--pool", pool.as_str(), "--pool", other.as_str()], &[]).await;
    assert!(both.code == 64 && both.out.starts_with(&format!("pool={pool} ")) && both.err.contains(other.as_str()), "{both:?}");
}

#[tokio::test]
async fn what_cannot_be_watched_is_said() {
    let nowhere = watch(&["--once", "--url", "http://127.0.0.1:9"], &[]).await;
    assert!(nowhere.code == 69 && nowhere.err.contains("not reachable"), "{nowhere:?}");
    let piped = watch(&[], &[]).await;
    assert!(piped.code == 64 && piped.err.contains("needs a terminal") && piped.err.contains("--once"), "{piped:?}");
    assert_eq!(watch(&["--once", "--url", "localhost:8080"], &[]).await.code, 64);
}

/// `script` gives it a terminal of 80 × 24. Where it is entered and left is told by the usual sequences.
#[tokio::test]
async fn a_terminal_is_taken_and_given_back() {
    let pool = fresh_pool("tty");
    let node = open(shared().await, &pool).await;
    for (keys, code) in [("q", 0), ("\u{3}", 0)] {
        let program = env!("CARGO_BIN_EXE_quota-coordinator");
        let line = format!("stty rows 24 cols 80; exec {program} watch --url http://{}", node.address());
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("NO_COLOR", "1").kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut shown = String::new();
        let mut buffer = vec![0; 8192];
        let reading = async {
            while !(shown.contains("live") && shown.contains("one-at-a-time")) {
                let read = output.read(&mut buffer).await.unwrap();
                assert!(read > 0, "ended: {shown}");
                shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        };
        timeout(LONG, reading).await.unwrap();
        assert!(shown.contains("\u{1b}[?1049h"), "the other screen is used");
        assert!(!shown.contains("\u{1b}[38;5;"), "no colours where NO_COLOR says so");
        input.write_all(keys.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(LONG, output.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&rest).contains("\u{1b}[?1049l"), "and left");
        assert_eq!(timeout(LONG, child.wait()).await.unwrap().unwrap().code(), Some(code));
    }
}
