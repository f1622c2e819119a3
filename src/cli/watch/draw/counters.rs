//! The counters: a line for each.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::extent;
use crate::cli::watch::{
    message::Counter,
    model::{Now, PoolView, counter_name},
    quantity::Quantity,
    screen::Scroll,
    text::{countdown, padded, right},
    theme::{FAINT, Theme},
};

/// Widths of the columns.
struct Columns {
    name: usize,
    bar: usize,
    number: usize,
}

const PERCENT: usize = 4;
const RESET: usize = 6;
const STATUS: usize = 9;

impl Columns {
    fn of(width: usize) -> Self {
        let number = match width {
            0..70 => 5,
            70..100 => 6,
            _ => 10,
        };
        // Between columns stands one blank, and one before the first.
        let fixed = 8 + PERCENT + 3 * number + RESET + STATUS;
        let rest = width.saturating_sub(fixed);
        let bar = (rest / 3).clamp(4, 40);
        Self { name: rest.saturating_sub(bar), bar, number }
    }
}

pub(super) fn draw(
    frame: &mut Frame,
    (head, area): (Rect, Rect),
    view: &PoolView,
    scroll: &mut Scroll,
    theme: Theme,
    now: Now,
) -> String {
    let columns = Columns::of(usize::from(area.width));
    let number = columns.number;
    let title = format!(
        " {} {} {} {} {} {} {} {}",
        padded("limit", columns.name),
        padded("used+held", columns.bar),
        right("%", PERCENT),
        right("used", number),
        right("held", number),
        right("left", number),
        right("whole", RESET),
        "status"
    );
    frame.render_widget(Line::styled(title, FAINT), head);
    let Some(data) = &view.data else { return extent(0, 0, 0) };
    let height = usize::from(area.height);
    let from = scroll.place(data.limits.len(), height);
    for (row, counter) in area.rows().zip(data.limits.iter().skip(from)) {
        frame.render_widget(line(counter, &columns, view, theme, now), row);
    }
    extent(from, height, data.limits.len())
}

fn line<'a>(counter: &Counter, columns: &Columns, view: &PoolView, theme: Theme, now: Now) -> Line<'a> {
    let style = theme.status(&counter.status);
    let number = |quantity: &Option<Quantity>| {
        let text = quantity.as_ref().map_or_else(|| "-".to_owned(), |quantity| quantity.fit(columns.number));
        right(&text, columns.number)
    };
    let reset = view.reset_after(counter, now).map_or_else(|| "-".to_owned(), countdown);
    let shadow = if counter.mode == "shadow" { "~" } else { "" };
    let name = format!("{shadow}{}", counter_name(&counter.limit, &counter.scope));
    let (bar, percent) = bar(counter, columns.bar);
    Line::from(vec![
        Span::raw(format!(" {} ", padded(&name, columns.name))),
        Span::styled(bar, style),
        Span::styled(format!(" {} ", right(&percent, PERCENT)), style),
        Span::raw(format!("{} {} {} ", number(&counter.used), number(&counter.held), number(&counter.remaining))),
        Span::raw(format!("{} ", right(&reset, RESET))),
        Span::styled(padded(&counter.status, STATUS), style),
    ])
}

/// `█` used, `▒` held, `·` left; and used + held in percent, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "cells, bounded")]
fn bar(counter: &Counter, width: usize) -> (String, String) {
    let value = |quantity: &Option<Quantity>| quantity.as_ref().map_or(0.0, Quantity::value);
    let (capacity, used, held) = (value(&counter.capacity), value(&counter.used), value(&counter.held));
    if capacity <= 0.0 {
        let known = counter.capacity.is_some();
        return (if known { "█" } else { " " }.repeat(width), if known { "full" } else { "" }.to_owned());
    }
    // What is there shows, and what is not full does not look so.
    let cells = |part: f64| (((part / capacity) * width as f64).round() as usize).min(width);
    let (some, full) = (usize::from(used + held > 0.0), used + held >= capacity);
    let all = match full {
        true => width,
        false => cells(used + held).clamp(some, width.saturating_sub(1).max(1)),
    };
    let solid = cells(used).min(all);
    let text = "█".repeat(solid) + &"▒".repeat(all - solid) + &"·".repeat(width - all);
    let percent = ((used + held) / capacity * 100.0).floor();
    (text, if percent > 999.0 { ">999".to_owned() } else { format!("{percent}%") })
}
