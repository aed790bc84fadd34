//! Permits in shared memory: a table of who has how many, and nothing else.
//!
//! What is taken is the sum of the table, so that a process that is killed at any moment leaves it exact: each change is one
//! store of one count. The table is changed by one at a time, who holds the mutex that the semaphore begins with; dying in
//! it leaves nothing to be repaired.
//!
//! Who finds nothing sleeps on a word that is raised when permits come back. Its lowest bit says that somebody may sleep.

use std::sync::atomic::AtomicU32;

use crate::life::NOBODY;
use crate::mutex::{attempt, release as unlock, Attempt, Control, Manner, BYTES as MUTEX_BYTES};
use crate::word::Word;
use crate::{Error, Result};

/// Isolates that may hold permits at a time.
pub const HOLDERS: usize = 248;
/// Bytes of a semaphore in memory.
pub const BYTES: usize = MUTEX_BYTES + HOLDERS * size_of::<Record<AtomicU32>>();
/// `SEM` and the version of all that is said here.
pub const SEMAPHORE: u32 = u32::from_le_bytes(*b"SEM\x01");

/// Of the sequence: somebody may sleep.
const SLEEPERS: u32 = 1;

/// What one owner has. Free where the count is 0.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Record<W> {
    /// Whose it is.
    pub owner: W,
    /// How many.
    pub count: W,
}

/// What came of asking for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<R> {
    /// This.
    Done(R),
    /// All are taken: to be tried again when the sequence is no longer this one.
    NoneLeft {
        /// The sequence.
        word: u32,
    },
    /// Somebody is changing the table: to be tried again when the state is no longer this one.
    Busy {
        /// The state.
        word: u32,
    },
}

/// Who is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wake {
    /// One that sleeps on the state.
    pub state: bool,
    /// So many that sleep on the sequence.
    pub sequence: u32,
}

/// The table of a semaphore.
///
/// # Safety
/// `address` is that of a block of [`BYTES`], as [`crate::mutex::with_control`] gives it, and used no longer than that.
pub unsafe fn records<'a>(address: *mut u8) -> &'a [Record<AtomicU32>] {
    // SAFETY: the table follows the control block, and atomics may be written by others.
    unsafe { std::slice::from_raw_parts(address.add(MUTEX_BYTES).cast(), HOLDERS) }
}

/// The semaphore of one owner: its words, and how it asks whether others live.
pub struct Semaphore<'a, W, A> {
    /// The mutex.
    pub state: &'a W,
    /// What is slept on.
    pub sequence: &'a W,
    /// The table.
    pub records: &'a [Record<W>],
    /// The owner.
    pub me: u32,
    /// So often a table that is being changed is tried again before one sleeps: that takes as long as adding it up.
    pub spins: u32,
    /// Whether an owner lives.
    pub is_alive: A,
}

