//! The ring's algorithm: any number of producers and consumers, records of any length, nobody ever waits here.
//!
//! The ring is a row of cells. Positions count cells and only ever rise; a position's cell is the position modulo the
//! number of cells, and how often the row was gone through before is its lap. A record takes as many cells as its bytes
//! need, one after the other, and is known by the header of the first:
//!
//! ```text
//!   freed ≤ head ≤ tail ≤ freed + cells
//!     │       │      └──── where the next record is pushed
//!     │       └─────────── where the next record is popped
//!     └─────────────────── before this all cells may be used again
//!
//!   header: lap | state | length        RESERVED → COMMITTED → TAKEN → DONE
//! ```
//!
//! **A header changes hands by one compare-and-swap**, and never has the same value twice, since the lap is in it: what was
//! read a while ago matches nothing of today. Who has won a header moves the position on; whoever comes by in between does
//! it for him, so that nobody has to wait for one who was stopped there. Headers of cells inside of a record are not
//! touched: what they hold is of an earlier lap, and that is all that is asked of a free one.
//!
//! **Death.** Before it swaps a header, a participant writes the position down in its seat. A header that is RESERVED or
//! TAKEN, but whose position no living participant has written down, is an orphan: the record is dropped, its length is
//! known. A seat's next owner writes something else there, so nobody is ever taken for the one who had it before.
//!
//! **Orderings.** Every swap of a header or position is AcqRel, every load Acquire: who sees a position has seen the headers
//! before it, who sees COMMITTED has seen the bytes, who sees `freed` has seen the last reader gone. A seat is written with
//! Release, so that a position written down there is seen only after the swap that ended the one before. A fence (SeqCst) stands
//! between the swap to COMMITTED or DONE and the look whether somebody sleeps, and between the sleeper's mark and its last look at
//! the ring: one of the two sees the other. The same fence lets one of two consumers that finish at once see both DONE.
//!
//! **Trust.** Whatever stands in memory may be garbage. Lengths are held against the ring's, positions only choose a cell,
//! and a state that cannot be, or in which nothing moves, is [`Broken`].

use super::layout::{Control, Place, Seat, Seen, Shape, COMMITTED, DONE, RESERVED, SEALED, TAKEN};
use super::seats::Role;
use crate::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering};
use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// In the words that sleepers look at: somebody sleeps. The rest of the word counts how often sleepers were woken.
pub const SLEEPERS: u32 = 1;
/// Tries of one call before it says that it cannot now: each that fails is one that somebody else has won.
const TRIES: usize = 100_000;

/// The control words hold what cannot be: they are no ring's, or somebody else writes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in.
    In,
    /// There is no room now.
    Full,
    /// Nothing is pushed any more.
    Ended,
    /// See [`Step`].
    Died,
}

/// What became of a pop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Popped {
    /// A record of this length is out.
    Out(usize),
    /// The next record is of this length, and stays where it is: there is no room for it.
    TooLong(usize),
    /// There is no record.
    Empty,
    /// The next record is being pushed or, at the end, one is still being read.
    Blocked,
    /// There is none, and never will be.
    Ended,
    /// See [`Step`].
    Died,
}

/// The moments at which a model lets a participant die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its position is written down.
    Claimed,
    /// The header is swapped to RESERVED.
    Reserved,
    /// The tail has moved on.
    TailMoved,
    /// The bytes are in.
    Written,
    /// The header is swapped to COMMITTED.
    Committed,
    /// The header is swapped to TAKEN.
    Taken,
    /// The head has moved on.
    HeadMoved,
    /// The bytes are out.
    Read,
    /// The header is swapped to DONE.
    Done,
}

/// What the algorithm has to be told.
pub trait World {
    /// Whether the participant of this number has died. Never of a living one.
    fn is_dead(&self, owner: u64) -> bool;

    /// Whether the caller lives on.
    #[inline(always)]
    fn lives_on(&self, _step: Step) -> bool {
        true
    }
}

/// How one call is made.
pub struct Call<'a, W> {
    /// The caller's seat.
    pub seat: usize,
    /// Ask whether who is in the way has died.
    pub recover: bool,
    /// Who knows about that.
    pub world: &'a W,
}

/// A ring, wherever its words are.
#[derive(Debug, Clone, Copy)]
pub struct Queue<'a> {
    /// Its length.
    pub shape: Shape,
    /// The control words.
    pub control: &'a Control,
    /// The participants' places; a multiple of four.
    pub seats: &'a [Seat],
    /// One for each cell.
    pub headers: &'a [AtomicU64],
}

macro_rules! step {
    ($call:expr, $step:ident, $died:expr) => {
        if !$call.world.lives_on(Step::$step) {
            return Ok($died);
        }
    };
}

