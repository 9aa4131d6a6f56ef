//! Line charts as SVG, drawn here so that a report is one file without any script. Colours come from the
//! page's style, so that one drawing serves light and dark.

use std::fmt::Write as _;

use super::html::escape;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 140.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;
/// Labels of lines that end close to each other are moved this far apart.
const LABEL_APART: f64 = 15.0;

/// How values become places on an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    Linear,
    /// By powers of ten.
    Log,
}

/// An axis from `min` to `max`, with the ticks to be named.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) name: String,
}

/// A line; where it has no value it is interrupted.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    /// Its colour and dashes in the page's style: `one` to `five`.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// A chart, with its text for screen readers.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) says: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    /// Horizontal lines to be held against, by value and name.
    pub(super) bounds: Vec<(f64, String)>,
    /// Tooltips of the columns: from, to, and the text.
    pub(super) hints: Vec<(f64, f64, String)>,
}

impl Axis {
    /// From nothing to a round number above `max`.
    pub(super) fn linear(max: f64, name: &str, tick: impl Fn(f64) -> String) -> Self {
        let step = round_step(max.max(f64::MIN_POSITIVE) / 4.0);
        let steps = (max / step).ceil().max(1.0);
        let mut ticks = Vec::new();
        let mut at = 0.0;
        while at <= steps {
            ticks.push((at * step, tick(at * step)));
            at += 1.0;
        }
        Self {
            scale: Scale::Linear,
            min: 0.0,
            max: steps * step,
            ticks,
            name: name.to_owned(),
        }
    }

    /// From a power of ten below `min` to one above `max`.
    pub(super) fn log(min: f64, max: f64, name: &str, tick: impl Fn(f64) -> String) -> Self {
        let mut low = min.max(0.001).log10().floor();
        let high = max.max(0.002).log10().ceil();
        if low >= high {
            low = high - 1.0;
        }
        let mut ticks = Vec::new();
        let mut power = low;
        while power <= high {
            ticks.push((10_f64.powf(power), tick(10_f64.powf(power))));
            power += 1.0;
        }
        Self {
            scale: Scale::Log,
            min: 10_f64.powf(low),
            max: 10_f64.powf(high),
            ticks,
            name: name.to_owned(),
        }
    }

    /// Where `value` is: 0 at the axis' beginning, 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.min) / (self.max - self.min),
            Scale::Log => {
                let low = self.min.log10();
                (value.max(self.min).log10() - low) / (self.max.log10() - low)
            }
        };
        place.clamp(0.0, 1.0)
    }
}

/// The next of 1, 2, 5 times a power of ten.
pub(super) fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|times| times * power >= least);
    times.unwrap_or(10.0) * power
}

impl Chart {
    /// The drawing.
    pub(super) fn svg(&self) -> String {
        let mut out = String::new();
        let says = escape(&self.says);
        let _ = write!(
            out,
            "<div class=\"chart\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{says}\">"
        );
        self.draw_axes(&mut out);
        for series in &self.series {
            self.draw_series(&mut out, series);
        }
        for (value, name) in &self.bounds {
            self.draw_bound(&mut out, *value, name);
        }
        self.draw_names(&mut out);
        for (from, to, words) in &self.hints {
            let (left, right) = (self.at_x(*from), self.at_x(*to));
            let _ = write!(
                out,
                "<rect class=\"hint\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\">\
                 <title>{}</title></rect>",
                (right - left).max(0.5),
                HEIGHT - TOP - BOTTOM,
                escape(words),
            );
        }
        out.push_str("</svg></div>");
        out
    }

    fn at_x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn at_y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw_axes(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, name) in &self.y.ticks {
            let (y, name) = (self.at_y(*value), escape(name));
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                LEFT - 8.0,
                y + 4.0,
            );
        }
        for (value, name) in &self.x.ticks {
            let (x, name) = (self.at_x(*value), escape(name));
            let _ = write!(
                out,
                "<line class=\"tickmark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
                bottom + 4.0,
                bottom + 17.0,
            );
        }
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 5.0,
            escape(&self.x.name),
        );
    }

    fn draw_bound(&self, out: &mut String, value: f64, name: &str) {
        if value > self.y.max || value < self.y.min {
            return;
        }
        let (y, right) = (self.at_y(value), WIDTH - RIGHT);
        let _ = write!(
            out,
            "<line class=\"bound\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"boundname\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT + 6.0,
            y - 5.0,
            escape(name),
        );
    }

    fn draw_series(&self, out: &mut String, series: &Series) {
        let mut path = String::new();
        let mut alone = String::new();
        for (place, (x, y)) in series.points.iter().enumerate() {
            let Some(y) = y else { continue };
            let has = |place: Option<usize>| {
                let point = place.and_then(|place| series.points.get(place));
                point.is_some_and(|(_, value)| value.is_some())
            };
            let (before, after) = (has(place.checked_sub(1)), has(Some(place + 1)));
            let (x, y) = (self.at_x(*x), self.at_y(*y));
            let _ = write!(path, "{}{x:.1} {y:.1}", if before { 'L' } else { 'M' });
            if !before && !after {
                let _ = write!(
                    alone,
                    "<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>",
                    series.class
                );
            }
        }
        let _ = write!(
            out,
            "<path class=\"line {}\" d=\"{path}\"/>{alone}",
            series.class
        );
    }

    /// Names each line where it ends, none over another.
    fn draw_names(&self, out: &mut String) {
        let mut names: Vec<(f64, &Series)> = Vec::new();
        for series in &self.series {
            let last = series.points.iter().rev().find_map(|(_, value)| *value);
            names.extend(last.map(|last| (self.at_y(last), series)));
        }
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut free = TOP;
        for (y, _) in &mut names {
            *y = y.max(free);
            free = *y + LABEL_APART;
        }
        // The lowest may have left the chart; push the others up again.
        let mut floor = HEIGHT - BOTTOM;
        for (y, _) in names.iter_mut().rev() {
            *y = y.min(floor);
            floor = *y - LABEL_APART;
        }
        for (y, series) in names {
            let _ = write!(
                out,
                "<text class=\"name {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                series.class,
                WIDTH - RIGHT + 8.0,
                y + 4.0,
                escape(&series.name),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, Option<f64>)>) -> Chart {
        Chart {
            says: "a <chart>".to_owned(),
            x: Axis::linear(10.0, "seconds", |at| at.to_string()),
            y: Axis::log(0.5, 80.0, "", |at| at.to_string()),
            series: vec![Series {
                name: "p99".to_owned(),
                class: "one",
                points,
            }],
            bounds: Vec::new(),
            hints: Vec::new(),
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let end = |max: f64| Axis::linear(max, "", |_| String::new()).max;
        assert!((end(7.0) - 8.0).abs() < 1e-9 && (end(61.0) - 80.0).abs() < 1e-9);
        assert_eq!(Axis::linear(0.0, "", |_| String::new()).ticks.len(), 2);
        let log = Axis::log(0.5, 80.0, "", |_| String::new());
        assert!((log.min - 0.1).abs() < 1e-9 && (log.max - 100.0).abs() < 1e-9);
        assert!((log.place(10_f64.powf(0.5)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_line_is_interrupted_where_there_is_nothing_and_a_lone_value_is_a_dot() {
        let points = [
            (0.0, Some(1.0)),
            (1.0, Some(2.0)),
            (2.0, None),
            (3.0, Some(9.0)),
        ];
        let svg = chart(points.to_vec()).svg();
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
        assert!(svg.contains("aria-label=\"a &lt;chart&gt;\""), "{svg}");
    }
}
