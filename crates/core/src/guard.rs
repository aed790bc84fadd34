//! The fault guard: a page the system cannot supply becomes a flag and a page of zeros, not a death.
//!
//! A file truncated under its map, a full disk or a bad one raise `SIGBUS`. The handler (installed
//! by `sys`) asks [`supply`] whose address it was. If one of our ranges has it, that region's status
//! word is flagged and the missing pages are replaced; otherwise the signal is somebody else's.
//!
//! On Windows pages cannot be replaced under an access; there our own work is broken off instead (`sys::touching`).
//!
//! Everything [`supply`] touches is an atomic or a system call that may be made in a signal handler.

use std::sync::atomic::{fence, AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::status;
use crate::sys;

const NO_FAULT: u64 = u64::MAX;
#[cfg(unix)]
/// From this many faults inside the file on, the whole rest is replaced at once: two maps a fault
/// would otherwise run into the system's limit on maps, where the process dies after all.
const FAULTS_BY_PAGE: u32 = 16;
const SLOTS: usize = 256;

/// The handler could not ask the file.
pub(crate) const UNKNOWN: u32 = 0;
/// The file ends before the page.
pub(crate) const BEHIND_THE_END: u32 = 1;
/// The file has the page, and the system could not supply it.
#[cfg(unix)]
pub(crate) const INSIDE: u32 = 2;

/// One guarded range. `sequence` is odd while its owner changes the fields.
struct Slot {
    sequence: AtomicU32,
    start: AtomicUsize,
    end: AtomicUsize,
    descriptor: AtomicI32,
    /// Position in the file of `start`.
    position: AtomicU64,
    writable: AtomicU32,
    status: AtomicPtr<AtomicI32>,
    faults: AtomicU32,
    first: AtomicU64,
    /// Of the first fault: bytes that were replaced, why as far as the handler knows, when (stored last).
    replaced: AtomicU64,
    cause: AtomicU32,
    at: AtomicU64,
    /// Whether somebody was told of it.
    told: AtomicBool,
}

impl Slot {
    const fn empty() -> Self {
        Self {
            sequence: AtomicU32::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            descriptor: AtomicI32::new(-1),
            position: AtomicU64::new(0),
            writable: AtomicU32::new(0),
            status: AtomicPtr::new(std::ptr::null_mut()),
            faults: AtomicU32::new(0),
            first: AtomicU64::new(NO_FAULT),
            replaced: AtomicU64::new(0),
            cause: AtomicU32::new(UNKNOWN),
            at: AtomicU64::new(0),
            told: AtomicBool::new(false),
        }
    }

    /// Takes note of a fault, if it is the first.
    fn note(&self, offset: u64, replaced: u64, cause: u32) {
        if self.first.compare_exchange(NO_FAULT, offset, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.replaced.store(replaced, Ordering::Relaxed);
            self.cause.store(cause, Ordering::Relaxed);
            self.at.store(sys::milliseconds_since_1970().max(1), Ordering::Release);
        }
    }

    /// Changes the fields so that the handler sees either all of the old or all of the new ones.
    /// Only the slot's one owner calls this, and never twice at once: two writers would leave `sequence`
    /// even in the middle of a change.
    fn change(&self, fields: impl FnOnce(&Self)) {
        self.sequence.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        fields(self);
        self.sequence.fetch_add(1, Ordering::Release);
    }

    /// A consistent copy of the fields.
    fn read(&self) -> Range {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let range = Range {
                start: self.start.load(Ordering::Relaxed),
                end: self.end.load(Ordering::Relaxed),
                descriptor: self.descriptor.load(Ordering::Relaxed),
                position: self.position.load(Ordering::Relaxed),
                writable: self.writable.load(Ordering::Relaxed) != 0,
                status: self.status.load(Ordering::Relaxed),
            };
            // A slot that is being taken or given back belongs to no address anybody may touch, and a
            // change is a handful of stores: wait for it to end, so that a retired range is not missed.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return range;
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg_attr(windows, expect(dead_code, reason = "some of it is for replacing pages, which cannot be done there"))]
struct Range {
    start: usize,
    end: usize,
    descriptor: i32,
    position: u64,
    writable: bool,
    status: *mut AtomicI32,
}

/// A link of the table: only ever added, never freed, so the handler can walk it at any moment.
struct Segment {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Segment>,
}

static FIRST: AtomicPtr<Segment> = AtomicPtr::new(std::ptr::null_mut());
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

fn take_slot() -> &'static Slot {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = free.pop() {
        return slot;
    }
    let segment: &'static Segment = Box::leak(Box::new(Segment {
        slots: [const { Slot::empty() }; SLOTS],
        next: AtomicPtr::new(FIRST.load(Ordering::Acquire)),
    }));
    // Under FREE's lock nobody else adds a segment.
    FIRST.store(std::ptr::from_ref(segment).cast_mut(), Ordering::Release);
    free.extend(segment.slots[1..].iter().rev());
    &segment.slots[0]
}

