//! The commands of the real binary.

use quota_coordinator::{config::KeyHash, http::openapi, private_redis::PrivateRedis};

use crate::support::process::{run, run_with_input};

#[test]
fn bad_usage_is_64_and_help_is_fine() {
    for command in ["", "serve", "dev", "check-config", "openapi", "verify-trace", "bench", "key"] {
        let words: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).chain(["--help"]).collect();
        let help = run(&words, &[]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{command}");
        assert!(help.out.contains("Exit codes:") && help.out.contains("69"), "{command}: {}", help.out);
    }
    assert!(run(&["--version"], &[]).out.starts_with("quota-coordinator "));
    for words in [&["no-such-command"][..], &[], &["serve", "--no-such-flag"], &["dev", "--nodes", "0"], &["verify-trace", "x"]] {
        let refused = run(words, &[]);
        assert_eq!((refused.code, refused.out.as_str()), (64, ""), "{words:?}: {}", refused.err);
        assert!(!refused.err.is_empty(), "{words:?}");
    }
}

#[test]
fn check_config_prints_what_is_effective_and_where_it_comes_from() {
    let env =
        [("OPENAI_RATE_LIMIT_PER_MINUTE", "7"), ("QUOTA_ADMIN_KEY", "the-admins-own-secret"), ("QUOTA__AUTH__MODE", "keys")];
    let checked = run(&["check-config"], &env);
    assert_eq!(checked.code, 0, "{}", checked.err);
    let line = checked.out.lines().find(|line| line.contains("OPENAI_RATE_LIMIT_PER_MINUTE")).unwrap();
    assert!(line.starts_with("capacity = 7"), "{line}");
    assert!(checked.out.contains("default") && checked.out.contains("[[pools]]"), "{}", checked.out);
    assert!(!format!("{checked:?}").contains("own-secret"), "secrets are not printed");

    let warned = run(&["check-config"], &[]);
    assert_eq!(warned.code, 0);
    assert!(warned.err.contains("warning: ") && warned.err.contains("auth.mode"), "{}", warned.err);
}

#[test]
fn a_bad_value_is_one_line_that_names_it() {
    for (env, names) in [
        (("OPENAI_RATE_LIMIT_PER_MINUTE", "many"), "many"),
        (("QUOTA__SERVER__LISTEN", "everywhere"), "everywhere"),
        (("OPENAI_WARNING_THRESHOLD_PERCENT", "101"), "101"),
    ] {
        for command in ["check-config", "serve"] {
            let refused = run(&[command], &[env]);
            assert_eq!((refused.code, refused.out.as_str()), (64, ""), "{env:?}: {}", refused.err);
            assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
            assert!(refused.err.contains(env.0) && refused.err.contains(names), "{}", refused.err);
        }
    }
    let missing = run(&["check-config", "--config", "/no/such/file.toml"], &[]);
    assert_eq!(missing.code, 64);
    assert!(missing.err.contains("/no/such/file.toml"), "{}", missing.err);
}

#[test]
fn serve_wants_a_decision_on_who_may_call() {
    let undecided = run(&["serve"], &[]);
    assert_eq!(undecided.code, 64);
    assert!(undecided.err.contains("auth.mode") && undecided.err.contains("QUOTA__AUTH__MODE"), "{}", undecided.err);
    let no_keys = run(&["serve"], &[("QUOTA__AUTH__MODE", "keys")]);
    assert_eq!(no_keys.code, 64);
    assert!(no_keys.err.contains("auth.keys"), "{}", no_keys.err);
    let exposed = run(&["serve"], &[("QUOTA__AUTH__MODE", "none"), ("QUOTA__SERVER__LISTEN", "0.0.0.0:0")]);
    assert_eq!(exposed.code, 64);
    assert!(exposed.err.contains("loopback") && exposed.err.contains("0.0.0.0:0"), "{}", exposed.err);
}

#[test]
fn serve_without_redis_is_69() {
    let env = [
        ("QUOTA__AUTH__MODE", "none"),
        ("QUOTA__SERVER__LISTEN", "127.0.0.1:0"),
        ("QUOTA__REDIS__URL", "redis+unix:///no/such/redis.sock"),
    ];
    let away = run(&["serve", "--wait", "50ms"], &env);
    assert_eq!(away.code, 69, "{}", away.err);
    assert!(away.err.contains("Redis is not reachable"), "{}", away.err);
}

#[tokio::test]
async fn serve_on_a_taken_port_is_64() {
    let redis = PrivateRedis::start().await.unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let env = [("QUOTA__AUTH__MODE", "none"), ("QUOTA__SERVER__LISTEN", &listen), ("QUOTA__REDIS__URL", redis.url())];
    let refused = run(&["serve"], &env);
    assert_eq!(refused.code, 64, "{}", refused.err);
    assert!(refused.err.contains(&listen), "{}", refused.err);
}

#[test]
fn openapi_prints_the_committed_document() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/quota-coordinator.yaml")).unwrap();
    let yaml = run(&["openapi"], &[]);
    assert!(yaml.code == 0 && yaml.out == committed, "`make openapi` writes the document");
    let json: serde_json::Value = serde_json::from_str(&run(&["openapi", "--format", "json"], &[]).out).unwrap();
    assert!(json == openapi::document());
}

#[test]
fn a_new_key_comes_with_its_hash() {
    let (one, other) = (run(&["key", "new"], &[]), run(&["key", "new"], &[]));
    assert_ne!(one.out, other.out);
    let key = one.out.lines().next().unwrap().rsplit(": ").next().unwrap();
    assert!(key.len() > 40 && one.out.contains(&KeyHash::of(key).to_hex()), "{}", one.out);
}

#[test]
fn verify_trace_says_whether_a_limit_held() {
    let trace = "{\"at_us\":1000000,\"cost\":3}\n{\"at_us\":60999999,\"cost\":2}\n{\"at_us\":61000000,\"cost\":4}\n";
    let with =
        |capacity: &str, input: &str| run_with_input(&["verify-trace", "-", "--capacity", capacity, "--window", "60s"], input);
    let holds = with("6", trace);
    assert_eq!(holds.code, 0, "{holds:?}");
    assert!(holds.out.starts_with("holds: at most 6"), "{}", holds.out);
    let over = with("5", trace);
    assert_eq!(over.code, 1, "{over:?}");
    assert!(over.out.contains("DOES NOT HOLD") && over.out.contains("(1000000, 61000000]"), "{}", over.out);
    let bad = with("5", "{\"at_us\":1,\"cost\":1}\n{\"at_us\":-1}\n");
    assert_eq!(bad.code, 64);
    assert!(bad.err.contains("line 2"), "{}", bad.err);

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), trace).unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(run(&["verify-trace", path, "--capacity", "6", "--window", "1m"], &[]).code, 0);
    let missing = run(&["verify-trace", "/no/such/trace", "--capacity", "6", "--window", "1m"], &[]);
    assert_eq!(missing.code, 64);
}
