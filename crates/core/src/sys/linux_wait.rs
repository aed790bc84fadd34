//! Waiting for words by futexes that are not private: by what is behind the memory, not by its address.

use std::fs::File;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};

use super::asking::{Asking, Wait};
use super::linux_wait_ring::Ring;
use super::unix::page_size;
use super::Slept;
use crate::map_budget::Counted;
use crate::region::no_descriptor;
use crate::wait::waiter::Event;
use crate::wait::{Place, Word};
use crate::{Error, Result};

/// The call that waits.
pub const WAIT_CALL: &str = "futex";

/// Flags of a futex of 32 bits that processes share, in the words of futex_waitv(2) and io_uring.
pub(super) const SHARED_WORD: u32 = 2;
/// As many words as futex_waitv(2) takes, less one for the bell.
const AT_A_TIME: usize = 127;

/// A page of the file behind a private map, truly shared. Nobody reads it but the kernel, so a page that vanishes is `EFAULT`.
#[derive(Debug)]
struct SidePage {
    memory: MmapRaw,
    position: u64,
    _counted: Counted,
}

impl SidePage {
    fn new(object: &File, position: u64) -> Result<Self> {
        let counted = Counted::new()?;
        let map = MmapOptions::new().offset(position).len(page_size()).map_raw_read_only(object);
        Ok(Self { memory: map.map_err(|cause| Error::system("mmap", &cause))?, position, _counted: counted })
    }
}

/// Where the waits for a region's words meet: what is kept from one to the next.
#[derive(Debug, Default)]
pub struct Meetings {
    side: Option<Arc<SidePage>>,
}

/// Where those who wait for a word meet: its page, by whatever map.
#[derive(Debug)]
pub struct Meeting {
    address: *const AtomicU32,
    /// The page, where it is not the region's own.
    side: Option<Arc<SidePage>>,
}

// SAFETY: the address is in a map that the word, or `side`, holds; all threads may use it, as an atomic.
unsafe impl Send for Meeting {}
// SAFETY: as above.
unsafe impl Sync for Meeting {}

impl Meetings {
    /// The meeting of a word. A futex in a private map would never be woken, and waiting for it would make its page a copy.
    pub fn at(&mut self, place: &Place<'_>) -> Result<Meeting> {
        if !place.region.mapping().is_private() {
            return Ok(Meeting { address: place.address, side: None });
        }
        let within = place.position % page_size() as u64;
        let position = place.position - within;
        let side = match self.side.take().filter(|side| side.position == position) {
            Some(side) => side,
            None => {
                let object = place.region.object.as_deref().ok_or_else(|| no_descriptor("waiting"))?;
                Arc::new(SidePage::new(object, position)?)
            }
        };
        self.side = Some(Arc::clone(&side));
        let address = side.memory.as_ptr().wrapping_add(within as usize).cast();
        Ok(Meeting { address, side: Some(side) })
    }
}