impl Queue<'_> {
    /// Pushes a record whose bytes `write` puts in their place. `freed` is what the caller saw of that position last: it
    /// only ever rises, and lies on a cache line that the other side writes.
    pub fn push<W: World>(
        &self,
        call: &Call<'_, W>,
        length: usize,
        freed: &mut u64,
        write: impl FnOnce(Place),
    ) -> Result<Pushed, Broken> {
        let mut claimed = false;
        let pushed = self.try_push(call, length, freed, &mut claimed, write);
        if claimed && !matches!(pushed, Ok(Pushed::In | Pushed::Died)) {
            self.forget_claim(call.seat);
        }
        pushed
    }

    fn try_push<W: World>(
        &self,
        call: &Call<'_, W>,
        length: usize,
        freed: &mut u64,
        claimed: &mut bool,
        write: impl FnOnce(Place),
    ) -> Result<Pushed, Broken> {
        let shape = self.shape;
        let needed = shape.cells_of(length);
        let mut before = None;
        for _ in 0..TRIES {
            let tail = self.control.tail.0.load(Acquire);
            let cell = self.cell(tail);
            let found = cell.load(Acquire);
            // Each try leaves something changed, by us or somebody else. If nothing has, nothing ever will.
            if before.replace((tail, found)) == Some((tail, found)) {
                return Err(Broken);
            }
            match shape.read(found, tail) {
                Seen::Newer => continue,
                Seen::Garbage => return Err(Broken),
                Seen::Record { state: SEALED, .. } => return Ok(Pushed::Ended),
                Seen::Record { length, .. } => {
                    self.advance(&self.control.tail.0, tail, length);
                    continue;
                }
                Seen::Older => {}
            }
            if self.control.ended.load(Acquire) != 0 {
                return Ok(Pushed::Ended);
            }
            if !self.fits(tail, *freed, needed) {
                *freed = self.reclaim(call);
                if tail.wrapping_sub(*freed) > shape.cells {
                    continue;
                }
                if !self.fits(tail, *freed, needed) {
                    return Ok(Pushed::Full);
                }
            }
            self.claim(call.seat, tail, Role::Producer);
            *claimed = true;
            step!(call, Claimed, Pushed::Died);
            let reserved = shape.header(tail, RESERVED, length);
            if cell.compare_exchange(found, reserved, AcqRel, Relaxed).is_err() {
                continue;
            }
            step!(call, Reserved, Pushed::Died);
            self.advance(&self.control.tail.0, tail, length);
            step!(call, TailMoved, Pushed::Died);
            write(shape.place(tail, length));
            step!(call, Written, Pushed::Died);
            let committed = shape.header(tail, COMMITTED, length);
            if cell.compare_exchange(reserved, committed, AcqRel, Relaxed).is_err() {
                return Err(Broken);
            }
            fence(SeqCst);
            step!(call, Committed, Pushed::Died);
            return Ok(Pushed::In);
        }
        Ok(Pushed::Full)
    }

    /// Pops a record of at most `room` bytes, which `read` takes from their place. A consumer that dies in the middle takes
    /// the record with it: nobody gets it twice.
    pub fn pop<W: World>(&self, call: &Call<'_, W>, room: usize, read: impl FnMut(Place)) -> Result<Popped, Broken> {
        let mut claimed = false;
        let popped = self.try_pop(call, room, &mut claimed, read);
        if claimed && !matches!(popped, Ok(Popped::Out(_) | Popped::Died)) {
            self.forget_claim(call.seat);
        }
        popped
    }

    fn try_pop<W: World>(
        &self,
        call: &Call<'_, W>,
        room: usize,
        claimed: &mut bool,
        mut read: impl FnMut(Place),
    ) -> Result<Popped, Broken> {
        let (shape, control) = (self.shape, self.control);
        let mut before = None;
        for _ in 0..TRIES {
            let head = control.head.0.load(Acquire);
            let cell = self.cell(head);
            let found = cell.load(Acquire);
            if before.replace((head, found)) == Some((head, found)) {
                return Err(Broken);
            }
            let (state, length) = match shape.read(found, head) {
                Seen::Newer => continue,
                Seen::Garbage => return Err(Broken),
                Seen::Record { state, length } => (state, length),
                Seen::Older => {
                    if control.tail.0.load(Acquire) != head {
                        continue;
                    }
                    if control.ended.load(Acquire) == 0 {
                        return Ok(Popped::Empty);
                    }
                    // A producer that has not seen the end yet may still claim this place: who seals it decides that.
                    let freed = self.reclaim(call);
                    if head.wrapping_sub(freed) > shape.cells {
                        continue;
                    }
                    if !self.fits(head, freed, 1) {
                        return Ok(Popped::Blocked);
                    }
                    let sealed = shape.header(head, SEALED, 0);
                    if cell.compare_exchange(found, sealed, AcqRel, Relaxed).is_err() {
                        continue;
                    }
                    return Ok(Popped::Ended);
                }
            };
            let orphan = match state {
                SEALED => return Ok(Popped::Ended),
                TAKEN | DONE => {
                    self.advance(&control.head.0, head, length);
                    continue;
                }
                COMMITTED if length > room => return Ok(Popped::TooLong(length)),
                COMMITTED => false,
                _ if call.recover && self.is_orphan(head, Role::Producer, call.world) => true,
                _ => return Ok(Popped::Blocked),
            };
            if orphan {
                // Its producer may have died before it could.
                self.advance(&control.tail.0, head, length);
            }
            self.claim(call.seat, head, Role::Consumer);
            *claimed = true;
            step!(call, Claimed, Popped::Died);
            let taken = shape.header(head, TAKEN, length);
            if cell.compare_exchange(found, taken, AcqRel, Relaxed).is_err() {
                continue;
            }
            step!(call, Taken, Popped::Died);
            self.advance(&control.head.0, head, length);
            step!(call, HeadMoved, Popped::Died);
            if !orphan {
                read(shape.place(head, length));
                step!(call, Read, Popped::Died);
            }
            let done = shape.header(head, DONE, length);
            if cell.compare_exchange(taken, done, AcqRel, Relaxed).is_err() {
                return Err(Broken);
            }
            fence(SeqCst);
            step!(call, Done, Popped::Died);
            self.reclaim(&Call { recover: false, ..*call });
            if !orphan {
                return Ok(Popped::Out(length));
            }
            control.dropped.fetch_add(1, Relaxed);
        }
        Ok(Popped::Blocked)
    }

    /// Nothing is pushed any more; what is in can be popped.
    pub fn end(&self) {
        self.control.ended.store(1, Release);
        fence(SeqCst);
    }

    /// Lets go of the cells of records that have been read, as far as there are no others before them. The position.
    fn reclaim<W: World>(&self, call: &Call<'_, W>) -> u64 {
        let (shape, control) = (self.shape, self.control);
        let mut before = None;
        for _ in 0..TRIES {
            let freed = control.freed.0.load(Acquire);
            let cell = self.cell(freed);
            let found = cell.load(Acquire);
            if before.replace((freed, found)) == Some((freed, found)) {
                return freed;
            }
            match shape.read(found, freed) {
                Seen::Newer => {}
                Seen::Record { state: DONE, length } => self.advance(&control.freed.0, freed, length),
                Seen::Record { state: TAKEN, length }
                    if call.recover && self.is_orphan(freed, Role::Consumer, call.world) =>
                {
                    // Its consumer may have died before it could.
                    self.advance(&control.head.0, freed, length);
                    let done = shape.header(freed, DONE, length);
                    let _ = cell.compare_exchange(found, done, AcqRel, Relaxed);
                }
                _ => return freed,
            }
        }
        control.freed.0.load(Acquire)
    }

    fn cell(&self, position: u64) -> &AtomicU64 {
        &self.headers[(position & (self.shape.cells - 1)) as usize]
    }

    fn fits(&self, tail: u64, freed: u64, needed: u64) -> bool {
        let used = tail.wrapping_sub(freed);
        used <= self.shape.cells && needed <= self.shape.cells - used
    }

    /// Moves a position behind a record; somebody else may have done it already.
    fn advance(&self, counter: &AtomicU64, position: u64, length: usize) {
        let behind = position.wrapping_add(self.shape.cells_of(length));
        let _ = counter.compare_exchange(position, behind, AcqRel, Relaxed);
    }
}

/// Says that the caller is about to sleep. What it must find in the word when it falls asleep, and it must look at the
/// ring once more before.
pub fn about_to_sleep(word: &AtomicU32) -> u32 {
    let marked = word.fetch_or(SLEEPERS, AcqRel) | SLEEPERS;
    fence(SeqCst);
    marked
}

/// Whether somebody sleeps, who has to be woken now: all of them, since the mark is gone. Behind the fence of a push or a pop.
pub fn has_sleepers(word: &AtomicU32) -> bool {
    let mut found = word.load(Relaxed);
    while found & SLEEPERS != 0 {
        match word.compare_exchange_weak(found, (found & !SLEEPERS).wrapping_add(2), AcqRel, Relaxed) {
            Ok(_) => return true,
            Err(changed) => found = changed,
        }
    }
    false
}
