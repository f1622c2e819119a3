//! From the model to the screen. Nothing here changes what is known.

mod counters;
mod events;
mod header;

use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    text::{Line, Span},
};

use super::{
    model::{Model, Now},
    screen::{Pane, Screen},
    theme::{STRONG, Theme},
};

/// Below this nothing useful can be shown.
const SMALLEST: (u16, u16) = (40, 10);

/// Draws everything.
pub fn draw(frame: &mut Frame, model: &Model, screen: &mut Screen, theme: Theme, now: Now) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("needs {} x {}", SMALLEST.0, SMALLEST.1);
        frame.render_widget(Line::raw(text), area);
        return;
    }
    let Some(view) = model.pools.get(screen.pool) else { return };
    let rows = view.data.as_ref().map_or(1, |data| data.limits.len());
    // Counters get what they need, up to two thirds; events get the rest.
    let body = area.height.saturating_sub(7);
    let most = (body * 2 / 3).max(2);
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).max(1);
    let parts = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Length(wanted.min(most)),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ]);
    let [head, columns, counters, _, title, events, foot] = parts.areas(area);
    header::draw(frame, head, (model, view), screen.pool, theme, now);
    let scrolled = counters::draw(frame, (columns, counters), view, &mut screen.counters, theme, now);
    let log = events::draw(frame, (title, events), view, &mut screen.events, theme);
    let active = match screen.pane {
        Pane::Counters => ("counters", scrolled),
        Pane::Events => ("events", log),
    };
    let mut help = vec![Span::styled(" q", STRONG), Span::raw(" quit  ")];
    help.extend([Span::styled("↑↓ PgUp PgDn", STRONG), Span::raw(format!(" scroll {} {}  ", active.0, active.1))]);
    help.extend([Span::styled("←→", STRONG), Span::raw(" other list")]);
    if model.pools.len() > 1 {
        help.extend([Span::styled("  Tab", STRONG), Span::raw(" next pool")]);
    }
    frame.render_widget(Line::from(help), foot);
}

/// Where in a list one is: `(1-8 of 20)`.
fn extent(from: usize, height: usize, rows: usize) -> String {
    match rows {
        0 => "(none)".to_owned(),
        rows => format!("({}-{} of {rows})", from + 1, (from + height).min(rows)),
    }
}
