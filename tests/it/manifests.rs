//! The Kubernetes manifests against the configuration and the routes that they rely on.

use std::{fs, path::Path, time::Duration};

use quota_coordinator::{
    config::{AuthMode, Config, ConfigError, Environment, Format},
    http::openapi,
};
use serde_yaml::Value;

/// Values that come from the Secret.
const SECRETS: [(&str, &str); 2] =
    [("redis-url", "rediss://quota:secret@redis.example.com:6380"), ("admin-key", "the-admins-own-secret")];

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s").join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap()
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

/// The variables that a deployment, or a patch of one, sets.
fn variables(deployment: &Value) -> Vec<(String, String)> {
    let list = container(deployment)["env"].as_sequence().unwrap();
    let value = |entry: &Value| match entry["value"].as_str() {
        Some(value) => value.to_owned(),
        None => {
            let key = entry["valueFrom"]["secretKeyRef"]["key"].as_str().unwrap();
            SECRETS.iter().find(|(name, _)| *name == key).unwrap().1.to_owned()
        }
    };
    list.iter().map(|entry| (entry["name"].as_str().unwrap().to_owned(), value(entry))).collect()
}

/// What a node reads in an overlay: a file, the base's variables, and the patch's on top.
fn effective(file: &str, patch: Option<&str>, more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut all = variables(&yaml("base/deployment.yaml"));
    all.extend(patch.map(|patch| variables(&yaml(patch))).unwrap_or_default());
    all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let config = Config::parse("quota.toml", Format::Toml, &text(file), &all.into_iter().collect::<Environment>())?;
    config.check_serve().map(|()| config)
}

#[test]
fn nodes_start_with_what_the_manifests_give_them() {
    let production = effective("overlays/production/quota.toml", None, &[]).unwrap();
    assert_eq!(production.auth.mode, Some(AuthMode::Keys));
    assert!(!production.auth.force);

    let dev = effective("base/quota.toml", Some("overlays/dev/open.yaml"), &[]).unwrap();
    assert_eq!((dev.auth.mode, dev.auth.force), (Some(AuthMode::None), true));

    let unknown = effective("base/quota.toml", None, &[("QUOTA__SERVER__DRAIN_TIME", "5s")]).unwrap_err().to_string();
    assert!(unknown.contains("QUOTA__SERVER__DRAIN_TIME"), "a variable that does not exist is refused: {unknown}");
}

#[test]
fn ports_and_probes_are_what_a_node_serves() {
    let deployment = yaml("base/deployment.yaml");
    let config = effective("overlays/production/quota.toml", None, &[]).unwrap();
    let ports: Vec<(String, u64)> = container(&deployment)["ports"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|port| (port["name"].as_str().unwrap().to_owned(), port["containerPort"].as_u64().unwrap()))
        .collect();
    let metrics = config.server.metrics_listen.unwrap();
    assert_eq!(ports, [("http".to_owned(), config.server.listen.port().into()), ("metrics".to_owned(), metrics.port().into())]);

    let document: Value = serde_yaml::from_str(&openapi::yaml()).unwrap();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container(&deployment)[probe]["httpGet"];
        let path = get["path"].as_str().unwrap();
        assert!(!document["paths"][path]["get"].is_null(), "{probe}: nothing answers GET {path}");
        assert_eq!(get["port"].as_str(), Some("http"), "{probe}");
    }
}

#[test]
fn a_node_has_time_to_drain_before_it_is_killed() {
    let deployment = yaml("base/deployment.yaml");
    let config = effective("overlays/production/quota.toml", None, &[]).unwrap();
    let killed_after = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().map(Duration::from_secs);
    assert!(killed_after > Some(config.server.drain_delay + config.server.shutdown_grace));

    // The failed probes that it takes to be noticed, and the proxies' own delay, fit into the time in which it still answers.
    let probe = &container(&deployment)["readinessProbe"];
    let noticed = probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
    assert!(config.server.drain_delay >= Duration::from_secs(noticed));
}

#[test]
fn containers_are_confined() {
    for (path, at) in [("base/deployment.yaml", 0), ("overlays/dev/redis.yaml", 0)] {
        let text = text(path);
        let document: Value = serde_yaml::from_str(text.split("\n---\n").nth(at).unwrap()).unwrap();
        let pod = &document["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"].as_bool(), Some(false), "{path}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true), "{path}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"].as_str(), Some("RuntimeDefault"), "{path}");
        let own = &container(&document)["securityContext"];
        assert_eq!(own["readOnlyRootFilesystem"].as_bool(), Some(true), "{path}");
        assert_eq!(own["allowPrivilegeEscalation"].as_bool(), Some(false), "{path}");
        assert_eq!(own["capabilities"]["drop"][0].as_str(), Some("ALL"), "{path}");
    }
}
