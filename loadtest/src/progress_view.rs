//! Displays the progress of a run: a block that is redrawn on a terminal, a line per
//! second elsewhere. All of it goes to standard error; standard output is for the result.

use std::io::{IsTerminal as _, Write as _, stderr};

use crate::plan::as_f64;
use crate::progress::{Progress, ProgressSnapshot};
use crate::stats::{LatencyHistogram, times};

/// Intervals of redrawing a terminal and of writing a line, in microseconds.
const REDRAW_US: u64 = 250_000;
const LINE_US: u64 = 1_000_000;
/// Window of the displayed figures, in seconds.
const WINDOW_SECONDS: u64 = 5;
/// Limit of displayed error names.
const ERRORS_SHOWN: usize = 6;

/// Displays the progress of a run.
pub struct View {
    terminal: bool,
    drawn_lines: usize,
    next: u64,
    title: String,
}

impl View {
    /// A view with this title, on standard error.
    pub fn new(title: String) -> Self {
        Self {
            terminal: stderr().is_terminal(),
            drawn_lines: 0,
            next: 0,
            title,
        }
    }

    /// Prints a line once.
    pub fn print(&mut self, text: &str) {
        let mut out = self.clear();
        out.push_str(text);
        out.push('\n');
        write(&out);
    }

    /// Displays the snapshot, if the interval has passed.
    pub fn show(&mut self, watch: &Progress, now: u64) {
        if now < self.next {
            return;
        }
        let Some(snapshot) = watch.snapshot() else {
            return;
        };
        self.next = now + if self.terminal { REDRAW_US } else { LINE_US };
        let figures = Figures::of(watch, &snapshot);
        if self.terminal {
            let block = figures.block(&self.title);
            let mut out = self.clear();
            out.push_str(&block);
            self.drawn_lines = block.lines().count();
            write(&out);
        } else {
            write(&figures.line());
        }
    }

    /// The control sequence that clears the last block.
    fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn_lines) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }
}

/// Ignores write errors: a closed terminal must not end the run.
fn write(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

struct Figures {
    second: Option<u64>,
    sent: f64,
    delivered: f64,
    times: LatencyHistogram,
    snapshot: ProgressSnapshot,
    lag_us: u64,
}

impl Figures {
    /// The last complete seconds.
    fn of(watch: &Progress, snapshot: &ProgressSnapshot) -> Self {
        let second = watch.seconds().keys().next_back().copied();
        let until = second.unwrap_or_default().max(1);
        let from = until.saturating_sub(WINDOW_SECONDS);
        let (mut sent, mut delivered, mut lag_us, mut sum) = (0, 0, 0, times());
        for (_, second) in watch.seconds().range(from..until) {
            sent += second.counts.due;
            delivered += second.counts.delivered + second.counts.caught_up;
            lag_us = lag_us.max(second.lag_us);
            // Both have the same bounds.
            let _ = sum.add(&second.times);
        }
        let over = as_f64(usize::try_from(until - from).unwrap_or(1));
        let rate = |count: u64| as_f64(usize::try_from(count).unwrap_or_default()) / over;
        Self {
            second,
            sent: rate(sent),
            delivered: rate(delivered),
            times: sum,
            snapshot: snapshot.clone(),
            lag_us,
        }
    }

    fn line(&self) -> String {
        let at = self
            .second
            .map_or("up".to_owned(), |second| format!("{second}s"));
        let ProgressSnapshot {
            connections,
            caught_up,
            pending,
            errors,
            ..
        } = &self.snapshot;
        format!(
            "{at:>5}  {connections} connected, {caught_up} caught up  {:.0} sent/s  {:.0} delivered/s  \
             p50 {} p95 {} p99 {} max {}  {pending} unanswered  lag {}  {}\n",
            self.sent,
            self.delivered,
            self.at(0.5),
            self.at(0.95),
            self.at(0.99),
            milliseconds(self.times.max()),
            milliseconds(self.lag_us),
            worst(errors),
        )
    }

    fn block(&self, title: &str) -> String {
        let at = self
            .second
            .map_or("coming up".to_owned(), |second| format!("second {second}"));
        let ProgressSnapshot {
            connections,
            caught_up,
            pending,
            errors,
            resident_bytes,
            ..
        } = &self.snapshot;
        format!(
            "{title}, {at}\n  \
             connections  {connections:>9} up      {caught_up:>9} caught up\n  \
             messages     {:>9.0} sent/s  {:>9.0} delivered/s  {pending} unanswered\n  \
             delivery     {:>9} p50     {:>9} p95    {:>9} p99    {:>9} max\n  \
             ourselves    {:>9} late    {:>6} MB\n  \
             errors       {}\n",
            self.sent,
            self.delivered,
            self.at(0.5),
            self.at(0.95),
            self.at(0.99),
            milliseconds(self.times.max()),
            milliseconds(self.lag_us),
            resident_bytes >> 20,
            worst(errors),
        )
    }

    fn at(&self, quantile: f64) -> String {
        milliseconds(self.times.value_at_quantile(quantile))
    }
}

/// The most frequent errors by name.
fn worst(errors: &std::collections::BTreeMap<String, u64>) -> String {
    let mut errors: Vec<_> = errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown = errors
        .iter()
        .take(ERRORS_SHOWN)
        .map(|(name, count)| format!("{count} × {name}"));
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        "no errors".to_owned()
    } else {
        shown.join(", ")
    }
}

/// Formats microseconds.
fn milliseconds(us: u64) -> String {
    match us {
        0..10_000 => format!(
            "{:.1} ms",
            as_f64(usize::try_from(us).unwrap_or_default()) / 1_000.0
        ),
        _ => format!("{} ms", us / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_figures_and_the_worst_errors_first() {
        let mut snapshot = ProgressSnapshot {
            connections: 12,
            caught_up: 11,
            pending: 3,
            ..ProgressSnapshot::default()
        };
        snapshot.errors.insert("RATE_LIMITED".to_owned(), 9);
        snapshot.errors.insert("close 4508".to_owned(), 70);
        let line = Figures::of(&Progress::default(), &snapshot).line();
        assert!(line.contains("12 connected, 11 caught up"), "{line}");
        assert!(line.contains("70 × close 4508, 9 × RATE_LIMITED"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(milliseconds(900), "0.9 ms");
        assert_eq!(milliseconds(12_345), "12 ms");
    }
}
