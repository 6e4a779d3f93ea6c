//! The one source of randomness that can't be passed in: std's hash maps draw their keys from `getrandom`.
//!
//! The order in which a map is walked decides in which order partitions are checkpointed, followed and ticked, so without
//! this one seed wouldn't give one trace. While a thread simulates, its keys come from the seed; every other thread of the
//! process still asks the kernel. Each run needs a fresh thread: std draws a thread's keys once.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Seeds whatever this thread asks the kernel for from now on.
pub(crate) fn seed_thread(seed: u64) {
    STATE.set(Some(seed));
}

/// Tells how many hash maps this thread has made: a run that made another number of them isn't the same run.
pub(crate) fn fingerprint() -> u64 {
    RandomState::new().hash_one(0)
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Stands in front of the C library's function of this name.
///
/// # Safety
/// As `getrandom(2)`: `buffer` is writable for `length` bytes.
#[expect(
    unsafe_code,
    reason = "the only way to seed std's hash maps; linked into the simulation alone"
)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
    if buffer.is_null() || length == 0 {
        return 0;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    if let Ok(Some(mut state)) = STATE.try_with(Cell::get) {
        for chunk in bytes.chunks_mut(8) {
            let random = next(&mut state).to_le_bytes();
            chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        }
        let _ = STATE.try_with(|cell| cell.set(Some(state)));
        return isize::try_from(length).unwrap_or(isize::MAX);
    }
    // Straight to the kernel: rustix makes the system call itself.
    let flags = rustix::rand::GetRandomFlags::from_bits_retain(flags);
    rustix::rand::getrandom(bytes, flags).map_or(-1, |count| isize::try_from(count).unwrap_or(-1))
}