/// FUTEX_WAIT, once.
///
/// # References
/// - [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html)
fn wait_once(word: *const AtomicU32, expected: u32, at_most: Duration, private: bool) -> io::Result<()> {
    let time = timespec(at_most);
    let operation = libc::FUTEX_WAIT | if private { libc::FUTEX_PRIVATE_FLAG } else { 0 };
    // SAFETY: the kernel checks the address itself, and only reads the word.
    let result = unsafe { libc::syscall(libc::SYS_futex, word, operation, expected, &raw const time) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn wake(word: *const AtomicU32, count: u32, private: bool) -> io::Result<u32> {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let operation = libc::FUTEX_WAKE | if private { libc::FUTEX_PRIVATE_FLAG } else { 0 };
    // SAFETY: as in `wait_once`.
    let result = unsafe { libc::syscall(libc::SYS_futex, word, operation, count) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as libc::c_long }
}

impl Meeting {
    /// Whether the region's own map shows the word as it is.
    pub fn is_readable(&self) -> bool {
        self.side.is_none()
    }

    /// Whether the word is that one, where only the kernel reads it: by a wait of no time.
    pub fn compare(&self, expected: u32) -> Option<io::Result<bool>> {
        self.side.as_ref()?;
        Some(loop {
            match wait_once(self.address, expected, Duration::ZERO, false)
                .map_err(|cause| (cause.raw_os_error(), cause))
            {
                Ok(()) | Err((Some(libc::ETIMEDOUT), _)) => break Ok(true),
                Err((Some(libc::EAGAIN), _)) => break Ok(false),
                Err((Some(libc::EINTR), _)) => {}
                Err((_, cause)) => break Err(cause),
            }
        })
    }

    /// Stands still.
    pub fn wait(&self, expected: u32, at_most: Duration, _load: impl Fn() -> Result<u32>) -> Result<Slept> {
        let end = Instant::now() + at_most;
        let mut left = at_most;
        loop {
            let Err(cause) = wait_once(self.address, expected, left, false) else { return Ok(Slept::Woken) };
            match cause.raw_os_error() {
                Some(libc::EINTR) => left = end.saturating_duration_since(Instant::now()),
                Some(libc::ETIMEDOUT) => return Ok(Slept::TimedOut),
                Some(libc::EAGAIN) => return Ok(Slept::Differs),
                _ => return Ok(Slept::Failed(cause)),
            }
        }
    }

    /// Wakes so many, and says how many there were.
    pub fn wake(&self, count: u32) -> io::Result<u32> {
        wake(self.address, count, false)
    }

    /// The kernel knows who waits: nobody has to enter himself,
    pub fn join(&self) {}

    /// nor to leave. Whether he was called meanwhile, the kernel tells who stands still alone.
    pub fn leave(&self) -> bool {
        false
    }

    /// Whether somebody has called who was not heard yet: only who stands still is called.
    pub fn called(&self) -> bool {
        false
    }

    /// Where the kernel finds the word.
    pub(super) fn address(&self) -> *const u32 {
        self.address.cast()
    }
}

/// What calls the thread that waits for all.
#[derive(Debug)]
pub struct Bell(AtomicU32);

impl Bell {
    /// A bell.
    pub fn new() -> Result<Self> {
        Ok(Self(AtomicU32::new(0)))
    }

    /// How often it was rung.
    pub fn heard(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// Rings it.
    pub fn ring(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        // Nothing can be wrong with a word of our own.
        let _ = wake(&raw const self.0, 1, true);
    }

    pub(super) fn word(&self) -> *const u32 {
        (&raw const self.0).cast()
    }
}

/// How one thread waits for many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As the next one, but each isolate has a queue of its own, of which its event loop hears without another thread.
    Own,
    /// io_uring: each wait is the kernel's own, however many there are, and each call is told.
    Ring,
    /// futex_waitv(2): so many at a time, and of those that were called at once one is told.
    Vector,
    /// A look at each word again and again.
    Looking,
}

impl Way {
    /// The best that may be tried: all of them, unless the environment says otherwise.
    fn wanted() -> Self {
        match std::env::var("MEMMAP_WAITER").as_deref() {
            Ok("ring") => Self::Ring,
            Ok("vector") => Self::Vector,
            Ok("looking") => Self::Looking,
            _ => Self::Own,
        }
    }
}

/// Whether one thread can wait for many words, and need not look at them in turn.
pub(super) fn waits_together() -> bool {
    match Way::wanted() {
        Way::Own | Way::Ring => Ring::is_there() || has_vector(),
        Way::Vector => has_vector(),
        Way::Looking => false,
    }
}

/// A queue of waits for the calling thread, if it may have one.
pub fn own_queue() -> Option<OwnQueue> {
    if Way::wanted() == Way::Own {
        Ring::with_descriptor()
    } else {
        None
    }
}

/// Waits of one thread that it hears of by a descriptor.
pub type OwnQueue = Ring;

/// Many waits of one thread.
#[derive(Debug)]
pub enum Engine {
    /// By io_uring.
    Ring(Box<Ring>),
    /// By asking for the words together, or in turn.
    Asking(Asking),
}

impl Engine {
    /// By the best way that this system has, and allows: containers often forbid io_uring.
    pub fn new(bell: &Arc<Bell>) -> Self {
        let wanted = Way::wanted();
        if matches!(wanted, Way::Own | Way::Ring) {
            if let Some(ring) = Ring::new(bell) {
                return Self::Ring(Box::new(ring));
            }
        }
        let at_a_time = if wanted != Way::Looking && has_vector() { AT_A_TIME } else { 0 };
        Self::Asking(Asking::new(at_a_time))
    }

    /// Begins to wait.
    pub fn begin(&mut self, number: u64, word: &Arc<Word>, expected: u32) {
        match self {
            Self::Ring(ring) => ring.begin(number, word, expected),
            Self::Asking(asking) => asking.begin(number, word, expected),
        }
    }

    /// Takes a wait back; it is told when that is done.
    pub fn end(&mut self, number: u64, events: &mut Vec<(u64, Event)>) {
        match self {
            Self::Ring(ring) => ring.end(number),
            Self::Asking(asking) => asking.end(number, events),
        }
    }

    /// The system is to have all that was begun.
    pub fn submit(&mut self) {
        if let Self::Ring(ring) = self {
            ring.submit();
        }
    }

    /// Until something has happened: a wait has ended, or the bell was rung since.
    pub fn sleep(&mut self, bell: &Bell, heard: u32, events: &mut Vec<(u64, Event)>) {
        match self {
            Self::Ring(ring) => ring.sleep(bell, heard, events),
            Self::Asking(asking) => asking.sleep(bell, heard, events),
        }
    }
}

/// What futex_waitv(2) takes.
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

fn waitv(waiters: &[Waiter], end: *const libc::timespec) -> io::Result<usize> {
    let count = waiters.len() as libc::c_uint;
    // SAFETY: the kernel checks the addresses in the array itself, and only reads there; the array and the time outlive
    // the call.
    let result =
        unsafe { libc::syscall(libc::SYS_futex_waitv, waiters.as_ptr(), count, 0, end, libc::CLOCK_MONOTONIC) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Whether there is futex_waitv: Linux 5.16.
fn has_vector() -> bool {
    // No words at all are a mistake, if anybody looks.
    waitv(&[], ptr::null()).is_err_and(|cause| cause.raw_os_error() == Some(libc::EINVAL))
}

/// Waits for any of a few words, or the bell, or the end of the time: which word was called, if it is known. With no words: for
/// the bell alone.
///
/// # References
/// - [futex_waitv](https://docs.kernel.org/userspace-api/futex2.html)
pub(super) fn wait_for_any(waits: &[Wait], bell: &Bell, heard: u32, at_most: Option<Duration>) -> Option<usize> {
    if waits.is_empty() {
        let _ = wait_once(&raw const bell.0, heard, at_most.unwrap_or(Duration::MAX / 2).min(LONGEST), true);
        return None;
    }
    let of = |address: *const u32, expected: u32, flags: u32| Waiter {
        value: u64::from(expected),
        address: address as u64,
        flags,
        reserved: 0,
    };
    let private = libc::FUTEX_PRIVATE_FLAG as u32;
    let mut waiters: Vec<Waiter> =
        waits.iter().map(|wait| of(wait.word.meeting().address(), wait.expected, SHARED_WORD)).collect();
    waiters.push(of(bell.word(), heard, SHARED_WORD | private));
    let end = at_most.map(|time| {
        let mut now = timespec(Duration::ZERO);
        // SAFETY: the call fills the structure; this clock is always there.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let nanoseconds = now.tv_nsec + time.min(LONGEST).as_nanos() as libc::c_long;
        let seconds = nanoseconds / 1_000_000_000;
        libc::timespec { tv_sec: now.tv_sec + seconds, tv_nsec: nanoseconds % 1_000_000_000 }
    });
    waitv(&waiters, end.as_ref().map_or(ptr::null(), ptr::from_ref)).ok().filter(|&woken| woken < waits.len())
}

/// A sleep that is long enough, and that every clock can count.
const LONGEST: Duration = Duration::from_secs(3600);
