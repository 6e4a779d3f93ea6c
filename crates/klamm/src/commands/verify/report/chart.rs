//! Curves over time.

use std::fmt::Write as _;

use history::Phase;

use super::frame::{Frame, LEFT, TOP, WIDTH, escape, number, round_step};

/// The height of a chart's inner part.
const HEIGHT: f64 = 190.0;
/// Lines across a linear chart, about.
const LINES: f64 = 5.0;
/// The lowest value of a logarithmic chart.
const LOG_LEAST: f64 = 0.1;

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0.
    Linear,
    /// By powers of ten: where most is small, and what matters is large.
    Logarithmic,
}

/// One curve: a value for each bucket, or none where nothing was measured.
#[derive(Debug)]
pub(super) struct Curve {
    /// Of the style sheet.
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// Draws curves whose values are `bucket_us` apart.
pub(super) fn chart(
    title: &str,
    scale: Scale,
    curves: &[Curve],
    faults: &[Phase],
    (bucket_us, end_us): (u64, u64),
) -> String {
    let frame = Frame::new(end_us, HEIGHT);
    let most = curves
        .iter()
        .flat_map(|curve| curve.values.iter().flatten())
        .copied()
        .fold(1.0, f64::max);
    let axis = Axis::new(scale, most, frame.base());
    let mut svg = frame.open(title, faults);
    axis.draw(&mut svg);
    for curve in curves {
        draw(&mut svg, curve, &axis, &frame, bucket_us);
    }
    frame.close(&mut svg);
    let legend: String = curves
        .iter()
        .map(|curve| format!("<span class=\"key {}\">{}</span>", curve.class, escape(curve.name)))
        .collect();
    format!("<h2>{}</h2>\n<p class=\"legend\">{legend}</p>\n{svg}", escape(title))
}

/// A point in the middle of each bucket; a gap where there is no value.
fn draw(svg: &mut String, curve: &Curve, axis: &Axis, frame: &Frame, bucket_us: u64) {
    let mut path = String::new();
    let mut drawing = false;
    for (at, value) in (0_u64..).zip(&curve.values) {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let x = frame.x(at * bucket_us + bucket_us / 2);
        let letter = if drawing { 'L' } else { 'M' };
        let _ = write!(path, "{letter}{x:.1} {:.1} ", axis.y(*value));
        if !drawing && curve.values.get(at as usize + 1).is_none_or(Option::is_none) {
            // Alone between two gaps it would be invisible.
            let _ = write!(path, "h1 ");
        }
        drawing = true;
    }
    let _ = writeln!(svg, "<path class=\"curve {}\" d=\"{}\"/>", curve.class, path.trim_end());
}

/// The axis of values.
#[derive(Debug)]
struct Axis {
    scale: Scale,
    most: f64,
    base: f64,
    marks: Vec<f64>,
}

impl Axis {
    fn new(scale: Scale, most: f64, base: f64) -> Self {
        let mut marks = Vec::new();
        match scale {
            Scale::Linear => {
                let step = round_step(most / LINES);
                let mut mark = 0.0;
                while mark < most + step {
                    marks.push(mark);
                    mark += step;
                }
            }
            Scale::Logarithmic => {
                let mut mark = LOG_LEAST;
                while mark < most * 10.0 {
                    marks.push(mark);
                    mark *= 10.0;
                }
            }
        }
        let most = marks.last().copied().unwrap_or(most);
        Self {
            scale,
            most,
            base,
            marks,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => value / self.most,
            Scale::Logarithmic => (value.max(LOG_LEAST) / LOG_LEAST).log10() / (self.most / LOG_LEAST).log10(),
        };
        self.base - part.clamp(0.0, 1.0) * (self.base - TOP)
    }

    fn draw(&self, svg: &mut String) {
        for mark in &self.marks {
            let y = self.y(*mark);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                number(*mark)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_breaks_where_nothing_was_measured() {
        let curve = Curve {
            class: "one",
            name: "records a second",
            values: vec![Some(10.0), Some(20.0), None, Some(5.0)],
        };
        let html = chart("throughput", Scale::Linear, &[curve], &[], (1_000_000, 4_000_000));
        let path = html
            .split_once("class=\"curve one\" d=\"")
            .unwrap()
            .1
            .split_once('"')
            .unwrap()
            .0;
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(html.contains("records a second"));
        assert!(html.ends_with("</svg>\n"));
    }

    #[test]
    fn a_logarithmic_axis_ends_above_the_largest_value() {
        let axis = Axis::new(Scale::Logarithmic, 3_496.0, 200.0);
        assert!(axis.most >= 3_496.0);
        assert!(axis.y(3_496.0) > TOP);
        assert!(axis.y(0.0) <= 200.0);
        assert!(axis.y(1.0) > axis.y(10.0));
    }
}
