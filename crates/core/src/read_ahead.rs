//! The next batches of a scan, looked for on another thread while its caller makes use of the one before.

use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread::{park_timeout, JoinHandle};
use std::time::{Duration, Instant};

use crate::pattern::Pattern;
use crate::search_job::{Batch, Control, Search};
use crate::{Access, Result};

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
    batches: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Whether it is of use for such a search: where the text cannot be cut into slices nobody knows when it would end, and
    /// what this process may store in the text meanwhile must be seen, or not, by the rules of who stores it.
    pub fn suits(search: &Search) -> bool {
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
        let read_only = search.mapping.access() == Access::Read;
        *cores > 1 && read_only && search.pattern.can_be_sliced() && search.pattern.can_be_handed_on()
    }

    /// Begins; none where there is no thread to be had.
    pub fn begin(search: Search, part: Part) -> Option<Self> {
        let control: Arc<Control> = Arc::default();
        let (pattern, start, end) = (Arc::clone(&search.pattern), search.start, search.end);
        let ahead = Search { control: Arc::clone(&control), slice: SLICE, brief: true, ..search };
        let (sender, batches) = sync_channel(READY);
        let work = move || look_ahead(&ahead, part, &sender);
        let spawned = std::thread::Builder::new().name("memmap".into()).stack_size(512 * 1024).spawn(work);
        let thread = Some(spawned.ok()?);
        Some(Self { part, start, end, pattern, control, batches: Some(batches), thread })
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
        let batch = self.batches.as_ref()?.recv().ok();
        self.wake();
        match batch {
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

    /// It may wait for room.
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn cancel(&mut self) {
        self.control.cancel();
        self.batches = None;
        self.wake();
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
fn look_ahead(search: &Search, mut part: Part, batches: &SyncSender<Result<Batch>>) {
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
        if !hand_over(batches, outcome) {
            return;
        }
        match next {
            Some((at, found)) => (part.at, room) = (at, found),
            None => return,
        }
    }
}

/// Waits for room; false where nobody wants it, or nobody has come for it for long.
fn hand_over(batches: &SyncSender<Result<Batch>>, mut outcome: Result<Batch>) -> bool {
    let begun = Instant::now();
    loop {
        outcome = match batches.try_send(outcome) {
            Ok(()) => return true,
            Err(TrySendError::Disconnected(_)) => return false,
            Err(TrySendError::Full(outcome)) => outcome,
        };
        let waited = begun.elapsed();
        if waited >= PATIENCE {
            return false;
        }
        park_timeout(PATIENCE - waited);
    }
}