/// What a guarded range is, for [`Guarded::new`].
#[derive(Debug, Clone, Copy)]
pub struct GuardedRange {
    /// First address, a multiple of the page size.
    pub start: usize,
    /// Bytes.
    pub len: usize,
    /// The file, where the system has file descriptors and one is kept.
    pub descriptor: Option<i32>,
    /// Position in the file of the first byte.
    pub position: u64,
    /// Whether the pages are writable, so that their replacements are too.
    pub writable: bool,
}

/// A range under guard until this is dropped, which must be before the range is unmapped.
#[derive(Debug)]
pub struct Guarded {
    slot: &'static Slot,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("start", &self.start).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Guarded {
    /// Puts a mapped range under guard; `status` is flagged when a page of it vanishes.
    ///
    /// # Safety
    /// The range is mapped, belongs to the caller alone, and stays mapped until after this is dropped: what
    /// lies in it is replaced when it faults.
    pub unsafe fn new(range: GuardedRange, status: &'static AtomicI32) -> Self {
        let slot = take_slot();
        slot.change(|slot| {
            slot.descriptor.store(range.descriptor.unwrap_or(-1), Ordering::Relaxed);
            slot.position.store(range.position, Ordering::Relaxed);
            slot.writable.store(u32::from(range.writable), Ordering::Relaxed);
            slot.status.store(std::ptr::from_ref(status).cast_mut(), Ordering::Relaxed);
            slot.faults.store(0, Ordering::Relaxed);
            slot.first.store(NO_FAULT, Ordering::Relaxed);
            slot.at.store(0, Ordering::Relaxed);
            slot.told.store(false, Ordering::Relaxed);
            slot.start.store(range.start, Ordering::Relaxed);
            slot.end.store(range.start + range.len, Ordering::Relaxed);
        });
        Self { slot }
    }

    /// The file behind the range is let go: a fault from now on replaces all of the rest.
    /// The one who closes the range calls this, once.
    pub(crate) fn forget_file(&self) {
        self.slot.change(|slot| {
            slot.descriptor.store(-1, Ordering::Relaxed);
            slot.writable.store(1, Ordering::Relaxed);
        });
    }

    /// The file behind the range, -1 if there is none (any more).
    pub(crate) fn descriptor(&self) -> i32 {
        self.slot.descriptor.load(Ordering::Relaxed)
    }

    /// Bytes of the range were found missing without a signal: a fault all the same.
    pub(crate) fn found_missing(&self, offset: u64, missing: u64) {
        self.slot.note(offset, missing, BEHIND_THE_END);
        // SAFETY: status cells are never freed, and this one is the range's for as long as it is under guard.
        if let Some(word) = unsafe { self.slot.status.load(Ordering::Relaxed).as_ref() } {
            status::set_faulted(word);
        }
    }

    /// The first fault, as the handler saw it.
    pub(crate) fn first(&self) -> Option<FirstFault> {
        let offset = self.first_fault()?;
        // Another thread may be in its handler just now, between the two.
        for _ in 0..10_000 {
            if self.slot.at.load(Ordering::Acquire) != 0 {
                break;
            }
            std::thread::yield_now();
        }
        Some(FirstFault {
            offset,
            replaced: self.slot.replaced.load(Ordering::Relaxed),
            cause: self.slot.cause.load(Ordering::Relaxed),
            at: self.slot.at.load(Ordering::Acquire),
        })
    }

    /// Whether nobody was told of the fault until now.
    pub(crate) fn is_news(&self) -> bool {
        !self.slot.told.swap(true, Ordering::AcqRel)
    }

    /// How far behind the start of the range the first fault was.
    pub fn first_fault(&self) -> Option<u64> {
        Some(self.slot.first.load(Ordering::Acquire)).filter(|&first| first != NO_FAULT)
    }
}

