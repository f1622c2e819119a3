//! `dev`: everything on this machine, with nothing to configure.

mod traffic;

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{CliError, ConfigArgs, key, serve};
use crate::{
    app::Node,
    config::{AuthMode, Config, Environment, KeyPath, Secret, SecretUrl, Source},
    private_redis::PrivateRedis,
    telemetry,
};

/// Arguments of `dev`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct DevArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Nodes to run.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub nodes: u16,
    /// Port of the first node; the others follow.
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Pretend calls a second, over all nodes.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub traffic: u32,
}

pub(super) async fn run(args: DevArgs, env: &Environment) -> Result<(), CliError> {
    let mut config = args.config.load(env)?;
    telemetry::init(&config.log)?;
    let mut stop_signal = serve::StopSignal::listen()?;
    let redis = private_redis(&mut config).await?;
    let key = match &config.admin_key {
        Some(key) => key.expose().to_owned(),
        None => key::generate()?,
    };
    config.auth.mode = Some(AuthMode::Keys);
    config.admin_key = Some(Secret::new(&key));
    config.server.drain_delay = Duration::ZERO;

    let mut nodes = Vec::new();
    for at in 0..args.nodes {
        let port = args
            .port
            .checked_add(at)
            .ok_or_else(|| CliError::Usage(format!("--port {}: too high for {} nodes", args.port, args.nodes)))?;
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        nodes.push(Node::start(&config, Duration::from_secs(10)).await?);
    }
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    if args.traffic > 0 {
        let coordinators = nodes.iter().map(|node| node.coordinator().clone()).collect();
        tasks.spawn(traffic::run(coordinators, args.traffic, stop.clone()));
    }
    write_welcome(&mut std::io::stdout(), &nodes, &key, &config, redis.is_some())?;
    stop_signal.received().await;
    stop.cancel();
    futures_util::future::join_all(nodes.into_iter().map(Node::stop)).await;
    Ok(())
}

/// A server of our own, unless the configuration names one.
async fn private_redis(config: &mut Config) -> Result<Option<PrivateRedis>, CliError> {
    if config.sources.of(&KeyPath::of(["redis", "url"])) != Source::Default {
        return Ok(None);
    }
    let redis = PrivateRedis::start().await.map_err(|error| CliError::Unavailable(error.to_string()))?;
    config.redis.url = SecretUrl::new(redis.url());
    Ok(Some(redis))
}

/// What to open, and what to paste.
fn write_welcome(out: &mut impl Write, nodes: &[Node], key: &str, config: &Config, private: bool) -> Result<(), CliError> {
    let Some(first) = nodes.first().map(Node::address) else { return Ok(()) };
    let last = nodes.last().map_or(first, Node::address);
    writeln!(
        out,
        "quota-coordinator: {} nodes on one Redis{}\n",
        nodes.len(),
        if private { " (private, gone with this process)" } else { "" }
    )?;
    for node in nodes {
        writeln!(out, "  http://{}/docs", node.address())?;
    }
    let pool = config.pools.first().map_or("openai", |pool| pool.id.as_str());
    writeln!(
        out,
        "\nkey (all roles): {key}\n\nReserve on one node, look at it on another:\n
  curl -s http://{first}/api/quota/reservations -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{\"pool\":\"{pool}\",\"scope\":{{\"workspace\":\"w1\",\"model\":\"gpt-4o\"}},\"cost\":{{\"tokens\":1200}}}}'

  curl -s 'http://{last}/api/quota/status?pool={pool}' -H 'Authorization: Bearer {key}'
\nCtrl-C ends all of it."
    )?;
    Ok(out.flush()?)
}
