//! What the one who watches has chosen: which pool, which list, how far down.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A list that can be scrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// The counters.
    #[default]
    Counters,
    /// The log of changes.
    Events,
}

/// How far down a list is, and how much of it was shown the last time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scroll {
    offset: usize,
    page: usize,
}

impl Scroll {
    /// To be asked when a list of `rows` is shown in `height` lines: the first row to show.
    pub fn place(&mut self, rows: usize, height: usize) -> usize {
        self.page = height;
        self.offset = self.offset.min(rows.saturating_sub(height));
        self.offset
    }
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Which pool.
    pub pool: usize,
    /// Which list the keys move.
    pub pane: Pane,
    /// The counters' list.
    pub counters: Scroll,
    /// The events' list.
    pub events: Scroll,
}

/// What a key means beyond this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Go on.
    Stay,
    /// Enough.
    Quit,
}

impl Screen {
    /// Takes a key. `pools`: how many there are.
    pub fn on_key(&mut self, key: KeyEvent, pools: usize) -> Outcome {
        if key.kind == KeyEventKind::Release {
            return Outcome::Stay;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let scroll = match self.pane {
            Pane::Counters => &mut self.counters,
            Pane::Events => &mut self.events,
        };
        let page = scroll.page.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Char('c' | 'd') if control => return Outcome::Quit,
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Outcome::Quit,
            KeyCode::Up | KeyCode::Char('k') => scroll.offset = scroll.offset.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => scroll.offset = scroll.offset.saturating_add(1),
            KeyCode::PageUp => scroll.offset = scroll.offset.saturating_sub(page),
            KeyCode::PageDown => scroll.offset = scroll.offset.saturating_add(page),
            KeyCode::Home => scroll.offset = 0,
            // The next drawing knows where the end is.
            KeyCode::End => scroll.offset = usize::MAX,
            KeyCode::Left | KeyCode::Right => {
                self.pane = if self.pane == Pane::Counters { Pane::Events } else { Pane::Counters };
            }
            KeyCode::Tab => self.turn_to((self.pool + 1) % pools.max(1)),
            KeyCode::BackTab => self.turn_to(self.pool.checked_sub(1).unwrap_or(pools.saturating_sub(1))),
            _ => {}
        }
        Outcome::Stay
    }

    fn turn_to(&mut self, pool: usize) {
        if pool != self.pool {
            *self = Self { pool, pane: self.pane, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_scroll_within_the_list_and_switch() {
        let mut screen = Screen::default();
        let press = |screen: &mut Screen, code| screen.on_key(KeyEvent::new(code, KeyModifiers::NONE), 2);
        assert_eq!(screen.counters.place(10, 4), 0);
        press(&mut screen, KeyCode::PageDown);
        press(&mut screen, KeyCode::Down);
        assert_eq!(screen.counters.place(10, 4), 4);
        press(&mut screen, KeyCode::End);
        assert_eq!(screen.counters.place(10, 4), 6);
        press(&mut screen, KeyCode::Up);
        assert_eq!(screen.counters.place(10, 4), 5);
        assert_eq!(screen.counters.place(3, 4), 0);
        press(&mut screen, KeyCode::Right);
        press(&mut screen, KeyCode::Down);
        assert_eq!((screen.pane, screen.events.place(9, 4)), (Pane::Events, 1));
        press(&mut screen, KeyCode::Tab);
        assert_eq!((screen.pool, screen.events.place(9, 4)), (1, 0));
        press(&mut screen, KeyCode::Tab);
        press(&mut screen, KeyCode::BackTab);
        assert_eq!(screen.pool, 1);
        assert_eq!(press(&mut screen, KeyCode::Char('c')), Outcome::Stay);
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Outcome::Quit);
        assert_eq!(screen.on_key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), 2), Outcome::Quit);
    }
}
