//! The present state as plain text, for scripts.

use std::{io::Write, pin::pin, time::Duration};

use tokio::sync::mpsc;

use super::{
    link::{Link, Signal},
    message::Counter,
    model::{Model, Now, PoolView, counter_name},
    quantity::Quantity,
    text::{countdown, cut, padded, right},
};
use crate::cli::CliError;

/// How long the figures may take to come.
const WAIT: Duration = Duration::from_secs(10);

/// Waits for the figures of each pool, and prints them.
pub async fn once(
    mut model: Model,
    link: Link,
    mut signals: mpsc::Receiver<Signal>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut link = pin!(link.run());
    let mut last = "no answer".to_owned();
    let mut deadline = pin!(tokio::time::sleep(WAIT));
    while !model.is_complete() {
        tokio::select! {
            ended = &mut link => return Err(CliError::Usage(ended.unwrap_or_default())),
            () = &mut deadline => return Err(CliError::Unavailable(format!("{}: {last}", model.address))),
            Some(signal) = signals.recv() => {
                if let Signal::Waiting { why, .. } = &signal {
                    last.clone_from(why);
                }
                model.apply(signal, Now::read());
            }
        }
    }
    let now = Now::read();
    for (at, view) in model.pools.iter().filter(|view| view.data.is_some()).enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        write_pool(out, view, model.workspace.as_deref(), now)?;
    }
    out.flush()?;
    match model.pools.iter().find_map(|view| view.problem.as_ref()) {
        Some(problem) => Err(CliError::Usage(problem.clone())),
        None => Ok(()),
    }
}

/// One pool: what it is as a whole, and a table of its counters.
pub fn write_pool(out: &mut impl Write, view: &PoolView, workspace: Option<&str>, now: Now) -> std::io::Result<()> {
    write!(out, "pool={}", cut(view.pool.as_deref().unwrap_or("-"), 64))?;
    if let Some(workspace) = workspace {
        write!(out, " workspace={}", cut(workspace, 256))?;
    }
    let Some(data) = &view.data else { return writeln!(out, " status=unknown") };
    write!(out, " status={} can_make_request={}", cut(&data.status, 32), data.can_make_request)?;
    if let Some(seconds) = data.wait_seconds {
        write!(out, " wait_seconds={seconds}")?;
    }
    writeln!(out, " at={}", cut(data.last_updated.as_deref().unwrap_or("-"), 40))?;
    let names: Vec<String> = data.limits.iter().map(|counter| counter_name(&counter.limit, &counter.scope)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    writeln!(
        out,
        "{} {} {} {} {} {} {}",
        padded("LIMIT", width),
        padded("STATUS", 9),
        right("CAPACITY", 17),
        right("USED", 17),
        right("HELD", 17),
        right("REMAINING", 17),
        right("WHOLE", 7)
    )?;
    for (counter, name) in data.limits.iter().zip(&names) {
        writeln!(out, "{} {}", padded(name, width), figures(counter, view, now))?;
    }
    Ok(())
}

fn figures(counter: &Counter, view: &PoolView, now: Now) -> String {
    let number = |quantity: &Option<Quantity>| {
        let text = quantity.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        right(&text, 17)
    };
    let reset = view.reset_after(counter, now).map_or_else(|| "-".to_owned(), countdown);
    let [capacity, used] = [&counter.capacity, &counter.used].map(number);
    let [held, remaining] = [&counter.held, &counter.remaining].map(number);
    format!("{} {capacity} {used} {held} {remaining} {}", padded(&counter.status, 9), right(&reset, 7))
}
