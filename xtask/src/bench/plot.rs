//! The pictures: bars with the spread of the runs, one system above the other.

use std::fmt::Write as _;

use super::nodes::System;
use super::results::{Spread, number};

const WIDTH: f64 = 860.0;
/// Room for the names at the left, and for the numbers at the right.
const LEFT: f64 = 210.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 34.0;
const BAR: f64 = 16.0;
/// From one pair of bars to the next.
const STEP: f64 = 52.0;
/// The lowest value of a logarithmic axis, unless a value is lower.
const LOG_LEAST: f64 = 0.1;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:16px;font-weight:600}\
                     .small{font-size:11px;fill:#59636e}.grid{stroke:#d1d9e0}.spread{stroke:#1f2328;stroke-width:1.5}\
                     .kafka{fill:#9a9fa6}.klamm{fill:#0f7b8a}";

/// How values become lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0.
    Linear,
    /// By powers of ten.
    Logarithmic,
}

/// A pair of bars.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) kafka: Spread,
    pub(super) klamm: Spread,
}

/// Draws them, middle values as bars, the least and the most as a line across their ends.
pub(super) fn bars(title: &str, unit: &str, scale: Scale, pairs: &[Pair]) -> String {
    let spreads = || pairs.iter().flat_map(|pair| [pair.kafka, pair.klamm]);
    let axis = Axis::new(
        scale,
        spreads().map(|spread| spread.min).fold(f64::INFINITY, f64::min),
        spreads().map(|spread| spread.max).fold(0.0, f64::max),
    );
    let base = TOP + STEP * pairs.len() as f64;
    let height = base + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>{STYLE}</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text class=\"title\" x=\"12\" y=\"26\">{title}</text>\n",
        title = escape(title)
    );
    legend(&mut svg);
    for mark in axis.marks() {
        let x = axis.x(mark);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{base}\"/>\
             <text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            base + 16.0,
            short(mark)
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        WIDTH - RIGHT + 24.0,
        base + 16.0,
        escape(unit)
    );
    for (at, pair) in pairs.iter().enumerate() {
        let y = TOP + STEP * at as f64 + (STEP - 2.0 * BAR - 2.0) / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            y + BAR + 5.0,
            escape(&pair.name)
        );
        bar(&mut svg, &axis, "kafka", y, &pair.kafka);
        bar(&mut svg, &axis, "klamm", y + BAR + 2.0, &pair.klamm);
    }
    svg += "</svg>\n";
    svg
}

fn legend(svg: &mut String) {
    let systems = [("kafka", System::Kafka, 12.0), ("klamm", System::Klamm, 130.0)];
    for (class, system, x) in systems {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"36\" width=\"12\" height=\"12\"/>\
             <text class=\"small\" x=\"{}\" y=\"46\">{}</text>",
            x + 17.0,
            system.name()
        );
    }
}

fn bar(svg: &mut String, axis: &Axis, class: &str, y: f64, spread: &Spread) {
    let (from, to) = (axis.x(spread.min), axis.x(spread.max));
    let end = axis.x(spread.median);
    let middle = y + BAR / 2.0;
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
         <line class=\"spread\" x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\"/>\
         <text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        (end - LEFT).max(1.0),
        end.max(to) + 6.0,
        middle + 4.0,
        number(spread.median)
    );
}

/// The axis of values.
#[derive(Debug)]
struct Axis {
    scale: Scale,
    least: f64,
    most: f64,
}

impl Axis {
    fn new(scale: Scale, least: f64, most: f64) -> Self {
        match scale {
            Scale::Linear => {
                let most = most.max(1e-9);
                let step = step(most);
                Self {
                    scale,
                    least: 0.0,
                    most: (most / step).ceil() * step,
                }
            }
            Scale::Logarithmic => {
                let power = |value: f64, up: fn(f64) -> f64| 10_f64.powf(up(value.log10()));
                // A bar that begins at the least value would have no length.
                let least = power(least.max(1e-6) * 0.99, f64::floor).min(LOG_LEAST);
                Self {
                    scale,
                    least,
                    most: power(most.max(least * 10.0), f64::ceil),
                }
            }
        }
    }

    fn x(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => value / self.most,
            Scale::Logarithmic => (value.max(self.least) / self.least).log10() / (self.most / self.least).log10(),
        };
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn marks(&self) -> Vec<f64> {
        let (mut mark, mut marks) = (self.least, Vec::new());
        let step = step(self.most);
        while mark <= self.most * 1.001 {
            marks.push(mark);
            match self.scale {
                Scale::Linear => mark += step,
                Scale::Logarithmic => mark *= 10.0,
            }
        }
        marks
    }
}

/// Of 1, 2, 5, 10, 20, … the one by which about five marks fit.
fn step(most: f64) -> f64 {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fitting = factors.into_iter().find(|factor| factor * power >= rough * 0.999);
    fitting.unwrap_or(10.0) * power
}

/// Without zeros that say nothing.
fn short(mark: f64) -> String {
    let text = format!("{mark:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(min: f64, median: f64, max: f64) -> Spread {
        Spread { min, median, max }
    }

    #[test]
    fn bars_stay_inside_and_their_order_is_that_of_the_values() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let axis = Axis::new(scale, 0.3, 440.0);
            let places = [0.3, 1.0, 12.0, 440.0].map(|value| axis.x(value));
            assert!(
                places.is_sorted() && places[0] > LEFT && places[3] <= WIDTH - RIGHT,
                "{places:?}"
            );
            let marks = axis.marks();
            assert!((3..=8).contains(&marks.len()), "{marks:?}");
            assert!(marks.last().is_some_and(|last| *last >= 440.0), "{marks:?}");
        }
        assert_eq!(
            (short(0.1), short(500.0), short(2.5)),
            ("0.1".to_owned(), "500".to_owned(), "2.5".to_owned())
        );
    }

    #[test]
    fn a_picture_has_a_bar_for_each_and_no_markup_of_others() {
        let pairs = [
            Pair {
                name: "1 KiB & <more>".to_owned(),
                kafka: spread(108.0, 114.0, 124.0),
                klamm: spread(300.0, 350.0, 400.0),
            },
            Pair {
                name: "100 B".to_owned(),
                kafka: spread(13.0, 13.0, 13.0),
                klamm: spread(30.0, 35.0, 40.0),
            },
        ];
        let svg = bars("Throughput", "MB/s", Scale::Linear, &pairs);
        assert_eq!(svg.matches("<rect class=\"klamm\"").count(), 1 + pairs.len());
        assert_eq!(svg.matches("class=\"spread\"").count(), 2 * pairs.len());
        assert!(svg.contains("1 KiB &amp; &lt;more&gt;") && svg.contains(">114<") && svg.contains(">350<"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
