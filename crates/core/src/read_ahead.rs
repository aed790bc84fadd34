//! The next batches of a scan, looked for on another thread while its caller makes use of the one before. A caller who would have
//! to wait looks for one itself.
//!
//! The text is cut into spans, which thread and caller take in turn. Each is searched from its first byte on, in the hope that no
//! match of the span before reaches into it: where one does, what was found there is thrown away, and found again.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pattern::Pattern;
use crate::search_job::{Batch, Control, Search};
use crate::{sys, thread, Access, Result};

/// Bytes between two looks at whether it is still wanted: whoever ends it waits for that.
const SLICE: usize = 256 << 10;
/// A span is so long that its matches make a batch, but not longer, so that who waits for one does not wait long.
const SPANS: std::ops::RangeInclusive<usize> = 1 << 10..=16 * SLICE;
/// Spans that were taken, and that the caller has not come to. With fewer each side waits for the other as soon as a batch takes
/// longer than the one before.
const AHEAD: usize = 4;
/// A span begins behind a line end, into which few matches reach, if there is one so near.
const LINE: usize = 4 << 10;
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
    spans: Arc<Spans>,
    thread: Option<JoinHandle<()>>,
}

/// What thread and caller share.
#[derive(Debug)]
struct Spans {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Those that were taken, in their order.
    taken: VecDeque<Span>,
    /// Where the next one begins, and how long it is.
    next: usize,
    length: usize,
    /// Numbers and bytes of a batch.
    room: (usize, usize),
    /// Batches that were of use and such that were not.
    right: usize,
    wrong: usize,
    /// No more will be taken.
    over: bool,
    /// There is no thread any more.
    ended: bool,
}

#[derive(Debug)]
struct Span {
    from: usize,
    /// Behind the end of the text for the last one.
    to: usize,
    /// None while it is searched.
    outcome: Option<Result<Batch>>,
}

impl State {
    /// Whether the matches often reach from one span into the next. Then a span is taken only when the one before is done.
    fn in_order(&self) -> bool {
        self.wrong * 64 > self.right + 128
    }

    /// Whether one more may be taken.
    fn has_room(&self) -> bool {
        let is_next_known = || !self.in_order() || self.taken.back().is_none_or(|last| last.outcome.is_some());
        !self.over && self.taken.len() < AHEAD && is_next_known()
    }

    /// Takes a span. None, and it is over, where the text is, or cannot be read.
    fn take(&mut self, search: &Search) -> Option<(usize, usize)> {
        let span = self.next_span(search);
        match span {
            Some((from, to)) => {
                self.next = to;
                self.taken.push_back(Span { from, to, outcome: None });
            }
            None => self.over = true,
        }
        span
    }

    fn next_span(&self, search: &Search) -> Option<(usize, usize)> {
        let text = search.text().ok().filter(|text| self.next <= text.len())?;
        let from = self.next;
        let mut to = from.saturating_add(self.length);
        if to < text.len() {
            let near = &text[to..text.len().min(to + LINE)];
            let newline = search.mapping.touch(|| memchr::memchr(b'\n', near)).ok()?;
            to += newline.map_or(0, |newline| newline + 1);
        }
        Some((from, if to < text.len() { to } else { usize::MAX }))
    }
}

impl Spans {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the matches of a span that was taken.
    fn find(&self, search: &Search, (from, to): (usize, usize), part: &Part) {
        let room = self.state().room;
        let outcome = search.batch_until(from as u64, Some(to), (part.most, part.most_bytes), room);
        let mut state = self.state();
        if let Ok(batch) = &outcome {
            let looked = (batch.next.min(search.end - search.start) as usize).saturating_sub(from);
            let matches = batch.spans.len() / (1 + 2 * search.pattern.group_count());
            // Somewhat less, so that a span is mostly one batch.
            let fitting = ((looked as u64).saturating_mul(part.most as u64) / 8 * 7).checked_div(matches as u64);
            let longest = state.length.saturating_mul(2).min(*SPANS.end());
            state.length = fitting.map_or(longest, |fitting| (fitting as usize).clamp(*SPANS.start(), longest));
            if batch.full {
                state.length = state.length.min(looked.max(*SPANS.start()));
            }
            // A match may be far longer than what there should be of them.
            state.room =
                (batch.spans.len() + batch.spans.len() / 8, batch.bytes.len().min(part.most_bytes.unwrap_or(0)));
            let is_last = state.taken.back().is_some_and(|last| last.from == from);
            if is_last {
                // Nobody has gone on behind it: there is no need to do so anywhere else than where it ended.
                state.next = batch.next as usize;
            }
            // Where it did not end there, nobody knows how long it would take.
            state.over |= !batch.full && batch.next < to as u64 && batch.next <= search.end - search.start;
        } else {
            state.over = true;
        }
        if let Some(span) = state.taken.iter_mut().find(|span| span.from == from) {
            span.outcome = Some(outcome);
        }
        self.changed.notify_one();
    }

