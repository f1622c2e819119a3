//! The log of changes, newest first.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::extent;
use crate::cli::watch::{
    model::{self, PoolView},
    screen::Scroll,
    text::{clock, cut, padded},
    theme::{FAINT, Theme},
};

pub(super) fn draw(frame: &mut Frame, (title, area): (Rect, Rect), view: &PoolView, scroll: &mut Scroll, theme: Theme) -> String {
    let width = usize::from(area.width);
    let rule = padded(" changes (UTC, newest first) ", 29) + &"─".repeat(width.saturating_sub(30));
    frame.render_widget(Line::styled(rule, FAINT), title);
    let height = usize::from(area.height);
    let from = scroll.place(view.lines.len(), height);
    for (row, line) in area.rows().zip(view.lines.iter().skip(from)) {
        frame.render_widget(of(line, width, theme), row);
    }
    extent(from, height, view.lines.len())
}

fn of<'a>(line: &model::Line, width: usize, theme: Theme) -> Line<'a> {
    match line {
        model::Line::Note { at, text } => {
            let text = cut(&format!(" {} {text}", clock(*at)), width);
            Line::styled(text, FAINT)
        }
        model::Line::Change { at, name, from, to, cause } => {
            let at = at.map_or_else(|| "        ".to_owned(), clock);
            // Two statuses of up to 14 letters, the arrow, the cause, the time, and blanks between.
            let name_width = width.saturating_sub(54).clamp(8, 60);
            Line::from(vec![
                Span::raw(format!(" {at} {} ", padded(name, name_width))),
                Span::styled(padded(from, 14), theme.status(from)),
                Span::raw(" → "),
                Span::styled(padded(to, 14), theme.status(to)),
                Span::raw(format!(" {}", cut(cause, 10))),
            ])
        }
    }
}
