//! The terminal: taken over, and given back whatever happens.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{
    draw::draw,
    link::{Link, Signal},
    model::{Model, Now},
    screen::{Outcome, Screen},
    theme::Theme,
};
use crate::cli::{CliError, serve};

/// How often the screen is drawn at most, besides after a key.
const FRAME: Duration = Duration::from_millis(100);
/// Countdowns move at least this often.
const FRAMES_A_SECOND: u32 = 10;

/// Is there one?
pub fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The terminal while it is ours. A panic gives it back, too, before its message is printed.
struct Taken(DefaultTerminal);

impl Taken {
    fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| give_back())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // Nothing can be done about a terminal that has gone.
    let _ = ratatui::try_restore();
}

/// Shows the model until somebody has seen enough, or the node wants us no more.
pub async fn watch(mut model: Model, link: Link, mut signals: mpsc::Receiver<Signal>, theme: Theme) -> Result<(), CliError> {
    let mut stop = serve::StopSignal::listen()?;
    let mut taken = Taken::take().map_err(|error| CliError::Internal(format!("the terminal cannot be used: {error}")))?;
    let mut keys = EventStream::new();
    let mut ticks = tokio::time::interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut link = pin!(link.run());
    let mut screen = Screen::default();
    let (mut is_new, mut idle) = (true, 0);
    loop {
        tokio::select! {
            ended = &mut link => return ended.map_or(Ok(()), |why| Err(CliError::Usage(why))),
            () = stop.received() => return Ok(()),
            Some(signal) = signals.recv() => {
                model.apply(signal, Now::read());
                is_new = true;
                continue;
            }
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) => {
                    if screen.on_key(key, model.pools.len()) == Outcome::Quit {
                        return Ok(());
                    }
                }
                Some(Ok(Event::Resize(..))) => {}
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            _ = ticks.tick() => {
                idle += 1;
                if !is_new && idle < FRAMES_A_SECOND {
                    continue;
                }
            }
        }
        (is_new, idle) = (false, 0);
        taken.0.draw(|frame| draw(frame, &model, &mut screen, theme, Now::read()))?;
    }
}
