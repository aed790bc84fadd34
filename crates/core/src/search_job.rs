//! Searches that take their time: slice by slice, over several threads, with an eye on whether anybody still wants them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::advice::Advice;
use crate::pattern::{Found, Pattern, Scratch};
use crate::{sys, Error, Mapping, Result};

/// Bytes between two looks at whether a search is still wanted, and what a thread takes at a time.
pub const SLICE: usize = 4 << 20;
/// Where a text cannot be cut into slices, what is left of it is searched at once if it is no more slices than this.
const STEP_BEYOND: usize = 16;
/// So many slices behind its beginning a batch with matches in it ends: whoever waits for them would wait for the whole file.
const BATCH_SLICES: usize = 16;
/// So many slices at most: the place where each ended is kept.
const MOST_SLICES: usize = 1 << 20;
/// For who wants all matches, or none but the first.
const NEVER: (usize, bool) = (usize::MAX, false);
/// What others may know and say of a search that is under way.
#[derive(Debug, Default)]
pub struct Control {
    cancelled: AtomicBool,
    done: AtomicU64,
}

impl Control {
    /// Ends the search at its next slice.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether nobody wants the rest.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Bytes that were looked at.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// A part of a region was looked at. An error where nobody wants the rest, or the part was not all there.
    pub fn step(&self, mapping: &Mapping, from: u64, bytes: u64) -> Result<()> {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        if self.is_cancelled() {
            // Whoever cancelled it does not listen any more.
            return Err(Error::closed());
        }
        mapping.check_range(from, bytes)
    }
}

/// A pattern, and the part of a region that is the text it is looked for in.
#[derive(Debug)]
pub struct Search {
    /// Where.
    pub mapping: Arc<Mapping>,
    /// First byte of the text.
    pub start: u64,
    /// The byte behind its last one.
    pub end: u64,
    /// What for.
    pub pattern: Arc<Pattern>,
    /// Who else has a say.
    pub control: Arc<Control>,
    /// Bytes of a slice: [`SLICE`], and less in tests.
    pub slice: usize,
    /// Whether it must be possible to end it: not on the thread of who would.
    pub stoppable: bool,
}

/// Matches in a row.
#[derive(Debug, Default)]
pub struct Batch {
    /// For each: which needle, then first byte and end of the match and of each group, -1 for one that has no part in it.
    pub spans: Vec<f64>,
    /// The bytes of the matches, one behind the other.
    pub bytes: Vec<u8>,
    /// Where the search goes on, from the start of the text; behind its end when it is over.
    pub next: u64,
    /// Whether it ended because there was no more room in it.
    pub full: bool,
}

impl Search {
    pub(crate) fn text(&self) -> Result<&[u8]> {
        let len = usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.mapping.bytes(self.start, len)
    }

    /// How many matches of each needle there are, that do not overlap.
    pub fn count(&self, threads: usize) -> Result<Vec<u64>> {
        let text = self.text()?;
        if let Some(totals) = self.count_in_slices(text, threads)? {
            return Ok(totals);
        }
        let mut totals = vec![0; self.pattern.needle_count()];
        self.walk_on(text, 0, NEVER, |found| {
            totals[found.needle] += 1;
            true
        })?;
        Ok(totals)
    }

    /// None where the text cannot be cut into slices.
    fn count_in_slices(&self, text: &[u8], threads: usize) -> Result<Option<Vec<u64>>> {
        if !self.pattern.can_be_sliced() {
            return Ok(None);
        }
        let slices = Slices::of(text.len(), threads, self.slice, &self.pattern);
        let ends: Vec<AtomicUsize> = (0..slices.count).map(|_| AtomicUsize::new(0)).collect();
        let totals = Mutex::new(vec![0_u64; self.pattern.needle_count()]);
        let whole = slices.run(&|pattern, take| {
            let mut counts = vec![0_u64; pattern.needle_count()];
            while let Some(slice) = take() {
                let (from, to) = slices.bounds(slice);
                self.ahead(to, slices.size);
                let end = self.mapping.touch(|| match pattern.count_bytes(&text[from..to]) {
                    Some(count) => {
                        counts[0] += count;
                        Some(to)
                    }
                    None => pattern.walk(text, from, to, text.len(), |found| {
                        counts[found.needle] += 1;
                        true
                    }),
                })?;
                let Some(end) = end else { return Ok(false) };
                ends[slice].store(end, Ordering::Relaxed);
                self.control.step(&self.mapping, self.start + from as u64, (to - from) as u64)?;
            }
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.iter_mut().zip(&counts).for_each(|(total, count)| *total += count);
            Ok(true)
        })?;
        if !whole {
            return Ok(None);
        }
        let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut at = 0;
        for (slice, end) in ends.iter().enumerate() {
            let end = end.load(Ordering::Relaxed);
            at = self.mapping.touch(|| stitch(&self.pattern, text, slices.bounds(slice), (at, end), &mut totals))?;
            // Mostly there is nothing to do; but it may be as much as before.
            self.control.step(&self.mapping, 0, 0)?;
        }
        Ok(Some(totals))
    }

