//! A node in a process of its own, so that its CPU time is nobody else's.

use std::{net::SocketAddr, path::PathBuf, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

use crate::{
    cli::{
        CliError,
        bench::{
            cpu::Process,
            load::{Connection, request},
        },
    },
    private_redis::PrivateRedis,
};

/// A server under load.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub process: Process,
    /// Killed when this is dropped.
    _child: Child,
    /// Reads on what it says: a program whose standard error is closed may not survive its next word.
    _listening: JoinSet<()>,
}

impl Server {
    /// Runs a program that says on standard error where it listens: `"address":"…"`.
    pub async fn run(command: &mut Command) -> Result<Self, CliError> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (Some(stderr), Some(pid)) = (child.stderr.take(), child.id()) else {
            return Err(CliError::Internal("bench: the server ended at once".to_owned()));
        };
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        while let Some(line) = lines.next_line().await? {
            let address = line.split(r#""address":""#).nth(1).and_then(|rest| rest.split('"').next());
            if let Some(address) = address.and_then(|address| address.parse().ok()) {
                let mut listening = JoinSet::new();
                listening.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { address, process: Process(pid), _child: child, _listening: listening });
            }
            said.push_str(&line);
        }
        Err(CliError::Internal(format!("bench: the server did not start: {said}")))
    }

    /// Runs a node of this very program.
    pub async fn node(redis: &PrivateRedis, pools: &str) -> Result<Self, CliError> {
        let file = Config::write(redis, pools)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().arg("serve").arg("--config").arg(&file.0);
        Self::run(&mut command).await
    }

    /// The sum of a metric over its labels, of one pool where `pool` names one.
    pub async fn metric(&self, name: &str, pool: &str) -> Result<f64, CliError> {
        let mut connection = Connection::to(self.address).await?;
        let (_, page) = connection.exchange(&request("GET", "/metrics", "")).await?;
        let text = String::from_utf8_lossy(page);
        let label = format!("pool=\"{pool}\"");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(&label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// A configuration file that goes when the node has read it.
struct Config(PathBuf);

impl Config {
    fn write(redis: &PrivateRedis, pools: &str) -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("quota-bench-{}.toml", uuid::Uuid::now_v7().simple()));
        let head = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[redis]\nurl = \"{}\"\ndeadline_ms = 2000\n[auth]\nmode = \"none\"\n[log]\nformat = \"json\"\n",
            redis.url()
        );
        std::fs::write(&path, head + pools)?;
        Ok(Self(path))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
