//! Which partition took no write, and when.

use std::fmt::Write as _;

use history::{Gap, Phase};

use super::frame::{Frame, LEFT, TOP};

/// A partition's row.
const ROW: f64 = 11.0;
/// Rows get no smaller than that, however many partitions there are.
const ROW_LEAST: f64 = 2.0;
/// Above that many partitions rows are lower.
const ROWS_FULL: f64 = 40.0;

/// Draws a row for each partition and a bar for each gap.
pub(super) fn gaps(partitions: usize, gaps: &[Gap], faults: &[Phase], end_us: u64) -> String {
    let count = partitions.max(1) as f64;
    let row = if count <= ROWS_FULL {
        ROW
    } else {
        (ROW * ROWS_FULL / count).max(ROW_LEAST)
    };
    let frame = Frame::new(end_us, row * count);
    let title = "Unavailability";
    let mut svg = frame.open(title, faults);
    let every = (count / ROWS_FULL).ceil().max(1.0) as usize;
    for partition in (0..partitions).step_by(every) {
        let y = TOP + row * partition as f64 + row * 0.5 + 3.5;
        let _ = writeln!(
            svg,
            "<text class=\"end\" x=\"{:.1}\" y=\"{y:.1}\">{partition}</text>",
            LEFT - 6.0
        );
    }
    for gap in gaps {
        let (from, to) = (frame.x(gap.from_us), frame.x(gap.to_us));
        let _ = writeln!(
            svg,
            "<rect class=\"gap\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
             <title>partition {}: {:.0} ms from {:.1} s on</title></rect>",
            TOP + row * f64::from(gap.partition) + row * 0.1,
            (to - from).max(1.0),
            row * 0.8,
            gap.partition,
            gap.us() as f64 / 1e3,
            gap.from_us as f64 / 1e6
        );
    }
    frame.close(&mut svg);
    format!(
        "<h2>{title}</h2>\n<p class=\"legend\">partitions that acknowledged nothing for 200 ms and more while a record \
         waited</p>\n{svg}"
    )
}
