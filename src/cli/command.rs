//! The grammar of the command line, with its help.

use clap::{Parser, Subcommand};

use super::{
    bench::BenchArgs, check_config::CheckConfigArgs, dev::DevArgs, key::KeyArgs, openapi::OpenApiArgs, serve::ServeArgs,
    verify_trace::VerifyTraceArgs, watch::WatchArgs,
};

/// Ends the help of every command.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
   0  fine
   1  what was checked does not hold (verify-trace)
  64  bad usage or configuration: one line for each fault
  69  Redis, or the node to watch, cannot be reached
  70  internal error";

const ENVIRONMENT: &str = "\
Environment (an empty variable counts as unset):
  QUOTA_CONFIG
      configuration file, TOML, YAML or JSON by its extension; the same as --config
  QUOTA__SECTION__KEY
      any key of the file, such as QUOTA__SERVER__LISTEN=0.0.0.0:8080; wins over the file
  QUOTA_ADMIN_KEY
      opens admin operations
  QUOTA_HISTORY_RETENTION_DAYS (30), ENABLE_QUOTA_PERSISTENCE (true),
  QUOTA_SNAPSHOT_INTERVAL_MINUTES (5)
      history of usage
  OPENAI_RATE_LIMIT_PER_MINUTE (500), OPENAI_RATE_LIMIT_PER_DAY (10000),
  OPENAI_TOKEN_LIMIT_PER_MINUTE (150000), OPENAI_DAILY_TOKEN_LIMIT (unset),
  OPENAI_MONTHLY_BUDGET_USD (unset), OPENAI_WARNING_THRESHOLD_PERCENT (90)
      the pool `openai`, which exists where no pool is configured
  QUOTA_KEY
      the API key of watch
  NO_COLOR
      watch uses no colours
  QUOTA_REDIS_SERVER
      program of the private server of dev and bench; else valkey-server or
      redis-server on PATH";

/// Admission control for shared LLM provider quotas.
///
/// Services ask before a call (reserve) and tell after it (commit); any number of identical nodes
/// decide, and Redis holds all state. In any interval of a limit's length, no more than its capacity
/// is granted over all nodes.
#[derive(Debug, Parser)]
#[command(name = "quota-coordinator", version, max_term_width = 110, disable_help_subcommand = true)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{ENVIRONMENT}\n\n{EXIT_CODES}"))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary does.
#[expect(clippy::doc_markdown, reason = "these docs are printed as help, where backticks would show")]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one node.
    ///
    /// The node listens on `server.listen` (127.0.0.1:8080), keeps all state in `redis.url`
    /// (redis://127.0.0.1:6379), and stops on SIGTERM or Ctrl-C: it turns not ready, waits
    /// `server.drain_delay`, ends its live connections with a hint to reconnect, and finishes open
    /// requests within `server.shutdown_grace`. It does not start before `auth.mode` was decided.
    Serve(ServeArgs),
    /// Run a demonstration on this machine: private Redis, several nodes, a key, pretend traffic.
    ///
    /// Starts a private redis-server (or uses QUOTA__REDIS__URL), runs the nodes in one process on
    /// consecutive ports of 127.0.0.1, makes a key, prints what to open and what to paste, and sends
    /// pretend traffic if asked. Nothing outlives the process.
    Dev(DevArgs),
    /// Check the configuration and print it with the source of each value.
    ///
    /// Prints the effective configuration as TOML; the comment behind each value names its source: the
    /// file, an environment variable, or `default`. Secrets are not printed. Warnings, and what would
    /// keep `serve` from starting, go to standard error. Needs no Redis.
    CheckConfig(CheckConfigArgs),
    /// Print the OpenAPI document.
    ///
    /// The document is made from the code that serves the API, and is the same that a node serves under
    /// /openapi.json and /openapi.yaml. Needs no configuration and no Redis.
    Openapi(OpenApiArgs),
    /// Check a trace of grants against a limit.
    ///
    /// The trace is JSON lines, one for each grant, in any order: `{"at_us": 1700000000000000, "cost": 3}`,
    /// and `"settled": 2` where less (or more) was charged in the end. Prints the interval of the
    /// window's length in which most was charged, dated at admission, and whether it is within the
    /// capacity. What was settled above its grant was never decided on and is listed apart.
    VerifyTrace(VerifyTraceArgs),
    /// Measure admission, shared calls and fan-out.
    ///
    /// Runs against a private redis-server (or QUOTA__REDIS__URL), and prints a table; with --json also
    /// the figures for machines.
    Bench(BenchArgs),
    /// Watch pools live in the terminal.
    ///
    /// Shows every counter with a bar (used, held, left), the time until it is whole again, and each
    /// change of a status as it happens, over the WebSocket of any node. When the connection is lost it
    /// is made again, and goes on where it was. Keys: q quits, arrows and PgUp/PgDn scroll, left and
    /// right switch between the lists, Tab switches between pools. Needs a key with the role `read`,
    /// unless the node asks for none.
    Watch(WatchArgs),
    /// Make API keys.
    Key(KeyArgs),
}
