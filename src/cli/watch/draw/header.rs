//! The first lines: where, whether that is up to date, and how the pool stands as a whole.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use crate::cli::watch::{
    model::{Connection, Model, Now, PoolView},
    text::{countdown, cut},
    theme::{CHOSEN, FAINT, STRONG, Theme},
};

pub(super) fn draw(frame: &mut Frame, area: Rect, (model, view): (&Model, &PoolView), at: usize, theme: Theme, now: Now) {
    let [top, pools, status] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let (state, style) = connection(&model.connection, theme, now);
    // The state is told in full as far as possible; three fifths are left to it when both are long.
    let width = usize::from(top.width);
    let place = format!(" quota-coordinator  {}", model.address);
    let most = width.saturating_sub(place.width() + 3).max(width * 3 / 5);
    let state = cut(&state, most);
    frame.render_widget(Line::styled(cut(&place, width.saturating_sub(state.width() + 2)), STRONG), top);
    frame.render_widget(Line::styled(format!("{state} "), style).alignment(Alignment::Right), top);
    frame.render_widget(tabs(model, at, theme), pools);
    frame.render_widget(standing(view, theme, now), status);
}

/// The connection in words.
fn connection(connection: &Connection, theme: Theme, now: Now) -> (String, Style) {
    let seconds = |until: &tokio::time::Instant| countdown(until.saturating_duration_since(now.instant));
    match connection {
        Connection::Connecting => ("connecting …".to_owned(), theme.doubtful()),
        Connection::Live { stale: false } => ("● live".to_owned(), theme.good()),
        Connection::Live { stale: true } => ("◐ stale: the node may be behind".to_owned(), theme.doubtful()),
        Connection::Leaving { at, .. } => (format!("● live, moving on in {}", seconds(at)), theme.doubtful()),
        Connection::Waiting { until, why } => (format!("○ reconnecting in {}: {why}", seconds(until)), theme.bad()),
    }
}

fn tabs<'a>(model: &Model, at: usize, theme: Theme) -> Line<'a> {
    let mut spans = vec![Span::raw(if model.pools.len() > 1 { " pools " } else { " pool " })];
    for (place, view) in model.pools.iter().enumerate() {
        let name = cut(view.pool.as_deref().unwrap_or("…"), 32);
        let (text, style) = match (place == at, model.pools.len() > 1) {
            (true, true) => (format!("[{name}]"), CHOSEN),
            (_, false) => (format!(" {name} "), STRONG),
            (false, true) => {
                let status = view.data.as_ref().map_or("", |data| data.status.as_str());
                (format!(" {name} "), theme.status(status))
            }
        };
        spans.extend([Span::styled(text, style), Span::raw(" ")]);
    }
    if let Some(workspace) = &model.workspace {
        spans.extend([Span::raw(" workspace  "), Span::styled(cut(workspace, 32), STRONG)]);
    }
    Line::from(spans)
}

fn standing<'a>(view: &PoolView, theme: Theme, now: Now) -> Line<'a> {
    let Some(data) = &view.data else {
        return match &view.problem {
            Some(problem) => Line::styled(format!(" {}", cut(problem, 200)), theme.bad()),
            None => Line::styled(" no figures yet", FAINT),
        };
    };
    let mut spans = vec![Span::raw(" status "), Span::styled(cut(&data.status, 20), theme.status(&data.status))];
    let (requests, style) = match (data.can_make_request, data.wait_seconds) {
        (true, _) => ("requests pass".to_owned(), theme.good()),
        (false, Some(seconds)) => {
            let passed = view.received.map_or(0, |at| now.instant.saturating_duration_since(at).as_secs());
            let left = std::time::Duration::from_secs(seconds.saturating_sub(passed));
            (format!("requests wait {}", countdown(left)), theme.bad())
        }
        (false, None) => ("requests are refused".to_owned(), theme.bad()),
    };
    spans.extend([Span::raw(" · "), Span::styled(requests, style)]);
    if let Some(partitions) = &data.partitions {
        let count = |word: &str| partitions.get(word).copied().unwrap_or(0);
        spans.push(Span::raw(format!(" · parts: {} normal", count("normal"))));
        for word in ["warning", "exhausted"] {
            let style = if count(word) > 0 { theme.status(word) } else { Style::new() };
            spans.push(Span::raw(", "));
            spans.push(Span::styled(format!("{} {word}", count(word)), style));
        }
    }
    Line::from(spans)
}
