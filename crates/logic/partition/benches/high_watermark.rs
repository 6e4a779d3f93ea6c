//! What a step of the high watermark costs, by the requests that wait: only those released are touched. `cargo bench -p partition`.
#![allow(missing_docs)]

use divan::Bencher;
use partition::OffsetWaiters;
use types::Offset;

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 1_000, 10_000, 100_000])]
fn release_one_of_many(bencher: Bencher<'_, '_>, waiting: i64) {
    let mut waiters = OffsetWaiters::default();
    for end in 1..=waiting {
        waiters.insert(Offset(end), (), |()| false);
    }
    let mut end = waiting;
    bencher.bench_local(|| {
        end += 1;
        waiters.insert(Offset(end), (), |()| false);
        waiters.take_reached(Offset(end - waiting))
    });
}
