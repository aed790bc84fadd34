//! The batches that are read ahead: in each isolate for one scan, which took the last batch.

use std::cell::RefCell;

use memmap_core::read_ahead::{Part, ReadAhead};
use memmap_core::search_job::{Batch, Search};
use memmap_core::Result;

/// Shorter batches are begun sooner than a thread is.
const WORTH_A_THREAD: usize = 4096;

#[derive(Default)]
struct State {
    /// Where the scan goes on that took the last batch, and in which region.
    last: Option<(u64, Part)>,
    ahead: Option<(u64, ReadAhead)>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The matches of a part, which may have been read ahead.
pub fn batch(region: f64, part: Part, search: Search) -> Result<Batch> {
    let region = region.to_bits();
    let (ahead, follows) =
        STATE.with_borrow_mut(|state| (state.ahead.take(), state.last.take() == Some((region, part))));
    // One of another scan ends by itself.
    let mut ahead = ahead.filter(|(of, ahead)| *of == region && ahead.is(&search, part)).map(|(_, ahead)| ahead);
    let batch = match ahead.as_mut().and_then(|ahead| ahead.next_batch(&search)) {
        Some(batch) => {
            let batch = batch?;
            search.mapping.check()?;
            batch
        }
        None => {
            ahead = None;
            search.batch(part.at, part.most, part.most_bytes)?
        }
    };
    if part.most >= WORTH_A_THREAD && (batch.full || ahead.is_some()) && ReadAhead::suits(&search) {
        let next = Part { at: batch.next, ..part };
        // Who goes back and forth between two scans would throw away what is read ahead each time.
        if ahead.is_none() && follows {
            ahead = ReadAhead::begin(&search, next);
        }
        STATE.with_borrow_mut(|state| {
            state.last = Some((region, next));
            state.ahead = ahead.map(|ahead| (region, ahead));
        });
    }
    Ok(batch)
}

/// The memory of a region is about to go: nothing may be under way there, since some systems cannot shorten a file, nor
/// remove it, that anything has mapped.
pub fn stop(region: f64) {
    // A thread that is ending has none any more.
    let ahead = STATE.try_with(|state| state.borrow_mut().ahead.take_if(|(of, _)| *of == region.to_bits()));
    if let Ok(Some((_, ahead))) = ahead {
        ahead.stop();
    }
}
