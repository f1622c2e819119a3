//! The commands as they are typed.

use std::io::Write as _;

use clap::{CommandFactory, Parser};

use super::*;

fn command(line: &[&str]) -> Command {
    Cli::try_parse_from([&["quota-coordinator"], line].concat()).unwrap().command
}

fn verify(trace: &str, more: &[&str]) -> Result<(String, ExitCode), CliError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(trace.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let line = [&["verify-trace", &path, "--capacity", "1_0", "--window", "60s"], more].concat();
    let Command::VerifyTrace(args) = command(&line) else { panic!("another command") };
    let mut out = Vec::new();
    let code = verify_trace::run(args, &mut out).map_err(|error| match error {
        CliError::Usage(text) => CliError::Usage(text.replace(&path, "FILE")),
        other => other,
    })?;
    Ok((String::from_utf8(out).unwrap(), code))
}

#[test]
fn the_command_line_is_sound_and_its_help_complete() {
    Cli::command().debug_assert();
    let help = Cli::command().render_long_help().to_string();
    for word in ["QUOTA_CONFIG", "OPENAI_MONTHLY_BUDGET_USD", "69  Redis", "verify-trace", "check-config"] {
        assert!(help.contains(word), "{word} is not in the help");
    }
    for mut sub in Cli::command().get_subcommands().cloned() {
        assert!(sub.render_long_help().to_string().contains("Exit codes"), "{}", sub.get_name());
    }
}

#[test]
fn defaults_are_as_documented() {
    let Command::Dev(dev) = command(&["dev"]) else { panic!("another command") };
    assert_eq!((dev.nodes, dev.port, dev.traffic), (2, 8080, 0));
    let Command::Openapi(openapi) = command(&["openapi"]) else { panic!("another command") };
    assert_eq!(openapi.format, OpenApiFormat::Yaml);
    for bad in [&["dev", "--nodes", "0"][..], &["verify-trace", "x"], &["verify-trace", "x", "--capacity", "1", "--window", "0s"]]
    {
        assert!(Cli::try_parse_from([&["quota-coordinator"], bad].concat()).is_err(), "{bad:?}");
    }
}

#[test]
fn verify_trace_says_whether_it_holds() {
    let (text, code) = verify("{\"at_us\":1,\"cost\":7}\n{\"at_us\":60000001,\"cost\":9,\"settled\":12}\n", &[]).unwrap();
    assert_eq!(code, ExitCode::Fine);
    assert_eq!(
        text,
        "holds: at most 9 charged in any 1m, capacity 10\n\
         worst interval: (1, 60000001] µs, grants: 1, to 1970-01-01T00:01:00.000001Z\n\
         grants in the trace: 2\n\
         overruns, not counted above: 1, of 3 units in all\n  \
         line 2: 3 above the grant at 60000001 µs\n"
    );
    let trace = "{\"at_us\":1,\"cost\":7,\"settled\":1}\n{\"at_us\":60000000,\"cost\":9}\n";
    let (text, code) = verify(trace, &[]).unwrap();
    assert!(code == ExitCode::Fine && text.starts_with("holds: at most 10 charged in any 1m"), "{text}");
    let (text, code) = verify(trace, &["--held"]).unwrap();
    assert_eq!(code, ExitCode::DoesNotHold);
    assert!(text.starts_with("DOES NOT HOLD: at most 16 held or charged in any 1m, capacity 10"), "{text}");
}

#[test]
fn verify_trace_names_the_bad_line() {
    let error = verify("{\"at_us\":1,\"cost\":7}\n{}\n", &[]).unwrap_err();
    assert_eq!(error.to_string(), "FILE: line 2: missing field `at_us` at column 2");
    assert_eq!(error.exit_code(), ExitCode::Usage);
}

#[test]
fn check_config_prints_what_is_effective() {
    let Command::CheckConfig(args) = command(&["check-config"]) else { panic!("another command") };
    let env: Environment = [("OPENAI_RATE_LIMIT_PER_MINUTE", "7"), ("QUOTA_ADMIN_KEY", "s3cret")].into_iter().collect();
    let mut out = Vec::new();
    check_config::run(args.clone(), &env, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let line = text.lines().find(|line| line.starts_with("capacity = 7")).unwrap();
    assert!(line.ends_with("# OPENAI_RATE_LIMIT_PER_MINUTE") && !text.contains("s3cret"), "{text}");

    for bad in [("OPENAI_RATE_LIMIT_PER_MINUTE", "x"), ("QUOTA_CONFIG", "/nowhere/q.toml")] {
        let error = check_config::run(args.clone(), &[bad].into_iter().collect(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage, "{error}");
    }
    assert!(check_config::run(args, &[("QUOTA_CONFIG", "")].into_iter().collect(), &mut Vec::new()).is_ok());
}

#[test]
fn a_new_key_comes_with_lines_that_let_it_in() {
    let Command::Key(args) = command(&["key", "new"]) else { panic!("another command") };
    let mut out = Vec::new();
    key::run(args, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let key = text.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap();
    let config = Config::parse("k.toml", crate::config::Format::Toml, &text, &Environment::default()).unwrap();
    assert_eq!(config.auth.keys[0].sha256, crate::config::KeyHash::of(key));
}
