//! A Redis server of one's own: a child process that holds nothing on disk and that cannot outlive
//! its parent, however that ends.
//!
//! `kill_on_drop` does not survive `kill -9` of the parent, so a shell stands between: it waits for
//! the end of a pipe that only the parent holds open, then kills the server and removes its directory.

#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::{sleep, timeout},
};

/// How long a server may take to answer.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// `$1` is the directory, the rest the server's command line. Prints the server's process id, and
/// another line when it has ended. The directory stays until the pipe closes, so that the log can be read.
const GUARD: &str = r#"exec 3<&0 </dev/null 2>/dev/null
dir=$1; shift
"$@" 3<&- >/dev/null & server=$!
trap '' PIPE
echo "$server"
(read -r _ <&3; kill -9 "$server") >/dev/null & killer=$!
wait "$server"
kill "$killer"
echo ended
read -r _ <&3
rm -rf "$dir""#;

/// Why no server came up.
#[derive(Debug, thiserror::Error)]
pub enum PrivateRedisError {
    /// None is installed.
    #[error(
        "no Redis server found: install one (apt-get install redis-server, or brew install valkey), \
         set QUOTA_REDIS_SERVER to its program, or set QUOTA__REDIS__URL to a running one"
    )]
    NotInstalled,
    /// The directory or the process could not be made.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("{program} did not come up within {}s: {reason}", START_DEADLINE.as_secs())]
    NotReady {
        /// The program.
        program: String,
        /// The last lines of its log, or the last answer.
        reason: String,
    },
    /// A signal could not be sent.
    #[error("cannot send {signal} to process {pid}: {reason}")]
    Signal {
        /// Name of the signal.
        signal: &'static str,
        /// The server.
        pid: u32,
        /// Why.
        reason: String,
    },
}

/// What a private server should be like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Listen on this port of 127.0.0.1 instead of a unix socket. Such a server can be started again
    /// in the same place after it was killed.
    pub port: Option<u16>,
    /// More of the server's command line, such as `--cluster-enabled yes`, word by word.
    pub arguments: Vec<String>,
    /// The program; absent = [`find_server`].
    pub program: Option<PathBuf>,
}

/// A running server. Dropping it kills the server and removes its directory.
#[derive(Debug)]
pub struct PrivateRedis {
    url: String,
    pid: u32,
    /// The end of this pipe is what the guard waits for.
    _lifeline: ChildStdin,
    _guard: Child,
}

impl PrivateRedis {
    /// Starts a server on a unix socket of its own and waits until it answers.
    ///
    /// # Errors
    /// None is installed, or it does not come up; the error says why.
    pub async fn start() -> Result<Self, PrivateRedisError> {
        Self::start_with(Options::default()).await
    }