    /// The first match.
    pub fn first(&self, threads: usize) -> Result<Option<Found>> {
        let text = self.text()?;
        if self.pattern.can_be_sliced() {
            let slices = Slices::of(text.len(), threads, self.slice, &self.pattern);
            let best = AtomicUsize::new(usize::MAX);
            let found: Mutex<Option<Found>> = Mutex::new(None);
            let whole = slices.run(&|pattern, take| {
                while let Some(slice) = take().filter(|&slice| slice < best.load(Ordering::Acquire)) {
                    let (from, to) = slices.bounds(slice);
                    self.ahead(to, slices.size);
                    let mut first = None;
                    let walked = self.mapping.touch(|| {
                        pattern.walk(text, from, to, text.len(), |match_| {
                            first = Some(match_);
                            false
                        })
                    })?;
                    if walked.is_none() {
                        return Ok(false);
                    }
                    self.control.step(&self.mapping, self.start + from as u64, (to - from) as u64)?;
                    if let Some(first) = first {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        if best.fetch_min(slice, Ordering::AcqRel) > slice {
                            *found = Some(first);
                        }
                        return Ok(true);
                    }
                }
                Ok(true)
            })?;
            if whole {
                return Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner));
            }
        }
        let mut first = None;
        self.walk_on(text, 0, NEVER, |found| {
            first = Some(found);
            false
        })?;
        Ok(first)
    }

    /// Visits the matches from `at` on, of a text that cannot be cut into slices. Where the search goes on. Once it has visited
    /// one, and nothing more was found up to `far`, it may end; `visited`: that was so before.
    fn walk_on(
        &self,
        text: &[u8],
        mut at: usize,
        (far, mut visited): (usize, bool),
        mut visit: impl FnMut(Found) -> bool,
    ) -> Result<usize> {
        let (mut looked, mut scratch) = (at, Scratch::default());
        self.ahead(at, self.slice);
        while at <= text.len() {
            // Where much is left, what cannot be stopped could go on for hours.
            let mut window_end = text.len();
            if self.stoppable && text.len() - at > STEP_BEYOND * self.slice {
                let (mut from, mut enough, control) = (looked, false, &self.control);
                let end = self.mapping.touch(|| {
                    self.pattern.find_end(text, at, text.len(), self.slice, &mut scratch, |to| {
                        let bytes = to.saturating_sub(from) as u64;
                        control.step(&self.mapping, self.start + from as u64, bytes)?;
                        self.ahead(to, self.slice);
                        from = from.max(to);
                        enough = visited && to >= far;
                        // Ends it.
                        if enough {
                            Err(Error::closed())
                        } else {
                            Ok(())
                        }
                    })
                })?;
                if enough {
                    return Ok(at);
                }
                let end = end?;
                looked = from;
                match end {
                    Some(end) => window_end = end,
                    None => break,
                }
            }
            let Some(found) = self.mapping.touch(|| self.pattern.find(text, at, window_end))? else {
                if window_end == text.len() || self.pattern.is_sticky() {
                    break;
                }
                // What ended there was an empty match inside of a character, which is none.
                at = window_end + 1;
                continue;
            };
            at = self.pattern.behind(text, found);
            if at.saturating_sub(looked) >= self.slice {
                let to = at.min(text.len());
                self.control.step(&self.mapping, self.start + looked as u64, (to - looked) as u64)?;
                looked = to;
            }
            visited = true;
            // What it looks at is the text, too.
            if !self.mapping.touch(|| visit(found))? {
                self.mapping.check_range(self.start + looked as u64, found.end.saturating_sub(looked) as u64)?;
                return Ok(at);
            }
        }
        let rest = text.len().saturating_sub(looked) as u64;
        self.control.step(&self.mapping, self.start + looked as u64, rest)?;
        Ok(text.len() + 1)
    }

    /// Matches from `at` on, which is counted from the start of the text: so many at most, and about so many bytes of them.
    pub fn batch(&self, at: u64, most: usize, most_bytes: Option<usize>) -> Result<Batch> {
        self.batch_until(at, None, (most, most_bytes), (most.min(64) * 3, 0))
    }

    /// As [`Search::batch`], but of matches that begin before `until`, where it ends, even without one; also without one it ends
    /// where nobody knows how long it would take. With room for so many numbers and bytes from the beginning: growing costs as
    /// much as finding.
    pub(crate) fn batch_until(
        &self,
        at: u64,
        until: Option<usize>,
        (most, most_bytes): (usize, Option<usize>),
        (spans, bytes): (usize, usize),
    ) -> Result<Batch> {
        let text = self.text()?;
        let mut batch =
            Batch { spans: Vec::with_capacity(spans), bytes: Vec::with_capacity(bytes), ..Batch::default() };
        let mut scratch = Scratch::default();
        let mut at = usize::try_from(at).unwrap_or(usize::MAX);
        let far = until.unwrap_or(at.saturating_add(BATCH_SLICES * self.slice));
        let mut ahead = usize::MAX;
        let simple = self.pattern.group_count() == 1;
        let (mut left, mut no_room) = (most, false);
        while at <= text.len() && left > 0 && (at < far || (batch.spans.is_empty() && until.is_none())) {
            let to = at.saturating_add(self.slice).min(text.len()).min(until.unwrap_or(usize::MAX));
            // Not for each batch: where there are many matches, that would take longer than finding them.
            if at == 0 || at >= ahead {
                self.ahead(to, self.slice);
            }
            ahead = at.saturating_add(1);
            let (from, visited) = (at, !batch.spans.is_empty());
            let mut visit = |found: Found| {
                if simple {
                    // Of signed numbers the processor makes floating ones at once.
                    let place = |position: usize| (self.start as i64 + position as i64) as f64;
                    batch.spans.push(found.needle as i64 as f64);
                    batch.spans.push(place(found.start));
                    batch.spans.push(place(found.end));
                } else {
                    batch.spans.push(found.needle as f64);
                    self.pattern.groups(text, found, &mut scratch, |start, end| {
                        let place = |position: f64| if position < 0.0 { -1.0 } else { position + self.start as f64 };
                        batch.spans.extend([place(start), place(end)]);
                    });
                }
                left -= 1;
                if let Some(most_bytes) = most_bytes {
                    // A match may be longer than there is memory.
                    no_room = batch.bytes.try_reserve(found.end - found.start).is_err();
                    if !no_room {
                        batch.bytes.extend_from_slice(&text[found.start..found.end]);
                    }
                    if no_room || batch.bytes.len() >= most_bytes {
                        left = 0;
                    }
                }
                left > 0
            };
            let walked = match self.pattern.can_be_sliced() {
                true => self.mapping.touch(|| self.pattern.walk(text, from, to, text.len(), &mut visit))?,
                false => None,
            };
            let walked_on = walked.is_none();
            at = match walked {
                Some(at) => {
                    let looked = at.min(text.len()).saturating_sub(from);
                    self.control.step(&self.mapping, self.start + from as u64, looked as u64)?;
                    at
                }
                // Nobody knows how long that takes.
                None if until.is_some() => break,
                None => self.walk_on(text, from, (far, visited), visit)?,
            };
            if no_room {
                return Err(Error::raw("malloc", sys::ENOMEM));
            }
            if walked_on {
                break;
            }
        }
        batch.next = at as u64;
        batch.full = left == 0;
        Ok(batch)
    }

    /// Has the system read what will be looked at next, while this is looked at. Not where its ends are in memory already: the
    /// advice takes a tenth of the time that searching takes then.
    fn ahead(&self, from: usize, bytes: usize) {
        let start = (self.start as usize).saturating_add(from);
        let end = start.saturating_add(bytes).min(self.end as usize);
        if start >= end || (self.is_resident(start) && self.is_resident(end - 1)) {
            return;
        }
        // Nobody has to be told that it cannot.
        let _ = self.mapping.advise(Advice::WillNeed, start, end);
    }

    fn is_resident(&self, offset: usize) -> bool {
        let Some((address, len)) = self.mapping.pages(offset, offset + 1) else { return false };
        let mut bit = [0];
        // SAFETY: one page of this mapping's own, and a bit for it.
        unsafe { sys::residency(address, len, &mut bit) }.is_ok_and(|known| known && bit[0] & 1 == 1)
    }
}

