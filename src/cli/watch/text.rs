//! Small texts for columns.

use std::time::Duration;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A duration in at most six characters: `59s`, `4m03s`, `3h12m`, `12d04h`. Rounded up, so that nothing is
/// said to be over before it is.
pub fn countdown(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 60 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m{:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () if days < 100 => format!("{days}d{:02}h", hours % 24),
        () => format!("{days}d"),
    }
}

/// The time of day in UTC.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// Cut to so many columns, with an ellipsis where something was cut off; control characters are not
/// shown, as they could do things to a terminal.
pub fn cut(text: &str, width: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if clean.width() <= width {
        return clean;
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for c in clean.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// Cut or filled up to exactly so many columns.
pub fn padded(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(text.width())));
    text
}

/// The same, to the right.
pub fn right(text: &str, width: usize) -> String {
    let text = cut(text, width);
    " ".repeat(width.saturating_sub(text.width())) + &text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_columns() {
        let after = |seconds| countdown(Duration::from_secs(seconds));
        assert_eq!([after(0), after(59), after(243), after(11_520)], ["0s", "59s", "4m03s", "3h12m"]);
        assert_eq!([after(1_051_200), after(86_400 * 400)], ["12d04h", "400d"]);
        assert_eq!(countdown(Duration::from_millis(1)), "1s");
        assert_eq!(
            [cut("requests", 8), cut("requests", 5), cut("日本語", 5), cut("x\u{1b}[2J", 9)],
            ["requests", "requ…", "日本…", "x\u{fffd}[2J"]
        );
        assert_eq!([padded("ab", 4), right("ab", 4), padded("日本語", 6)], ["ab  ", "  ab", "日本語"]);
        assert_eq!(cut("x", 0), "");
    }
}
