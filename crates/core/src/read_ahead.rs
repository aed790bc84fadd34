//! The next batch of a scan, looked for on another thread while its caller makes use of the one before.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use crate::pattern::Pattern;
use crate::search_job::{Batch, Control, Search};
use crate::{Access, Error, Result};

/// Bytes between two looks at whether it is still wanted: whoever ends it waits for that.
const SLICE: usize = 256 << 10;

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

/// A batch that is being looked for, or was found.
#[derive(Debug)]
pub struct ReadAhead {
    part: Part,
    start: u64,
    end: u64,
    pattern: Arc<Pattern>,
    control: Arc<Control>,
    thread: Option<JoinHandle<Result<Batch>>>,
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
        let work = move || ahead.batch(part.at, part.most, part.most_bytes);
        let spawned = std::thread::Builder::new().name("memmap".into()).stack_size(512 * 1024).spawn(work);
        let thread = Some(spawned.ok()?);
        Some(Self { part, start, end, pattern, control, thread })
    }

    /// Whether it is what somebody wants now. The region is the caller's to know.
    pub fn is(&self, search: &Search, part: Part) -> bool {
        self.part == part
            && (self.start, self.end) == (search.start, search.end)
            && Arc::ptr_eq(&self.pattern, &search.pattern)
    }

    /// What came of it. This takes no longer than to look for it here.
    pub fn finish(mut self) -> Result<Batch> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(Error::Closed),
        }
    }

    /// Ends it, and waits until it holds the memory no more.
    pub fn stop(mut self) {
        self.control.cancel();
        if let Some(thread) = self.thread.take() {
            // What came of it nobody wants to know.
            let _ = thread.join();
        }
    }
}

impl Drop for ReadAhead {
    /// Nobody wants it: it ends at its next slice.
    fn drop(&mut self) {
        self.control.cancel();
    }
}
