//! Mutual exclusion by one word in shared memory, which names its owner.
//!
//! Free is 0, and taking it is one compare-and-swap of 0 for the owner's number, giving it back one of the number for 0:
//! `lib/mutex.ts` does both by `Atomics`, and nobody is called. All else is here. Who finds it taken marks the word and
//! sleeps on it; who gives a marked word back wakes one. A sleeper looks after its owner now and then, and of two that find
//! it dead one takes its place, by a compare-and-swap of the very word it had.
//!
//! Who has just come is faster than who has to wake up first. So a sleeper that waits for long says so, and then the word is
//! not given back but handed on: only sleepers may take it. Should all of them be gone, whoever comes next takes it when it
//! has slept a little itself.

use std::sync::atomic::AtomicU32;

use crate::life::{ID_BITS, NOBODY};
use crate::word::Word;
use crate::{Error, Mapping, Result};

/// Bytes of a mutex in memory; two do not share a cache line.
pub const BYTES: usize = size_of::<Control>();
/// `MTX` and the version of all that is said here.
pub const MUTEX: u32 = u32::from_le_bytes(*b"MTX\x01");

const OWNER: u32 = (1 << ID_BITS) - 1;
/// Somebody may sleep.
pub const WAITERS: u32 = 1 << 24;
/// Somebody has slept for long.
pub const STARVING: u32 = 1 << 25;
/// Given back, but to sleepers only.
pub const HANDED: u32 = 1 << 26;

/// What lies in memory: zeros, or this.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    /// What it is, and of which version.
    pub header: AtomicU32,
    /// The owner, and who waits.
    pub state: AtomicU32,
    /// The numbers of owners are drawn from it.
    pub counter: AtomicU32,
    /// The memory's name, where the system gives it none: see [`crate::life::name_of`].
    pub mark: AtomicU32,
    /// Of a semaphore: raised when permits come back.
    pub sequence: AtomicU32,
    reserved: [AtomicU32; 11],
}

/// How one tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// Will sleep if it is taken; else it is left as it is.
    pub waits: bool,
    /// Has slept, and may take what was handed on.
    pub slept: bool,
    /// Has waited for long.
    pub starves: bool,
    /// Asks whether the owner is alive.
    pub asks: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is ours.
    Taken {
        /// The last owner died in it.
        abandoned: bool,
    },
    /// It was ours before.
    Own,
    /// Somebody else's; to be tried again when the word is no longer this one.
    Busy {
        /// What the word is.
        word: u32,
    },
}

fn overwritten() -> Error {
    Error::shared_state_invalid(
        "The memory holds no mutex or semaphore of this version here, or was overwritten: a new one begins as zeroed bytes",
    )
}

/// Words that nobody writes are not trusted.
fn check(word: u32) -> Result<u32> {
    let owner = word & OWNER;
    let free = word == 0 || word == HANDED;
    let marks = word & !OWNER;
    let taken = owner != 0 && (marks == 0 || marks == WAITERS || marks == WAITERS | STARVING);
    if free || taken {
        return Ok(owner);
    }
    Err(overwritten())
}

/// Tries to take it for the owner `me`.
pub fn attempt(state: &impl Word, me: u32, manner: Manner, is_alive: impl Fn(u32) -> Result<bool>) -> Result<Attempt> {
    loop {
        let word = state.load();
        let owner = check(word)?;
        let handed = word == HANDED && !manner.slept;
        if owner == me {
            return Ok(Attempt::Own);
        }
        if owner == 0 && !handed {
            // Who has slept may have been the only one to know of others that sleep.
            let marked = if manner.slept { me | WAITERS } else { me };
            if state.compare_exchange(word, marked).is_ok() {
                return Ok(Attempt::Taken { abandoned: false });
            }
            continue;
        }
        if owner != 0 && manner.asks && !is_alive(owner)? {
            // It is that of a dead owner for as long as it has not changed: the number is nobody else's by now.
            if state.compare_exchange(word, me | WAITERS).is_ok() {
                return Ok(Attempt::Taken { abandoned: true });
            }
            continue;
        }
        // What was handed on will be marked by who takes it.
        let marked = match (manner.waits && owner != 0, manner.starves) {
            (false, _) => word,
            (true, false) => word | WAITERS,
            (true, true) => word | WAITERS | STARVING,
        };
        if marked == word || state.compare_exchange(word, marked).is_ok() {
            return Ok(Attempt::Busy { word: marked });
        }
    }
}

/// Gives it back; whether one that sleeps is to be woken.
pub fn release(state: &impl Word, me: u32) -> Result<bool> {
    loop {
        let word = state.load();
        if check(word)? != me {
            return Err(overwritten());
        }
        let free = if word & STARVING != 0 { HANDED } else { 0 };
        if state.compare_exchange(word, free).is_ok() {
            return Ok(word & WAITERS != 0);
        }
    }
}

/// Leaves it as if its owner had died: whoever comes next is told so. Whether it was ours.
pub fn forsake(state: &impl Word, me: u32) -> bool {
    loop {
        let word = state.load();
        if word & OWNER != me {
            return false;
        }
        if state.compare_exchange(word, word & !OWNER | NOBODY).is_ok() {
            return true;
        }
    }
}

/// Whether it is this owner's.
pub fn names(state: &impl Word, id: u32) -> bool {
    state.load() & OWNER == id
}

