//! Whether an owner of something in shared memory is still there.
//!
//! An owner is an isolate, and has a number that is its own in one place of the memory. For as long as it lives it holds a
//! lock of the system's for that number: a byte far beyond the end of the memory's own object on Linux, of a file beside on
//! macOS, the existence of a named object on Windows. Nobody ever waits for such a lock. It goes when the isolate ends,
//! however it ends, and stays while it is merely stopped: no process ids, and no clocks.
//!
//! Numbers are drawn from a counter in the memory, so that a newcomer does not get a dead owner's before sixteen million
//! others. A number that is still in use, or that something in the memory still names, is left out.

use std::cell::RefCell;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::region::{no_descriptor, to_len, Kind, Plan};
use crate::sys::{self, LifeLocks};
use crate::{Access, Error, Region, Result};

/// Bits of an owner's number.
pub const ID_BITS: u32 = 24;
/// The number that nobody ever gets: whoever is named by it is dead.
pub const NOBODY: u32 = (1 << ID_BITS) - 1;
/// Control blocks that have owners lie this far apart at least.
pub const SPACING: u64 = 32;
/// First position that is too far out for the numbers of its owners to have a place.
const TOO_FAR: u64 = 1 << 42;
/// So many numbers are tried at a time.
const TRIES: usize = 4096;

/// Who holds the lock of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// No one: the owner is dead.
    Nobody,
    /// A living owner.
    Owner,
    /// Some program that knows nothing of us, and has locked more than just this byte.
    Other,
}

/// What one isolate holds in one piece of shared memory.
#[derive(Debug)]
pub struct Lives {
    locks: LifeLocks,
    /// The system does not tell an isolate of its own locks.
    held: RefCell<FxHashSet<u64>>,
}

/// The number of a lock: which place in the memory, and which owner.
fn key(position: u64, id: u32) -> u64 {
    ((position / SPACING) << ID_BITS) | u64::from(id)
}

/// Which place in the memory, within [`SPACING`], and which owner the lock of a number is of.
pub fn place_of(key: u64) -> (u64, u32) {
    ((key >> ID_BITS) * SPACING, (key & u64::from(NOBODY)) as u32)
}

/// What tells this memory from all other: to all processes, where owners are not held by the memory's own object. `mark` is a
/// word of the memory that is for this alone, and 0 in a fresh one: where the system does not tell one piece of shared
/// memory from another (macOS), a random number is kept there.
pub fn name_of(region: &Region, mark: &AtomicU32) -> Result<String> {
    check(region)?;
    let object = region.object.as_ref().ok_or_else(|| no_descriptor("mutual exclusion"))?;
    sys::life_name(region.kind() == Kind::MmapFile, object, region.label(), || {
        let random = random_word();
        mark.compare_exchange(0, random, Ordering::SeqCst, Ordering::SeqCst).map_or_else(|there| there, |_| random)
    })
}

/// A random number that is not 0.
fn random_word() -> u32 {
    (RandomState::new().hash_one(std::process::id()) as u32).max(1)
}

/// Owners need memory that others have too.
pub fn check(region: &Region) -> Result<()> {
    if region.kind() == Kind::PrivateMemory || region.access() == Access::Copy {
        return Err(Error::invalid_state(
            "Nobody else has this memory: mutual exclusion needs shared memory, or a file opened with access 'write'",
        ));
    }
    match region.object {
        Some(_) => Ok(()),
        None => Err(no_descriptor("mutual exclusion")),
    }
}

impl Lives {
    /// For owners in the memory of a region: by an open file description of our own, which nobody else can close.
    pub fn new(region: &Region, name: &str) -> Result<Self> {
        let object = region.object.as_ref().ok_or_else(|| no_descriptor("mutual exclusion"))?;
        Ok(Self { locks: LifeLocks::new(object, name)?, held: RefCell::default() })
    }

    /// Takes a number for an owner at this position in the object. `next` is the counter in the memory; `named` says whether
    /// the memory names this number already: as that of a dead owner, who must stay dead. None where another program has
    /// locked all of the file, and has to be waited for.
    pub fn draw(
        &self,
        position: u64,
        mut next: impl FnMut() -> u32,
        named: impl Fn(u32) -> bool,
    ) -> Result<Option<u32>> {
        if position >= TOO_FAR {
            return Err(Error::out_of_range(format!(
                "Mutual exclusion works in the first {TOO_FAR} bytes of a file. Received position {position}"
            )));
        }
        for _ in 0..TRIES {
            let id = next() % (NOBODY - 1) + 1;
            let key = key(position, id);
            if self.held.borrow().contains(&key) {
                continue;
            }
            if !self.locks.take(key)? {
                match self.locks.holder(key)? {
                    Holder::Other => return Ok(None),
                    Holder::Nobody | Holder::Owner => continue,
                }
            }
            // After it was taken: from now on only we could write it there.
            if named(id) {
                self.locks.give_back(key);
                continue;
            }
            self.held.borrow_mut().insert(key);
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// Whether an owner is there. Asks, and never locks: two that asked by locking would find each other.
    pub fn is_alive(&self, position: u64, id: u32) -> Result<bool> {
        let key = key(position, id);
        if id == NOBODY || id == 0 {
            return Ok(false);
        }
        // An owner's lock keeps all others out: where one of another program lies over it, there is no owner.
        Ok(self.held.borrow().contains(&key) || self.locks.holder(key)? == Holder::Owner)
    }

    /// The owner is no more, and the number may be drawn again.
    pub fn end(&self, position: u64, id: u32) {
        let key = key(position, id);
        if self.held.borrow_mut().remove(&key) {
            self.locks.give_back(key);
        }
    }
}

/// What is left of a region that was closed, for who still has something in its memory.
#[derive(Debug)]
pub struct Remains {
    object: Arc<File>,
    plan: Plan,
}

impl Remains {
    /// Of a region, if it has kept its descriptor.
    pub fn of(region: &Region) -> Option<Self> {
        Some(Self { object: region.object.clone()?, plan: region.plan.clone() })
    }

    /// The region again, up to a position in it.
    pub fn map(&self, end: u64) -> Result<Region> {
        let mapping = self.plan.map(Some(&self.object), true, to_len(end)?)?;
        Ok(Region::new(mapping, Some(Arc::clone(&self.object)), self.plan.clone()))
    }
}