/// What the handler knows of a fault.
pub(crate) struct FirstFault {
    /// From the start of the range.
    pub offset: u64,
    /// Bytes from there on that were replaced by zeros.
    pub replaced: u64,
    /// [`BEHIND_THE_END`], [`INSIDE`] or [`UNKNOWN`].
    pub cause: u32,
    /// Milliseconds since 1970.
    pub at: u64,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.slot.change(|slot| {
            slot.start.store(0, Ordering::Relaxed);
            slot.end.store(0, Ordering::Relaxed);
            slot.descriptor.store(-1, Ordering::Relaxed);
            slot.status.store(std::ptr::null_mut(), Ordering::Relaxed);
        });
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

/// The range that has an address, and its slot. Safe in a handler.
fn find(address: usize) -> Option<(&'static Slot, Range)> {
    let mut segment = FIRST.load(Ordering::Acquire);
    // SAFETY: segments are published after they were initialised, and never freed by anybody.
    while let Some(link) = unsafe { segment.as_ref() } {
        for slot in &link.slots {
            let range = slot.read();
            if (range.start..range.end).contains(&address) {
                return Some((slot, range));
            }
        }
        segment = link.next.load(Ordering::Acquire);
    }
    None
}

/// Called by the signal handler: supplies the page at `address` if a guarded range has it.
///
/// `granule` is the size of the unit that failed: a page, or a huge page.
///
/// # Safety
/// The calling thread was just refused the page at `address`, and goes back to that access.
#[cfg(unix)]
pub unsafe fn supply(address: usize, granule: usize) -> bool {
    find(address).is_some_and(|(slot, range)| replace(slot, &range, address, granule))
}

/// Called by the exception handler, where pages cannot be replaced: flags the region that has `address`, if one does.
#[cfg(windows)]
pub fn note(address: usize) -> bool {
    let Some((slot, range)) = find(address) else { return false };
    let rest = sys::page_size() - address % sys::page_size();
    slot.note((address - range.start) as u64, rest as u64, UNKNOWN);
    // SAFETY: as in `replace`.
    if let Some(word) = unsafe { range.status.as_ref() } {
        status::set_faulted(word);
    }
    true
}

#[cfg(unix)]
fn replace(slot: &Slot, range: &Range, address: usize, granule: usize) -> bool {
    let page = address & !(granule - 1);
    let offset = (address - range.start) as u64;
    let from = page.max(range.start);
    let length = sys::length_of_descriptor(range.descriptor);
    let behind = length.map(|length| range.position + (from - range.start) as u64 >= length);
    let cause = match behind {
        None => UNKNOWN,
        Some(true) => BEHIND_THE_END,
        Some(false) => INSIDE,
    };
    let faults = slot.faults.fetch_add(1, Ordering::AcqRel) + 1;
    // Inside the file that page only, since the next may be there; behind its end nothing will come back.
    let to = match cause {
        INSIDE if faults < FAULTS_BY_PAGE => (from + granule).min(range.end),
        _ => range.end,
    };
    // The flag first, then the memory: in the other order another thread could read the replaced
    // zeros while the flag still says that all is well.
    slot.note(offset, (to - address) as u64, cause);
    // SAFETY: status cells are never freed; the range's owner keeps this one for as long as anybody
    // may touch the range, and somebody just did.
    if let Some(word) = unsafe { range.status.as_ref() } {
        status::set_faulted(word);
    }
    fence(Ordering::SeqCst);
    // SAFETY: [from, to) lies in a range that was in the table when the access failed, and whose owner keeps
    // it for as long as that access goes on.
    unsafe { sys::map_zeros_over(from, to - from, range.writable) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    // Ranges cover the even blocks of a stretch of addresses, each over and over: start and end of two different
    // ranges, or of one that is gone, read as if they were one, would cover an odd block.
    #[test]
    fn an_address_in_no_range_is_never_found_while_ranges_come_and_go() {
        const BLOCK: usize = 1 << 16;
        const BLOCKS: usize = 64;
        let stretch = memmap2::MmapOptions::new().len(BLOCK * BLOCKS).map_anon().unwrap();
        let base = stretch.as_ptr() as usize;
        let cell = crate::status::StatusCell::take().unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (stop, word) = (&stop, cell.word());
                scope.spawn(move || {
                    let mut block = thread;
                    while !stop.load(Ordering::Relaxed) {
                        let range = GuardedRange {
                            start: base + (block * 4 + thread * 2) % BLOCKS * BLOCK,
                            len: BLOCK,
                            descriptor: None,
                            position: 0,
                            writable: true,
                        };
                        // SAFETY: the stretch is this test's own and outlives the threads.
                        let guarded = unsafe { Guarded::new(range, word) };
                        guarded.forget_file();
                        drop(guarded);
                        block += 1;
                    }
                });
            }
            // Where it is interpreted or emulated that takes its time.
            let enough = if cfg!(miri) { 10 } else { 1000 };
            let end = Instant::now() + Duration::from_millis(700);
            let mut looked = 0_u64;
            let mut wrong = None;
            while wrong.is_none() && (looked < enough || Instant::now() < end) {
                for block in (1..BLOCKS).step_by(2) {
                    // SAFETY: what it may replace by mistake is this test's own, and nobody reads it.
                    if unsafe { supply(base + block * BLOCK + 8, 4096) } {
                        wrong = Some(block);
                    }
                    looked += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert_eq!(wrong, None, "that block is in no range");
        });
        assert_eq!(cell.word().load(Ordering::SeqCst), 0);
    }
}
