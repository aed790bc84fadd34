//! What lies in memory of a ring, and what its words say: the control words, the participants' seats, and a header for each
//! cell. How they are worked on is in `queue.rs`.

use crate::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a cell: a cache line, so that records of two threads share none.
pub const CELL: usize = 64;
const STATE_BITS: u32 = 3;
/// States of a record, in the order in which it goes through them.
pub(super) const RESERVED: u64 = 0;
pub(super) const COMMITTED: u64 = 1;
pub(super) const TAKEN: u64 = 2;
pub(super) const DONE: u64 = 3;
/// No record comes here any more.
pub(super) const SEALED: u64 = 4;

/// A word on a cache line of its own.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Line<T>(pub T);

/// The words of a ring; all zeros is an empty one.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Control {
    /// What this is: written first, by whoever comes first.
    pub format: AtomicU64,
    /// Not 0: nothing is pushed any more.
    pub ended: AtomicU64,
    /// Records that were dropped, since who pushed them had died.
    pub dropped: AtomicU64,
    /// Where participants get their numbers.
    pub joined: AtomicU32,
    /// What tells this memory from all other where the system does not: see `life.rs`.
    pub mark: AtomicU32,
    /// Where the next record is pushed.
    pub tail: Line<AtomicU64>,
    /// Where the next record is popped.
    pub head: Line<AtomicU64>,
    /// Before this all cells may be used again.
    pub freed: Line<AtomicU64>,
    /// What consumers sleep on.
    pub data: Line<AtomicU32>,
    /// What producers sleep on.
    pub space: Line<AtomicU32>,
}

/// A participant's place.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Seat {
    /// Its number; 0 if nobody sits there.
    pub owner: AtomicU64,
    /// The position it may have swapped the header of.
    pub claim: AtomicU64,
}

/// How long a ring is, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub(super) cells: u64,
    length_bits: u32,
}

/// What a header says about a position.
pub(super) enum Seen {
    /// It is of an earlier lap: nobody has claimed the position.
    Older,
    /// It is of a later one: the position is past.
    Newer,
    /// A record, or the seal.
    Record { state: u64, length: usize },
    /// Nothing that anybody of us would write.
    Garbage,
}

impl Shape {
    /// For so many bytes: a power of two, and at least a cell.
    pub fn new(capacity: usize) -> Self {
        Self { cells: (capacity / CELL) as u64, length_bits: capacity.trailing_zeros() + 1 }
    }

    /// Bytes of all cells.
    pub fn capacity(self) -> usize {
        self.cells as usize * CELL
    }

    /// How many cells there are.
    pub fn cells(self) -> usize {
        self.cells as usize
    }

    pub(super) fn cells_of(self, length: usize) -> u64 {
        length.div_ceil(CELL).max(1) as u64
    }

    fn lap_bits(self) -> u32 {
        64 - STATE_BITS - self.length_bits
    }

    /// From 1 on, so that zeroed memory is of an earlier lap.
    fn lap(self, position: u64) -> u64 {
        let lap = (position >> self.cells.trailing_zeros()).wrapping_add(1);
        lap & ((1 << self.lap_bits()) - 1)
    }

    pub(super) fn header(self, position: u64, state: u64, length: usize) -> u64 {
        (self.lap(position) << STATE_BITS | state) << self.length_bits | length as u64
    }

    pub(super) fn read(self, header: u64, position: u64) -> Seen {
        let found = header >> (self.length_bits + STATE_BITS);
        let ahead = found.wrapping_sub(self.lap(position)) & ((1 << self.lap_bits()) - 1);
        if ahead != 0 {
            // There are 2^54 cells before laps begin again: half of that to either side.
            return if ahead >> (self.lap_bits() - 1) == 0 { Seen::Newer } else { Seen::Older };
        }
        let state = header >> self.length_bits & ((1 << STATE_BITS) - 1);
        let length = (header & ((1 << self.length_bits) - 1)) as usize;
        if state > SEALED || length > self.capacity() {
            return Seen::Garbage;
        }
        Seen::Record { state, length }
    }

    pub(super) fn place(self, position: u64, length: usize) -> Place {
        let start = (position & (self.cells - 1)) as usize * CELL;
        let first = length.min(self.capacity() - start);
        Place { start, first, rest: length - first }
    }
}

/// Where a record's bytes are: from `start` on, and what does not fit before the end at the very beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// Bytes from there on.
    pub first: usize,
    /// Bytes at the beginning.
    pub rest: usize,
}