impl<W: Word, A: Fn(u32) -> Result<bool>> Semaphore<'_, W, A> {
    /// Does something while nobody else changes the table.
    fn inside<R>(
        &self,
        manner: Manner,
        wake: &mut Wake,
        work: impl FnOnce(&mut Wake) -> Result<Answer<R>>,
    ) -> Result<Answer<R>> {
        for _ in 0..self.spins {
            match attempt(self.state, self.me, Manner { waits: false, asks: false, ..manner }, &self.is_alive)? {
                Attempt::Busy { .. } => std::hint::spin_loop(),
                Attempt::Taken { .. } | Attempt::Own => return self.leave(wake, work),
            }
        }
        match attempt(self.state, self.me, manner, &self.is_alive)? {
            Attempt::Busy { word } => Ok(Answer::Busy { word }),
            // Ours before: a call of ours was cut off in the middle, where the table is as good as anywhere.
            Attempt::Taken { .. } | Attempt::Own => self.leave(wake, work),
        }
    }

    fn leave<R>(&self, wake: &mut Wake, work: impl FnOnce(&mut Wake) -> Result<Answer<R>>) -> Result<Answer<R>> {
        let done = work(wake);
        wake.state = unlock(self.state, self.me)?;
        done
    }

    /// What all have together; refuses what cannot be.
    fn taken(&self) -> Result<u64> {
        let mut sum = 0;
        for record in self.records {
            let count = record.count.load();
            if count == 0 {
                continue;
            }
            let owner = record.owner.load();
            if owner == 0 || owner >= NOBODY {
                return Err(Error::shared_state_invalid(
                    "The memory of the semaphore was overwritten: somebody who cannot be has permits; zero the memory once nobody uses it",
                ));
            }
            sum += u64::from(count);
        }
        Ok(sum)
    }

    /// Takes a permit, if fewer than `permits` are taken.
    pub fn acquire(&self, permits: u32, manner: Manner, wake: &mut Wake) -> Result<Answer<u32>> {
        self.inside(manner, wake, |_| {
            if self.taken()? >= u64::from(permits) {
                let mut word = self.sequence.load();
                if manner.waits {
                    word |= SLEEPERS;
                    self.sequence.store(word);
                }
                return Ok(Answer::NoneLeft { word });
            }
            let mine = |record: &&Record<W>| record.count.load() > 0 && record.owner.load() == self.me;
            let free = |record: &&Record<W>| record.count.load() == 0;
            let record =
                self.records.iter().find(mine).or_else(|| self.records.iter().find(free)).ok_or_else(|| {
                    Error::invalid_state(format!(
                        "No more than {HOLDERS} workers and processes may hold permits at a time"
                    ))
                })?;
            // The owner of what is no permit yet, and then the permit.
            record.owner.store(self.me);
            record.count.store(record.count.load() + 1);
            if manner.slept {
                // Who has slept may have been the only one to know of others that sleep.
                self.sequence.store(self.sequence.load() | SLEEPERS);
            }
            Ok(Answer::Done(0))
        })
    }

    /// Gives permits back: our own first, then whoever's.
    pub fn release(&self, count: u32, manner: Manner, wake: &mut Wake) -> Result<Answer<u32>> {
        self.inside(manner, wake, |wake| {
            let taken = self.taken()?;
            if u64::from(count) > taken {
                return Err(Error::out_of_range(format!(
                    "The value of \"count\" is out of range. It must be <= {taken}, as many as are taken. Received {count}"
                )));
            }
            let mut left = count;
            for own in [true, false] {
                for record in self.records.iter().filter(|record| own == (record.owner.load() == self.me)) {
                    let there = record.count.load();
                    let back = there.min(left);
                    if back > 0 {
                        record.count.store(there - back);
                        left -= back;
                    }
                }
            }
            self.raise(count, wake);
            Ok(Answer::Done(0))
        })
    }

    /// Gives back what dead owners had: how many permits.
    pub fn recover(&self, manner: Manner, wake: &mut Wake) -> Result<Answer<u32>> {
        self.inside(manner, wake, |wake| {
            self.taken()?;
            let mut back: u32 = 0;
            for record in self.records {
                let (owner, count) = (record.owner.load(), record.count.load());
                if count > 0 && owner != self.me && !(self.is_alive)(owner)? {
                    record.count.store(0);
                    back = back.saturating_add(count);
                }
            }
            self.raise(back, wake);
            Ok(Answer::Done(back))
        })
    }

    fn raise(&self, count: u32, wake: &mut Wake) {
        let word = self.sequence.load();
        if count > 0 && word & SLEEPERS != 0 {
            self.sequence.store((word & !SLEEPERS).wrapping_add(2));
            wake.sequence = count;
        }
    }
}

/// Whether something in it is this owner's.
pub fn names<W: Word>(state: &W, records: &[Record<W>], id: u32) -> bool {
    crate::mutex::names(state, id) || records.iter().any(|record| record.count.load() > 0 && record.owner.load() == id)
}

/// Makes the memory a semaphore if it is fresh, and refuses what is none.
pub fn adopt(control: &Control, records: &[Record<AtomicU32>]) -> Result<()> {
    // The table before the header, which is written first.
    let used = records.iter().any(|record| Word::load(&record.owner) != 0 || Word::load(&record.count) != 0);
    if used {
        return control.verify(SEMAPHORE);
    }
    control.adopt(SEMAPHORE)
}