/// What one thread does, given where to take the slices from; whether the others are to go on.
type Work<'a> = dyn Fn(&Pattern, &dyn Fn() -> Option<usize>) -> Result<bool> + Sync + 'a;

/// How a text is shared out.
struct Slices<'a> {
    pattern: &'a Pattern,
    length: usize,
    size: usize,
    count: usize,
    threads: usize,
}

impl<'a> Slices<'a> {
    fn of(length: usize, threads: usize, slice: usize, pattern: &'a Pattern) -> Self {
        let size = slice.max(length.div_ceil(MOST_SLICES));
        let count = length.div_ceil(size).max(1);
        // A thread for each two slices: to start one takes as long as to search some hundred kilobytes.
        let threads = threads.min(count.div_ceil(2));
        Self { pattern, length, size, count, threads }
    }

    fn bounds(&self, slice: usize) -> (usize, usize) {
        let from = slice * self.size;
        (from, from.saturating_add(self.size).min(self.length))
    }

    /// Runs work on all threads; each is given the slices by the function, in their order. Whether all of them said yes.
    fn run(&self, work: &Work<'_>) -> Result<bool> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let take = || {
            let slice = next.fetch_add(1, Ordering::Relaxed);
            (slice < self.count && !failed.load(Ordering::Relaxed)).then_some(slice)
        };
        let part = |pattern: &Pattern| {
            let outcome = work(pattern, &take);
            if !matches!(outcome, Ok(true)) {
                failed.store(true, Ordering::Relaxed);
            }
            outcome
        };
        std::thread::scope(|scope| {
            let (part, mut helpers) = (&part, Vec::new());
            for _ in 1..self.threads {
                let pattern = self.pattern.for_another_thread();
                let builder = std::thread::Builder::new().name("memmap".into()).stack_size(crate::thread::STACK);
                // Where there is no thread to be had, those that are there do it.
                helpers.extend(builder.spawn_scoped(scope, move || part(&pattern)));
            }
            let ours = part(self.pattern);
            helpers.into_iter().fold(ours, |outcome, helper| {
                let theirs = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Ok(outcome? & theirs?)
            })
        })
    }
}

/// Makes good what a slice that was searched apart got wrong. It began at its own first byte, but the match before may reach
/// into it, to `at`: then its first matches were others. The two rows of matches are followed until they meet, which they mostly
/// do at once. `end` is where the slice's own search ended; where the right one does is returned.
fn stitch(
    pattern: &Pattern,
    text: &[u8],
    (from, to): (usize, usize),
    (at, end): (usize, usize),
    totals: &mut [u64],
) -> usize {
    let (mut right, mut wrong) = (at, from);
    while right != wrong {
        let behind_end = |position: usize| position > to || (position == to && to < text.len());
        let (row, sign) = if right < wrong || behind_end(wrong) { (&mut right, 1) } else { (&mut wrong, -1_i64) };
        if behind_end(*row) {
            break;
        }
        let walked = pattern.walk(text, *row, to, text.len(), |found| {
            totals[found.needle] = totals[found.needle].wrapping_add_signed(sign);
            false
        });
        // It was walked before, so it can be.
        *row = walked.unwrap_or(to);
    }
    if right == wrong {
        end
    } else {
        right
    }
}
