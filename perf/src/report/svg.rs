//! Plots as SVG, for a page whose style gives them their colours.

use std::fmt::Write as _;
use std::time::Duration;

use crate::method::{Histogram, Spread};

/// Width and height of a bar's drawing.
const BAR: (f64, f64) = (460.0, 24.0);
/// Width and height of a histogram's drawing, and the room below for the scale.
const PLOT: (f64, f64) = (360.0, 110.0);
const SCALE: f64 = 18.0;
/// Steps of a histogram across its width.
const STEPS: usize = 72;

/// How far the axis of shares reaches: to the ceiling, or to the largest share beyond it.
pub(super) fn axis_end(shares: &[Spread]) -> f64 {
    let largest = shares.iter().map(|share| share.max).fold(1.0, f64::max);
    (largest * 4.0).ceil() / 4.0
}

/// A share of a ceiling: the median as a bar, the range as a line, each sample as a dot, the ceiling as a mark.
pub(super) fn bar(share: Spread, samples: &[f64], end: f64) -> String {
    let (width, height) = BAR;
    let x = |value: f64| (value / end * width).clamp(0.0, width);
    let middle = height / 2.0;
    let mut svg = format!(
        "<svg class=\"bar\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{:.1} % of the ceiling\">",
        share.median * 100.0
    );
    for quarter in 0..=(end * 4.0) as u32 {
        let (at, class) = (x(f64::from(quarter) / 4.0), if quarter == 4 { "mark" } else { "grid" });
        let _ = write!(svg, "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height}\"/>");
    }
    let long = x(share.median).max(1.0);
    let _ =
        write!(svg, "<rect class=\"fill\" x=\"0\" y=\"6\" width=\"{long:.1}\" height=\"{}\" rx=\"2\"/>", height - 12.0);
    let _ = write!(
        svg,
        "<line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>",
        x(share.min),
        x(share.max)
    );
    for sample in samples {
        let _ = write!(svg, "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{middle}\" r=\"3.2\"/>", x(*sample));
    }
    svg + "</svg>"
}

/// One line of a histogram.
pub(super) struct Line<'a> {
    /// Class of its colour.
    pub(super) class: &'a str,
    pub(super) latency: &'a Histogram,
}

/// How long operations took, on a logarithmic axis: for each subject the share of operations in each step.
pub(super) fn histogram(lines: &[Line<'_>]) -> String {
    let Some(axis) = Axis::of(lines) else { return String::new() };
    let (width, height) = PLOT;
    let shares: Vec<Vec<f64>> = lines.iter().map(|line| axis.shares(line.latency)).collect();
    let highest = shares.iter().flatten().fold(0.0_f64, |highest, share| highest.max(*share));
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"times of operations\">",
        height + SCALE
    );
    for tick in axis.ticks() {
        let at = axis.place(tick.as_nanos() as f64) * width;
        let _ = write!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height}\"/>");
        let anchor = if at < 20.0 {
            "start"
        } else if at > width - 20.0 {
            "end"
        } else {
            "middle"
        };
        let (y, label) = (height + SCALE - 5.0, time(tick));
        let _ = write!(svg, "<text x=\"{at:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{label}</text>");
    }
    let _ = write!(svg, "<line class=\"base\" x1=\"0\" x2=\"{width}\" y1=\"{height}\" y2=\"{height}\"/>");
    for (line, shares) in lines.iter().zip(&shares) {
        let mut path = format!("M0 {height}");
        for (step, share) in shares.iter().enumerate() {
            let (left, right) = (step as f64 / STEPS as f64 * width, (step + 1) as f64 / STEPS as f64 * width);
            let top = height - share / highest * (height - 6.0);
            let _ = write!(path, "L{left:.1} {top:.1}L{right:.1} {top:.1}");
        }
        let class = line.class;
        let _ = write!(svg, "<path class=\"area {class}\" d=\"{path}L{width} {height}Z\"/>");
        let _ = write!(svg, "<path class=\"line {class}\" d=\"{path}\"/>");
    }
    svg + "</svg>"
}

/// A logarithmic axis of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    /// Holds nearly everything that was counted: a single slow operation in a hundred thousand is left out.
    fn of(lines: &[Line<'_>]) -> Option<Self> {
        let quantile = |line: &Line<'_>, quantile| line.latency.quantile(quantile).map(|time| time.as_nanos() as f64);
        let from = lines.iter().filter_map(|line| quantile(line, 0.0)).reduce(f64::min)?;
        let to = lines.iter().filter_map(|line| quantile(line, 0.9999)).reduce(f64::max)?;
        Some(Self { from: (from / 1.3).max(1.0), to: (to * 1.3).max(from * 4.0).max(10.0) })
    }

    /// Where `nanos` lies, from 0 to 1.
    fn place(self, nanos: f64) -> f64 {
        (nanos.max(1.0) / self.from).ln() / (self.to / self.from).ln()
    }

    /// Share of the operations in each step; a bucket wider than a step is spread over the steps it covers.
    fn shares(self, latency: &Histogram) -> Vec<f64> {
        let mut shares = vec![0.0; STEPS];
        let count = latency.count().max(1) as f64;
        for (from, to, operations) in latency.buckets() {
            let step = |time: Duration| self.place(time.as_nanos() as f64) * STEPS as f64;
            let (left, right) = (step(from), step(to).max(step(from) + 1e-6));
            for (number, share) in shares.iter_mut().enumerate() {
                let overlap = right.min(number as f64 + 1.0) - left.max(number as f64);
                if overlap > 0.0 {
                    *share += operations as f64 / count * overlap / (right - left);
                }
            }
        }
        shares
    }

    /// Powers of ten within the axis.
    fn ticks(self) -> Vec<Duration> {
        let powers = (0..12).map(|power| 10_u64.pow(power));
        let within = powers.filter(|nanos| (0.0..=1.0).contains(&self.place(*nanos as f64)));
        within.map(Duration::from_nanos).collect()
    }
}

/// A time for people, with two or three digits that count.
pub(super) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        nanos if nanos < 1e3 => (nanos, "ns"),
        nanos if nanos < 1e6 => (nanos / 1e3, "µs"),
        nanos if nanos < 1e9 => (nanos / 1e6, "ms"),
        nanos => (nanos / 1e9, "s"),
    };
    if value < 9.95 && value.fract() > 0.05 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests;
