//! The next batches of a scan, looked for on another thread while its caller makes use of the one before.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pattern::Pattern;
use crate::search_job::{Batch, Control, Search};
use crate::{sys, thread, Access, Result};

/// Bytes between two looks at whether it is still wanted: whoever ends it waits for that.
const SLICE: usize = 256 << 10;
/// Batches that wait for the caller, beside the one that is being looked for. With one of them each side waits for the other as
/// soon as a batch takes longer than the one before.
const READY: usize = 2;
/// A scan that nobody goes on with keeps neither a thread nor the memory for longer than this.
const PATIENCE: Duration = Duration::from_millis(200);

/// Which batch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where in the text the batch begins.
    pub at: u64,
    /// How many matches there may be.
    pub most: usize,
    /// About how many bytes of them; none are copied without.
    pub most_bytes: Option<usize>,
}

/// Batches one after the other, some of them found before anybody asks.
#[derive(Debug)]
pub struct ReadAhead {
    /// The one that is handed over next.
    part: Part,
    start: u64,
    end: u64,
    pattern: Arc<Pattern>,
    control: Arc<Control>,
    batches: Arc<Batches>,
    thread: Option<JoinHandle<()>>,
}

/// Batches on their way from the thread to the caller.
#[derive(Debug, Default)]
struct Batches {
    state: Mutex<Ready>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ready {
    found: VecDeque<Result<Batch>>,
    /// No more will come, or nobody wants any.
    over: bool,
}

impl Batches {
    fn state(&self) -> MutexGuard<'_, Ready> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next one; none where there will be no more.
    fn take(&self) -> Option<Result<Batch>> {
        let waits = |state: &mut Ready| state.found.is_empty() && !state.over;
        let mut state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_one();
        state.found.pop_front()
    }

    /// Waits for room; false where nobody wants it, or nobody has come for it for long.
    fn hand_over(&self, outcome: Result<Batch>) -> bool {
        let waits = |state: &mut Ready| state.found.len() >= READY && !state.over;
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, waits);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() || state.over {
            return false;
        }
        state.found.push_back(outcome);
        self.changed.notify_one();
        true
    }

    fn end(&self) {
        self.state().over = true;
        self.changed.notify_one();
    }
}

/// Whoever waits for the thread hears of its end, be it by a panic.
struct Ending(Arc<Batches>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl ReadAhead {
    /// Whether it is of use for such a search: where the text cannot be cut into slices nobody knows when it would end, and
    /// what this process may store in the text meanwhile must be seen, or not, by the rules of who stores it.
    pub fn suits(search: &Search) -> bool {
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = CORES.get_or_init(sys::cores);
        let read_only = search.mapping.access() == Access::Read;
        *cores > 1 && read_only && search.pattern.can_be_sliced() && search.pattern.can_be_handed_on()
    }

    /// Begins; none where there is no thread to be had.
    pub fn begin(search: Search, part: Part) -> Option<Self> {
        let control: Arc<Control> = Arc::default();
        let (pattern, start, end) = (Arc::clone(&search.pattern), search.start, search.end);
        let ahead = Search { control: Arc::clone(&control), slice: SLICE, brief: true, ..search };
        let batches: Arc<Batches> = Arc::default();
        let theirs = Ending(Arc::clone(&batches));
        let work = Box::new(move || look_ahead(&ahead, part, &theirs.0));
        let thread = Some(thread::spawn("memmap", thread::STACK, work).ok()?);
        Some(Self { part, start, end, pattern, control, batches, thread })
    }

    /// Whether its next batch is what somebody wants now. The region is the caller's to know.
    pub fn is(&self, search: &Search, part: Part) -> bool {
        self.part == part
            && (self.start, self.end) == (search.start, search.end)
            && Arc::ptr_eq(&self.pattern, &search.pattern)
    }

    /// The next batch. This takes no longer than to look for it here. None where it has ended: after a batch that was the last, an
    /// error, or because nobody came for so long.
    pub fn next_batch(&mut self) -> Option<Result<Batch>> {
        match self.batches.take() {
            Some(batch) => {
                if let Ok(batch) = &batch {
                    self.part.at = batch.next;
                }
                Some(batch)
            }
            None => match self.thread.take().map(JoinHandle::join) {
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                _ => None,
            },
        }
    }

    fn cancel(&mut self) {
        self.control.cancel();
        self.batches.end();
    }

    /// Ends it, and waits until it holds the memory no more.
    pub fn stop(mut self) {
        self.cancel();
        if let Some(thread) = self.thread.take() {
            // What came of it nobody wants to know.
            let _ = thread.join();
        }
    }
}

impl Drop for ReadAhead {
    /// Nobody wants it: it ends at its next slice.
    fn drop(&mut self) {
        self.cancel();
    }
}

/// What the thread does.
fn look_ahead(search: &Search, mut part: Part, batches: &Batches) {
    let mut room = (0, 0);
    loop {
        let outcome = search.batch_with_room(part.at, part.most, part.most_bytes, room);
        let next = match &outcome {
            // A match may be far longer than what there should be of them.
            Ok(batch) if batch.full => {
                Some((batch.next, (batch.spans.len(), batch.bytes.len().min(part.most_bytes.unwrap_or(0)))))
            }
            _ => None,
        };
        if !batches.hand_over(outcome) {
            return;
        }
        match next {
            Some((at, found)) => (part.at, room) = (at, found),
            None => return,
        }
    }
}