    /// Starts a server on a port of 127.0.0.1 and waits until it answers.
    ///
    /// # Errors
    /// As [`Self::start`]; also when the port is taken.
    pub async fn start_on_port(port: u16) -> Result<Self, PrivateRedisError> {
        Self::start_with(Options { port: Some(port), ..Options::default() }).await
    }

    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(options: Options) -> Result<Self, PrivateRedisError> {
        let program = options.program.clone().or_else(find_server).ok_or(PrivateRedisError::NotInstalled)?;
        let name = program.display().to_string();
        let spawn_error = |source| PrivateRedisError::Spawn { program: name.clone(), source };
        let dir = make_directory(&std::env::temp_dir()).map_err(spawn_error)?;
        let (url, place) = match options.port {
            Some(port) => (format!("redis://127.0.0.1:{port}"), vec!["--port".into(), port.to_string().into()]),
            None => {
                let socket = dir.join("redis.sock");
                let url = format!("redis+unix://{}", socket.display());
                let words: Vec<OsString> = vec!["--port".into(), "0".into(), "--unixsocket".into(), socket.into()];
                (url, words)
            }
        };
        let log = dir.join("redis.log");
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "private-redis"])
            .args([dir.as_os_str(), program.as_os_str()])
            .args(place)
            .args(["--bind", "127.0.0.1", "--unixsocketperm", "700", "--daemonize", "no", "--save", "", "--appendonly", "no"])
            .args(["--maxmemory-policy", "noeviction"])
            .args([OsStr::new("--dir"), dir.as_os_str(), OsStr::new("--logfile"), log.as_os_str()])
            .args(&options.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to the whole group; the server must outlast the node's drain.
            .process_group(0)
            .spawn()
            .map_err(spawn_error)?;
        let (Some(lifeline), Some(stdout)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(spawn_error(io::ErrorKind::BrokenPipe.into()));
        };
        let mut said = BufReader::new(stdout).lines();
        let line = said.next_line().await.map_err(spawn_error)?.unwrap_or_default();
        let pid = line.parse().map_err(|error| spawn_error(io::Error::other(error)))?;
        let server = Self { url, pid, _lifeline: lifeline, _guard: guard };
        let ready = tokio::select! {
            ready = timeout(START_DEADLINE, server.answers()) => ready.map_err(|_| "it does not answer".to_owned()),
            _ = said.next_line() => Err("it ended".to_owned()),
        };
        ready.map_err(|reason| PrivateRedisError::NotReady { program: name, reason: last_lines(&log).unwrap_or(reason) })?;
        Ok(server)
    }

    /// Where it listens, as a URL for a client.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Process id of the server itself (not of its guard).
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the server at once, as a crash would.
    ///
    /// # Errors
    /// The process is gone already.
    pub async fn kill(&self) -> Result<(), PrivateRedisError> {
        self.signal("KILL").await
    }

    /// Stops the server without ending it: connections stay open and nobody answers.
    ///
    /// # Errors
    /// The process is gone.
    pub async fn pause(&self) -> Result<(), PrivateRedisError> {
        self.signal("STOP").await
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// The process is gone.
    pub async fn resume(&self) -> Result<(), PrivateRedisError> {
        self.signal("CONT").await
    }

    /// The shell's `kill`: sending a signal by oneself would need unsafe code.
    async fn signal(&self, signal: &'static str) -> Result<(), PrivateRedisError> {
        let failed = |reason: String| PrivateRedisError::Signal { signal, pid: self.pid, reason };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"kill -"$1" "$2""#, "kill", signal]).arg(self.pid.to_string());
        let output = command.output().await.map_err(|error| failed(error.to_string()))?;
        if output.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())) }
    }

    /// Returns when the server answers with its own process id: on a port, another server may answer.
    async fn answers(&self) {
        let mut pause = Duration::from_millis(2);
        while self.answering_pid().await.ok() != Some(self.pid) {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    async fn answering_pid(&self) -> redis::RedisResult<u32> {
        let mut connection = redis::Client::open(self.url.as_str())?.get_multiplexed_async_connection().await?;
        let info: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        Ok(info.get("process_id").unwrap_or_default())
    }
}

/// The end of the server's log, on one line.
fn last_lines(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let lines: Vec<_> = text.lines().rev().take(3).collect();
    (!lines.is_empty()).then(|| lines.into_iter().rev().collect::<Vec<_>>().join(" | "))
}

/// A directory that only this user can enter. The path of a socket in it must stay below 108 bytes.
fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let parent = if parent.as_os_str().len() <= 60 { parent } else { Path::new("/tmp") };
    let dir = parent.join(format!("quota-redis-{}", uuid::Uuid::now_v7().simple()));
    std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

/// The server to run: `$QUOTA_REDIS_SERVER`, else `valkey-server` or `redis-server` on `$PATH`.
pub fn find_server() -> Option<PathBuf> {
    find_server_in(std::env::var_os("QUOTA_REDIS_SERVER"), std::env::var_os("PATH"))
}

fn find_server_in(named: Option<OsString>, path: Option<OsString>) -> Option<PathBuf> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = path?;
    let on_path = |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    ["valkey-server", "redis-server"].into_iter().find_map(on_path)
}
