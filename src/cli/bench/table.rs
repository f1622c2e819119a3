//! Figures beside their targets, for people and for machines.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::CliError;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// None: the figure stands for itself.
    Figure,
}

impl Target {
    fn met(self, value: f64) -> Option<bool> {
        match self {
            _ if value.is_nan() => None,
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Figure => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::Figure => String::new(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Row {
    section: String,
    name: String,
    value: Option<f64>,
    unit: &'static str,
    target: String,
    met: Option<bool>,
    note: String,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Table {
    machine: String,
    #[serde(skip)]
    section: String,
    rows: Vec<Row>,
}

impl Table {
    /// An empty table of a machine.
    pub fn new(machine: String) -> Self {
        Self { machine, section: String::new(), rows: Vec::new() }
    }

    /// What follows belongs together.
    pub fn section(&mut self, name: &str) {
        name.clone_into(&mut self.section);
    }

    /// A figure with its target; `unit` is empty for a ratio.
    pub fn row(&mut self, name: impl Into<String>, value: f64, unit: &'static str, target: Target) {
        let (section, met) = (self.section.clone(), target.met(value));
        let value = (!value.is_nan()).then_some(value);
        self.rows.push(Row { section, name: name.into(), value, unit, target: target.text(), met, note: String::new() });
    }

    /// A figure without a target.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.row(name, value, unit, Target::Figure);
    }

    /// Something to know about the last row.
    pub fn note(&mut self, note: impl Into<String>) {
        if let Some(row) = self.rows.last_mut() {
            row.note = note.into();
        }
    }

    /// The figures for machines.
    pub fn to_json(&self) -> Result<String, CliError> {
        serde_json::to_string_pretty(self).map_err(|error| CliError::Internal(error.to_string()))
    }

    /// The figures for people.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.machine)?;
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut section = "";
        for row in &self.rows {
            if row.section != section {
                section = &row.section;
                writeln!(out, "\n{section}")?;
            }
            let value = row.value.map_or_else(|| "not measured".to_owned(), |value| significant(value, row.unit));
            let verdict = row.met.map_or("", |met| if met { "met" } else { "MISSED" });
            let line = format!("  {:<width$} {value:>16}  {:<8} {verdict:<6} {}", row.name, row.target, row.note);
            writeln!(out, "{}", line.trim_end())?;
        }
        let judged = self.rows.iter().filter_map(|row| row.met);
        let (met, all) = judged.fold((0, 0), |(met, all), this| (met + u32::from(this), all + 1));
        writeln!(out, "\n{met} of {all} targets met")
    }
}

/// Three digits or more, as the size of the figure asks for.
fn significant(value: f64, unit: &str) -> String {
    let text = match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    format!("{text} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_its_target() {
        let mut table = Table::new("a machine".to_owned());
        table.section("cost");
        table.row("ours ÷ theirs", 0.25, "", Target::AtMost(0.3));
        table.row("kept", 0.9, "", Target::AtLeast(0.96));
        table.row("slices", f64::NAN, "", Target::AtMost(1.0));
        table.figure("requests", 12345.6, "/s");
        table.note("noisy");
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in ["≤ 0.3", "met", "MISSED", "not measured", "12346 /s", "noisy", "1 of 2 targets met"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(table.to_json().unwrap().contains(r#""met": false"#));
    }
}
