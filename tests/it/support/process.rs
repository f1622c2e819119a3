//! The real binary as a child process.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, with nothing of this process' environment but where programs are.
pub fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quota-coordinator"));
    command.args(args).env_clear().env("PATH", std::env::var("PATH").unwrap()).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs to the end.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Ended {
    binary(args).envs(env.iter().copied()).output().unwrap().into()
}

/// Runs to the end, with that on standard input.
pub fn run_with_input(args: &[&str], input: &str) -> Ended {
    let mut child = binary(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A command that runs until it is told to stop; killed when dropped.
pub struct Running {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts it.
    pub fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = tokio::process::Command::from(binary(args));
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it prints, up to the line that says so.
    pub async fn says(&mut self, last: &str) -> Vec<String> {
        let mut said = Vec::new();
        let reading = async {
            while !said.last().is_some_and(|line: &String| line.contains(last)) {
                said.push(self.lines.next_line().await.unwrap().unwrap_or_else(|| panic!("ended before `{last}`")));
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
        said
    }

    /// Its process, and all that came of it.
    pub fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id().unwrap()];
        let mut at = 0;
        while let Some(parent) = family.get(at) {
            family.extend(children(*parent));
            at += 1;
        }
        family
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Its exit code; absent where a signal ended it.
    pub async fn code(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code()
    }
}

fn children(parent: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// The program of a process; absent where it has ended.
pub fn program(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, state) = (stat.split(['(', ')']).nth(1)?, stat.rsplit(") ").next()?);
    (!state.starts_with('Z')).then(|| name.to_owned())
}

/// Waits until none of these processes is left.
pub async fn gone(pids: &[u32]) {
    let waiting = async {
        while pids.iter().any(|pid| program(*pid).is_some()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| {
        panic!("left behind: {:?}", pids.iter().filter_map(|pid| Some((*pid, program(*pid)?))).collect::<Vec<_>>())
    });
}
