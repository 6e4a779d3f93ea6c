//! The axis of time and the faults, as every picture has them.

use std::fmt::Write as _;

use history::Phase;

/// A picture's width.
pub(super) const WIDTH: f64 = 1000.0;
/// Room for the numbers at the left.
pub(super) const LEFT: f64 = 64.0;
/// Room at the right.
const RIGHT: f64 = 12.0;
/// Room for the fault's numbers at the top.
pub(super) const TOP: f64 = 18.0;
/// Room for the times at the bottom.
pub(super) const BOTTOM: f64 = 22.0;
/// Marks on the axis of time, about.
const MARKS: f64 = 10.0;
/// Faults closer together than this share a number's place.
const NUMBER_WIDTH: f64 = 14.0;

/// The axis of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    end_us: u64,
    height: f64,
}

impl Frame {
    /// For a picture whose inner part is so high.
    pub(super) fn new(end_us: u64, height: f64) -> Self {
        Self {
            end_us: end_us.max(1),
            height,
        }
    }

    /// Where a time is.
    pub(super) fn x(&self, us: u64) -> f64 {
        let part = us.min(self.end_us) as f64 / self.end_us as f64;
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    /// The lower edge of the inner part.
    pub(super) fn base(&self) -> f64 {
        TOP + self.height
    }

    /// Begins the picture, with the faults as bands behind everything.
    pub(super) fn open(&self, title: &str, faults: &[Phase]) -> String {
        let height = self.base() + BOTTOM;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(title)
        );
        let mut last_number = f64::MIN;
        for phase in faults {
            self.band(&mut svg, phase, &mut last_number);
        }
        svg
    }

    /// Ends it, with the times.
    pub(super) fn close(&self, svg: &mut String) {
        let base = self.base();
        let seconds = self.end_us as f64 / 1e6;
        let step = round_step(seconds / MARKS);
        let mut mark = 0.0;
        while mark <= seconds {
            let x = self.x((mark * 1e6) as u64);
            let _ = writeln!(
                svg,
                "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{base:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\
                 <text class=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{} s</text>",
                base + 4.0,
                base + 17.0,
                number(mark)
            );
            mark += step;
        }
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{base:.1}\" x2=\"{:.1}\" y2=\"{base:.1}\"/>\n</svg>",
            WIDTH - RIGHT
        );
    }

    fn band(&self, svg: &mut String, phase: &Phase, last_number: &mut f64) {
        let ended = phase.ended_us.unwrap_or(self.end_us);
        let whole = phase.whole_us.unwrap_or(ended).max(ended);
        let (from, to, until) = (self.x(phase.began_us), self.x(ended), self.x(whole));
        let title = escape(&format!("fault {}: {}", phase.fault, phase.name));
        // A short fault must be seen, too.
        let (width, rest) = ((to - from).max(1.5), (until - to).max(0.0));
        let _ = writeln!(
            svg,
            "<rect class=\"fault\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{h:.1}\">\
             <title>{title}</title></rect>\
             <rect class=\"healing\" x=\"{to:.1}\" y=\"{TOP}\" width=\"{rest:.1}\" height=\"{h:.1}\"/>",
            h = self.height
        );
        if from - *last_number >= NUMBER_WIDTH {
            *last_number = from;
            let _ = writeln!(
                svg,
                "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}<title>{title}</title></text>",
                from + width / 2.0,
                TOP - 5.0,
                phase.fault
            );
        }
    }
}

/// The next of 1, 2, 5, 10, 20, … that isn't smaller.
pub(super) fn round_step(least: f64) -> f64 {
    let mut step = 1.0;
    for factor in [2.0, 2.5, 2.0].iter().cycle().take(60) {
        if step >= least {
            break;
        }
        step *= factor;
    }
    step
}

/// Without a fraction where there is none.
pub(super) fn number(value: f64) -> String {
    if value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// Text that is no markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_markup_is_text() {
        let steps: Vec<f64> = [0.3, 1.1, 2.1, 7.0, 12.0, 36.0, 99.0].map(round_step).to_vec();
        assert_eq!(steps, [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(number(2.0), "2");
        assert_eq!(number(2.5), "2.5");
    }
}
