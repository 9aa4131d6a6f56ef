//! Line and bar charts as SVG. Colours come from the page's style.

use std::fmt::Write as _;

use super::html::escape;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 40.0;
/// Distance of the names in the legend.
const LEGEND_STEP: f64 = 110.0;

/// How values are mapped to an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    /// Powers of ten.
    Log,
}

/// An axis from `min` to `max`, with named ticks.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    scale: Scale,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) ticks: Vec<(f64, String)>,
    name: &'static str,
}

/// A line, interrupted where it has no value.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: &'static str,
    /// Its colour in the page's style: `one` to `three`.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// A chart; `label` is its text for screen readers.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) label: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Series>,
    /// Bars: from, to, height.
    pub(super) bars: Vec<(f64, f64, f64)>,
    /// A horizontal line and its name.
    pub(super) bound: Option<(f64, String)>,
}

impl Axis {
    /// From zero to a round number above `max`.
    pub(super) fn linear(max: f64, name: &'static str, tick: impl Fn(f64) -> String) -> Self {
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
            name,
        }
    }

    /// From a power of ten below `min` to one above `max`.
    pub(super) fn log(
        min: f64,
        max: f64,
        name: &'static str,
        tick: impl Fn(f64) -> String,
    ) -> Self {
        let high = max.max(0.002).log10().ceil();
        let low = min.max(0.001).log10().floor().min(high - 1.0);
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
            name,
        }
    }

    /// Where `value` is: 0 at the axis' beginning, 1 at its end.
    fn position(&self, value: f64) -> f64 {
        let position = match self.scale {
            Scale::Linear => (value - self.min) / (self.max - self.min),
            Scale::Log => {
                let low = self.min.log10();
                (value.max(self.min).log10() - low) / (self.max.log10() - low)
            }
        };
        position.clamp(0.0, 1.0)
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|times| times * power >= least);
    times.unwrap_or(10.0) * power
}

impl Chart {
    /// The drawing.
    pub(super) fn svg(&self) -> String {
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(&self.label)
        );
        self.draw_axes(&mut out);
        for (from, to, height) in &self.bars {
            let (left, right, top) = (self.at_x(*from), self.at_x(*to), self.at_y(*height));
            let (width, height) = ((right - left - 1.0).max(0.5), HEIGHT - BOTTOM - top);
            let _ = write!(
                out,
                "<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            );
        }
        let mut x = LEFT;
        for line in &self.lines {
            let (class, path) = (line.class, self.path(line));
            let _ = write!(
                out,
                "<path class=\"{class}\" d=\"{path}\"/><text class=\"{class}\" x=\"{x}\" y=\"18\">{}</text>",
                line.name
            );
            x += LEGEND_STEP;
        }
        if let Some((value, name)) = &self.bound {
            let (y, name) = (self.at_y(*value), escape(name));
            let _ = write!(
                out,
                "<line class=\"bound\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
                WIDTH - RIGHT,
                LEFT + 6.0,
                y - 5.0
            );
        }
        out + "</svg>"
    }

    fn at_x(&self, value: f64) -> f64 {
        LEFT + self.x.position(value) * (WIDTH - LEFT - RIGHT)
    }

    fn at_y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.position(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw_axes(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, name) in &self.y.ticks {
            let (y, name) = (self.at_y(*value), escape(name));
            let (x, text_y) = (LEFT - 8.0, y + 4.0);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{text_y:.1}\" text-anchor=\"end\">{name}</text>",
            );
        }
        for (value, name) in &self.x.ticks {
            let (x, y, name) = (self.at_x(*value), bottom + 17.0, escape(name));
            let _ = write!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>"
            );
        }
        let (x, y) = (f64::midpoint(LEFT, right), HEIGHT - 5.0);
        let name = self.x.name;
        let _ = write!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>"
        );
    }

    /// The line's path. A value without neighbours is a short stroke.
    fn path(&self, line: &Series) -> String {
        let mut path = String::new();
        let mut interrupted = true;
        for (x, y) in &line.points {
            if let Some(y) = y {
                let (x, y) = (self.at_x(*x), self.at_y(*y));
                let command = if interrupted { 'M' } else { 'L' };
                let _ = write!(path, "{command}{x:.1} {y:.1}");
                if interrupted {
                    path.push_str("h1");
                }
            }
            interrupted = y.is_none();
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let end = |max: f64| Axis::linear(max, "", |_| String::new()).max;
        assert!((end(7.0) - 8.0).abs() < 1e-9 && (end(61.0) - 80.0).abs() < 1e-9);
        assert_eq!(Axis::linear(0.0, "", |_| String::new()).ticks.len(), 2);
        let log = Axis::log(0.5, 80.0, "", |_| String::new());
        assert!((log.min - 0.1).abs() < 1e-9 && (log.max - 100.0).abs() < 1e-9);
        assert!((log.position(10_f64.powf(0.5)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn line_is_interrupted_where_it_has_no_value_and_a_lone_value_is_drawn() {
        let points = [
            (0.0, Some(1.0)),
            (1.0, Some(2.0)),
            (2.0, None),
            (3.0, Some(9.0)),
        ];
        let svg = Chart {
            label: "a <chart>".to_owned(),
            x: Axis::linear(10.0, "seconds", |at| at.to_string()),
            y: Axis::log(0.5, 80.0, "", |at| at.to_string()),
            lines: vec![Series {
                name: "p99",
                class: "one",
                points: points.to_vec(),
            }],
            bars: Vec::new(),
            bound: None,
        }
        .svg();
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert_eq!(svg.matches("h1").count(), 2, "{svg}");
        assert!(svg.contains("aria-label=\"a &lt;chart&gt;\""), "{svg}");
    }
}
