//! How statuses look. Words and shapes say everything; colour only repeats it.

use ratatui::style::{Color, Modifier, Style};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// May colours be used?
    pub colour: bool,
}

impl Theme {
    fn paint(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// For a status of a counter or a pool.
    pub fn status(self, word: &str) -> Style {
        match word {
            "normal" => self.good(),
            "warning" | "degraded" => self.doubtful(),
            "exhausted" | "rate_limited" | "quota_exceeded" => self.bad(),
            _ => Style::new(),
        }
    }

    /// All is well.
    pub fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// Look at this.
    pub fn doubtful(self) -> Style {
        self.paint(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Do something.
    pub fn bad(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }
}

/// Of less interest.
pub const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
/// Names and headings.
pub const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// The chosen one.
pub const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
