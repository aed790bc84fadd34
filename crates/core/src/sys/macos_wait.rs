//! Waiting for words on macOS: `os_sync_wait_on_address`, from 14.4 on. Compiled and never run by this project.

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::asking::{Asking, Wait};
use super::{symbol_of_host, Slept};
use crate::limits::Support;
use crate::wait::waiter::Event;
use crate::wait::{Place, Word};
use crate::{Error, Result};

/// The call that waits.
pub const WAIT_CALL: &str = "os_sync_wait_on_address";

/// Both OS_SYNC_WAIT_ON_ADDRESS_SHARED and OS_SYNC_WAKE_BY_ADDRESS_SHARED.
const SHARED: u32 = 1;
/// OS_CLOCK_MACH_ABSOLUTE_TIME.
const CLOCK: u32 = 32;
const SIZE: usize = size_of::<u32>();
/// Until a wait that the system has broken off is begun again.
const EARLY: Duration = Duration::from_millis(1);

type WaitOnAddress = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;
type WakeByAddress = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;

/// The system's calls, where it has them.
#[derive(Debug, Clone, Copy)]
struct Calls {
    wait: WaitOnAddress,
    wake_any: WakeByAddress,
}

fn calls() -> Option<Calls> {
    static CALLS: OnceLock<Option<Calls>> = OnceLock::new();
    *CALLS.get_or_init(|| {
        let wait = symbol_of_host(c"os_sync_wait_on_address_with_timeout")?;
        let wake_any = symbol_of_host(c"os_sync_wake_by_address_any")?;
        // SAFETY: the system's headers give the functions of these names these signatures.
        unsafe {
            Some(Calls {
                wait: std::mem::transmute::<*mut c_void, WaitOnAddress>(wait),
                wake_any: std::mem::transmute::<*mut c_void, WakeByAddress>(wake_any),
            })
        }
    })
}

/// How well one stands still for a word.
pub(super) fn wait_support() -> Support {
    if calls().is_some() {
        Support::Native
    } else {
        Support::Absent
    }
}

/// Nothing is kept from one wait to the next.
#[derive(Debug, Default)]
pub struct Meetings {}

/// Where those who wait for a word meet: its page.
#[derive(Debug)]
pub struct Meeting {
    address: *const AtomicU32,
    calls: Calls,
}

// SAFETY: the address is in a map that the word holds; all threads may use it, as an atomic.
unsafe impl Send for Meeting {}
// SAFETY: as above.
unsafe impl Sync for Meeting {}

impl Meetings {
    /// The meeting of a word. All maps that may be waited in are shared here.
    pub fn at(&mut self, place: &Place<'_>) -> Result<Meeting> {
        let calls = calls().ok_or_else(|| {
            Error::unavailable("Waiting for a word of memory that processes share needs macOS 14.4 or later")
        })?;
        if place.region.mapping().is_private() {
            return Err(Error::invalid_state("A private map is nobody else's: no word of it can be waited for"));
        }
        Ok(Meeting { address: place.address, calls })
    }
}

impl Meeting {
    /// Whether the region's own map shows the word as it is.
    pub fn is_readable(&self) -> bool {
        true
    }

    /// Whether the word is that one: the region's own map tells.
    pub fn compare(&self, _expected: u32) -> Option<io::Result<bool>> {
        None
    }

    /// Stands still. The system does not tell a word that was another one from a call.
    ///
    /// # References
    /// - `os/os_sync_wait_on_address.h`
    pub fn wait(&self, expected: u32, at_most: Duration, load: impl Fn() -> Result<u32>) -> Result<Slept> {
        let end = Instant::now() + at_most;
        let mut left = at_most;
        loop {
            // Also whether its page is there, which an error of the call does not tell.
            if load()? != expected {
                return Ok(Slept::Differs);
            }
            // A time of 0 is refused.
            let Some(nanoseconds) = u64::try_from(left.as_nanos()).ok().filter(|&left| left > 0) else {
                return Ok(Slept::TimedOut);
            };
            // SAFETY: the word is in a map that its holder keeps; the kernel only reads it.
            let result = unsafe {
                (self.calls.wait)(self.address.cast_mut().cast(), u64::from(expected), SIZE, SHARED, CLOCK, nanoseconds)
            };
            if result >= 0 {
                return Ok(Slept::Woken);
            }
            let cause = io::Error::last_os_error();
            match cause.raw_os_error() {
                Some(libc::EINTR) => {}
                // "Early returns", after which the caller is to look at the word and try again: no memory, or the page not in.
                Some(libc::EFAULT | libc::ENOMEM) => thread::sleep(EARLY.min(left)),
                Some(libc::ETIMEDOUT) => return Ok(Slept::TimedOut),
                _ => return Ok(Slept::Failed(cause)),
            }
            left = end.saturating_duration_since(Instant::now());
        }
    }

    /// Wakes so many, one by one since nobody tells how many there were otherwise.
    pub fn wake(&self, count: u32) -> io::Result<u32> {
        for woken in 0..count {
            // SAFETY: as in `wait`; nothing is read.
            if unsafe { (self.calls.wake_any)(self.address.cast_mut().cast(), SIZE, SHARED) } == 0 {
                continue;
            }
            let cause = io::Error::last_os_error();
            return if cause.raw_os_error() == Some(libc::ENOENT) { Ok(woken) } else { Err(cause) };
        }
        Ok(count)
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
}

/// What calls the thread that waits for all.
#[derive(Debug)]
pub struct Bell {
    rung: Mutex<u32>,
    changed: Condvar,
}

impl Bell {
    /// A bell.
    pub fn new() -> Result<Self> {
        Ok(Self { rung: Mutex::new(0), changed: Condvar::new() })
    }

    /// How often it was rung.
    pub fn heard(&self) -> u32 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings it.
    pub fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = rung.wrapping_add(1);
        drop(rung);
        self.changed.notify_all();
    }
}

/// Many waits of one thread: looked at in turn, since one thread can only stand still for one word here.
#[derive(Debug)]
pub struct Engine(Asking);

impl Engine {
    /// No waits yet.
    pub fn new(_bell: &Arc<Bell>) -> Self {
        Self(Asking::new(0))
    }

    /// Begins to wait.
    pub fn begin(&mut self, number: u64, word: &Arc<Word>, expected: u32) {
        self.0.begin(number, word, expected);
    }

    /// Takes a wait back; it is told when that is done.
    pub fn end(&mut self, number: u64, events: &mut Vec<(u64, Event)>) {
        self.0.end(number, events);
    }

    /// Nothing is left to be done.
    pub fn submit(&mut self) {}

    /// Until something has happened: a wait has ended, or the bell was rung since.
    pub fn sleep(&mut self, bell: &Bell, heard: u32, events: &mut Vec<(u64, Event)>) {
        self.0.sleep(bell, heard, events);
    }
}

/// Waits for the bell, or the end of the time.
pub(super) fn wait_for_any(_waits: &[Wait], bell: &Bell, heard: u32, at_most: Option<Duration>) -> Option<usize> {
    let rung = bell.rung.lock().unwrap_or_else(PoisonError::into_inner);
    match at_most {
        Some(time) => drop(bell.changed.wait_timeout_while(rung, time, |rung| *rung == heard)),
        None => drop(bell.changed.wait_while(rung, |rung| *rung == heard)),
    }
    None
}
