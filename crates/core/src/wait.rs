//! Words of shared memory as meeting points: waiting until somebody says that a word has changed, and saying so. Across
//! processes, mappings and threads.
//!
//! How one waits for a single word is the system's business (`sys/*_wait.rs`); [`waiter`] has the one thread for all waits that
//! nobody stands still for.

pub mod waiter;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::region::Kind;
use crate::sys::{self, Meeting, Slept};
use crate::{Access, Error, Mapping, Region, Result};

/// Looks at the word before the system is asked to wait: about a microsecond. Who answers at once has answered by then, and
/// two changes of threads are saved.
const LOOKS: u32 = 40;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody called, or the word has changed since the wait began.
    Woken,
    /// The word was another one from the beginning.
    Different,
    /// Nobody called.
    TimedOut,
}

/// A word that others have, too.
#[derive(Debug)]
pub struct Word {
    mapping: Arc<Mapping>,
    offset: u64,
    meeting: Meeting,
}

/// What the system may want to know of a word.
#[derive(Debug)]
pub struct Place<'a> {
    /// The region it is in.
    pub region: &'a Region,
    /// Where it is in the file or the shared memory.
    pub position: u64,
    /// Where it is mapped.
    pub address: *const AtomicU32,
}

impl Word {
    /// A word of a region, at a multiple of its size in memory.
    pub fn of(region: &mut Region, offset: u64) -> Result<Self> {
        let private = match (region.kind(), region.access()) {
            (Kind::PrivateMemory, _) => Some("PrivateMemory belongs to one isolate"),
            (_, Access::Copy) => Some("A region opened with access 'copy' is private"),
            _ => None,
        };
        if let Some(why) = private {
            return Err(Error::invalid_state(format!("{why}: nobody else could notify a word of it, or wait for one")));
        }
        let mapping = Arc::clone(region.mapping());
        let address: *const AtomicU32 = mapping.bytes(offset, size_of::<u32>())?.as_ptr().cast();
        if !address.is_aligned() {
            return Err(Error::out_of_range(format!(
                "The value of \"offset\" is out of range. It must be at a multiple of 4 bytes in memory. Received {offset}"
            )));
        }
        mapping.check()?;
        let mut meetings = std::mem::take(&mut region.meetings);
        let position = mapping.position() + mapping.lead() as u64 + offset;
        let meeting = meetings.at(&Place { region, position, address });
        region.meetings = meetings;
        Ok(Self { mapping, offset, meeting: meeting? })
    }

    /// The word now.
    fn load(&self) -> Result<u32> {
        let address = self.mapping.address(self.offset as usize).cast::<AtomicU32>();
        // SAFETY: `of` looked whether the word lies in the mapping, which lives as long as `self`, and is aligned. Others
        // change it at any time, hence the atomic; a page that cannot be supplied is the guard's business.
        let value = self.mapping.touch(|| unsafe { (*address).load(Ordering::SeqCst) })?;
        self.mapping.check()?;
        Ok(value)
    }

    /// Whether the word is still that one.
    pub(crate) fn is(&self, expected: u32) -> Result<bool> {
        match self.meeting.compare(expected) {
            Some(compared) => compared.map_err(|cause| self.refused(&cause)),
            None => Ok(self.load()? == expected),
        }
    }

    /// Why the system would not wait for the word: mostly since its page is gone.
    fn refused(&self, cause: &std::io::Error) -> Error {
        if cause.raw_os_error() != Some(sys::EFAULT) {
            return Error::system(sys::WAIT_CALL, cause);
        }
        // A page of the mapping is missed by reading it, one of a side map is not in the guard's table.
        if self.mapping.guarded().is_some() {
            self.mapping.look_at_length(self.offset, size_of::<u32>() as u64);
            if let Err(error) = self.load() {
                return error;
            }
        }
        Error::faulted(self.offset, None)
    }

    /// Stands still while the word is the expected one, until somebody notifies it or the time is over.
    pub fn wait(&self, expected: u32, at_most: Duration) -> Result<Outcome> {
        if !self.is(expected)? {
            return Ok(Outcome::Different);
        }
        if self.meeting.is_readable() && !at_most.is_zero() {
            for _ in 0..LOOKS {
                std::hint::spin_loop();
                if self.load()? != expected {
                    return Ok(Outcome::Woken);
                }
            }
        }
        let slept = self.meeting.wait(expected, at_most, || self.load());
        match slept? {
            Slept::Woken | Slept::Differs => Ok(Outcome::Woken),
            Slept::TimedOut => Ok(Outcome::TimedOut),
            Slept::Failed(cause) => Err(self.refused(&cause)),
        }
    }

    /// Wakes so many of those who wait for the word, in any process: how many it was.
    pub fn notify(&self, count: u32) -> Result<u32> {
        waiter::settle();
        self.wake(count)
    }

    fn wake(&self, count: u32) -> Result<u32> {
        if count == 0 {
            return Ok(0);
        }
        self.meeting.wake(count).map_err(|cause| self.refused(&cause))
    }

    /// Where those who wait for it meet.
    pub(crate) fn meeting(&self) -> &Meeting {
        &self.meeting
    }
}