impl Control {
    /// Makes it one of this kind if the memory is fresh, and refuses what is none.
    pub fn adopt(&self, kind: u32) -> Result<()> {
        // The others before the header: who makes one writes the header first.
        let rest = [&self.state, &self.counter, &self.mark, &self.sequence];
        let fresh = rest.iter().all(|word| Word::load(*word) == 0);
        if self.reserved.iter().any(|word| Word::load(word) != 0) {
            return Err(overwritten());
        }
        if fresh && Word::compare_exchange(&self.header, 0, kind).is_ok() {
            return Ok(());
        }
        self.verify(kind)
    }

    /// Refuses what is not of this kind.
    pub fn verify(&self, kind: u32) -> Result<()> {
        if Word::load(&self.header) != kind {
            return Err(overwritten());
        }
        check(Word::load(&self.state)).map(|_| ())
    }
}

/// Does work on the control block at an offset of a mapping, and of so many bytes with what follows it.
pub fn with_control<R>(
    mapping: &Mapping,
    offset: u64,
    bytes: usize,
    work: impl FnOnce(&Control, *mut u8) -> Result<R>,
) -> Result<R> {
    debug_assert!(bytes >= BYTES);
    let address = mapping.block(offset, bytes)?;
    mapping.check()?;
    // SAFETY: `block` says that so many bytes lie in the mapping, which outlives the call, aligned for words, and that its
    // pages take stores. Others may write to it at any time, whole words or parts of them: hence atomics, and no trust in
    // what is read. A page that vanishes is replaced by the guard, and `check` tells below.
    let control = unsafe { &*address.cast::<Control>() };
    let done = mapping.touch(|| work(control, address))?;
    mapping.check()?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    const ALIVE: fn(u32) -> Result<bool> = |_| Ok(true);
    const DEAD: fn(u32) -> Result<bool> = |_| Ok(false);
    const TRIES: Manner = Manner { waits: false, slept: false, starves: false, asks: false };
    const COMES: Manner = Manner { waits: true, ..TRIES };
    const WOKEN: Manner = Manner { slept: true, ..COMES };
    const STARVES: Manner = Manner { starves: true, ..WOKEN };
    const ASKS: Manner = Manner { asks: true, ..WOKEN };
    const TAKEN: Attempt = Attempt::Taken { abandoned: false };

    #[test]
    fn a_control_block_is_64_bytes() {
        assert_eq!(BYTES, 64);
    }

    #[test]
    fn it_is_taken_marked_given_back_and_handed_on() {
        let state = AtomicU32::new(0);
        let tries = |me, manner| attempt(&state, me, manner, ALIVE).unwrap();
        assert_eq!(tries(1, TRIES), TAKEN);
        assert_eq!(tries(1, TRIES), Attempt::Own);
        assert_eq!(tries(2, TRIES), Attempt::Busy { word: 1 });
        assert!(!release(&state, 1).unwrap());
        assert_eq!(tries(1, COMES), TAKEN);
        assert_eq!(tries(2, COMES), Attempt::Busy { word: 1 | WAITERS });
        assert_eq!(tries(2, ASKS), Attempt::Busy { word: 1 | WAITERS });
        assert!(release(&state, 1).unwrap());
        assert_eq!(tries(2, WOKEN), TAKEN);
        assert_eq!(state.load(Ordering::SeqCst), 2 | WAITERS, "others may sleep");
        assert_eq!(tries(3, STARVES), Attempt::Busy { word: 2 | WAITERS | STARVING });
        assert!(release(&state, 2).unwrap());
        assert_eq!(tries(4, TRIES), Attempt::Busy { word: HANDED });
        assert_eq!(tries(4, COMES), Attempt::Busy { word: HANDED }, "not before those that sleep");
        assert_eq!(tries(3, WOKEN), TAKEN);
        assert!(release(&state, 4).is_err(), "it is not theirs");
        assert!(release(&state, 3).unwrap());
        assert_eq!(state.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn the_place_of_a_dead_owner_is_taken_once_and_only_by_who_asks() {
        let state = AtomicU32::new(0);
        let tries = |me, manner, alive| attempt(&state, me, manner, alive).unwrap();
        assert_eq!(tries(1, TRIES, ALIVE), TAKEN);
        assert_eq!(tries(2, WOKEN, DEAD), Attempt::Busy { word: 1 | WAITERS });
        assert_eq!(tries(2, ASKS, DEAD), Attempt::Taken { abandoned: true });
        assert_eq!(tries(3, ASKS, |id| Ok(id == 2)), Attempt::Busy { word: 2 | WAITERS });
        assert!(forsake(&state, 2) && !forsake(&state, 2));
        assert_eq!(tries(3, ASKS, |id| Ok(id != NOBODY)), Attempt::Taken { abandoned: true });
        let asked = attempt(&state, 4, ASKS, |_| Err(Error::closed()));
        assert!(asked.is_err() && names(&state, 3), "where nobody can say, nothing is done");
    }

    #[test]
    fn words_that_nobody_writes_are_refused() {
        for word in [WAITERS, STARVING, 1 | STARVING, 1 | HANDED, HANDED | WAITERS, 1 << 27, 1 << 31, u32::MAX] {
            let state = AtomicU32::new(word);
            let code = |outcome: Result<()>| outcome.unwrap_err().code();
            assert_eq!(code(attempt(&state, 1, ASKS, DEAD).map(|_| ())), "ERR_SHARED_STATE_INVALID");
            assert_eq!(code(release(&state, 1).map(|_| ())), "ERR_SHARED_STATE_INVALID");
            assert_eq!(state.load(Ordering::SeqCst), word, "and left as they are");
        }
    }
}
