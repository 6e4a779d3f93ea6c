//! `report.html`: one file without scripts that shows what happened when: throughput, latency, faults, unavailability.
//!
//! * `page`: the text around the pictures. `chart`: curves over time. `gaps`: which partition took no write when.
//! * `frame`: what the pictures share: the axis of time, and the faults as bands.

mod chart;
mod frame;
mod gaps;
mod page;

pub(super) use page::{REPORT_FILE, write_report};