    fn end(&self) {
        self.state().over = true;
        self.changed.notify_one();
    }
}

/// Whoever waits for the thread hears of its end, be it by a panic.
struct Ending(Arc<Spans>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.end();
    }
}

/// What the caller does next.
enum Step {
    Over,
    /// It was found as it should be.
    Found(Result<Batch>),
    /// It finds what there is up to here.
    Rest(usize),
    /// It finds the matches of a span behind that of the thread.
    Help((usize, usize)),
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
    pub fn begin(search: &Search, part: Part) -> Option<Self> {
        let control: Arc<Control> = Arc::default();
        let state = State {
            taken: VecDeque::new(),
            next: part.at as usize,
            length: SLICE,
            room: (0, 0),
            right: 0,
            wrong: 0,
            over: false,
            ended: false,
        };
        let spans = Arc::new(Spans { state: Mutex::new(state), changed: Condvar::new() });
        // With scratch memory of its own: it and the caller search at the same time.
        let ahead = searched(search, &control, Arc::new(search.pattern.for_another_thread()));
        let theirs = Ending(Arc::clone(&spans));
        let work = Box::new(move || look_ahead(&ahead, part, &theirs.0));
        let thread = Some(thread::spawn("memmap", thread::STACK, work).ok()?);
        let pattern = Arc::clone(&search.pattern);
        Some(Self { part, start: search.start, end: search.end, pattern, control, spans, thread })
    }

    /// Whether its next batch is what somebody wants now. The region is the caller's to know.
    pub fn is(&self, search: &Search, part: Part) -> bool {
        self.part == part
            && (self.start, self.end) == (search.start, search.end)
            && Arc::ptr_eq(&self.pattern, &search.pattern)
    }

    /// The next batch of the search it was begun for. This takes little longer than to look for it here. None where it has ended:
    /// after a batch that was the last, an error, or because nobody came for so long.
    pub fn next_batch(&mut self, search: &Search) -> Option<Result<Batch>> {
        let search = searched(search, &self.control, Arc::clone(&self.pattern));
        let outcome = loop {
            match self.next_step(&search) {
                Step::Over => match self.thread.take().map(JoinHandle::join) {
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    _ => return None,
                },
                Step::Found(outcome) => break outcome,
                Step::Rest(until) => {
                    let Part { at, most, most_bytes } = self.part;
                    break search.batch_until(at, Some(until), (most, most_bytes), (0, 0));
                }
                Step::Help(span) => self.spans.find(&search, span, &self.part),
            }
        };
        if let Ok(batch) = &outcome {
            if batch.next <= self.part.at {
                return None;
            }
            self.part.at = batch.next;
        }
        Some(outcome)
    }

    /// Waits where there is nothing else to do.
    fn next_step(&self, search: &Search) -> Step {
        let at = self.part.at as usize;
        let mut state = self.spans.state();
        loop {
            match state.taken.front() {
                // There were too many matches for one batch, or one reached into a span.
                Some(first) if at < first.from => return Step::Rest(first.from),
                Some(first) if first.outcome.is_some() => {
                    let first = state.taken.pop_front();
                    self.spans.changed.notify_one();
                    let Some(Span { from, to, outcome: Some(outcome) }) = first else { continue };
                    if from == at {
                        state.right += 1;
                        return Step::Found(outcome);
                    }
                    state.wrong += 1;
                    if state.in_order() {
                        // What begins where this one ended is as wrong.
                        state.taken.clear();
                        state.next = at;
                        continue;
                    }
                    if at < to {
                        return Step::Rest(to);
                    }
                    state.next = state.next.max(at);
                }
                None if state.over => return Step::Over,
                // The thread has come to a bad end in it.
                Some(_) if state.ended => state.taken.clear(),
                _ if state.has_room() => {
                    if let Some(span) = state.take(search) {
                        return Step::Help(span);
                    }
                }
                _ => state = self.spans.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn cancel(&mut self) {
        self.control.cancel();
        self.spans.end();
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

/// The same search, in slices so short that it ends soon.
fn searched(search: &Search, control: &Arc<Control>, pattern: Arc<Pattern>) -> Search {
    let (mapping, control) = (Arc::clone(&search.mapping), Arc::clone(control));
    Search { mapping, pattern, control, slice: SLICE, ..*search }
}

/// What the thread does.
fn look_ahead(search: &Search, part: Part, spans: &Spans) {
    loop {
        let waits = |state: &mut State| !state.over && !state.has_room();
        let waited = spans.changed.wait_timeout_while(spans.state(), PATIENCE, waits);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() || state.over {
            return;
        }
        let Some(span) = state.take(search) else { return };
        drop(state);
        spans.find(search, span, &part);
    }
}
