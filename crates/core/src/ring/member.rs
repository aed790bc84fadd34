//! Where a ring's words are in a region, who takes part, and what is believed of what stands there.

use std::mem::{align_of, offset_of, size_of};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::queue::{about_to_sleep, has_sleepers};
use super::queue::{Broken, Call, Control, Place, Popped, Pushed, Queue, Seat, Shape, World, CELL};
use crate::{Access, Error, Mapping, Protection, Result};

/// Shortest ring, in bytes of records.
pub const SHORTEST: u64 = 4096;
/// Longest.
pub const LONGEST: u64 = 1 << 30;
/// So many take part at a time.
pub const SEATS: usize = 256;
/// Where in the ring the word is that consumers sleep on.
pub const DATA: u64 = offset_of!(Control, data) as u64;
/// Where the word is that producers sleep on.
pub const SPACE: u64 = offset_of!(Control, space) as u64;

const HEADERS_AT: usize = size_of::<Control>() + SEATS * size_of::<Seat>();
const _: () = assert!(HEADERS_AT == 384 + 4096, "the layout is the same everywhere");
const _: () = assert!(offset_of!(Control, tail) == 64 && DATA == 256 && SPACE == 320);
/// "mmRing", the version of the layout, and above them the power of two that is the length.
const FORMAT: u64 = u64::from_le_bytes(*b"mmRing\x01\0");

/// So long somebody may be in the way before it is asked whether he has died, which takes system calls.
const PATIENCE: Duration = Duration::from_millis(10);

/// How a call ended, and whom it has to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done<T> {
    /// How it ended.
    pub outcome: T,
    /// Those who wait on this side are to be notified.
    pub wakes: bool,
}

/// Bytes that a ring for so many bytes of records takes.
pub const fn byte_length_for(capacity: u64) -> u64 {
    HEADERS_AT as u64 + capacity / CELL as u64 * size_of::<AtomicU64>() as u64 + capacity
}

/// One participant's part of a ring.
#[derive(Debug)]
pub struct Ring {
    offset: u64,
    shape: Shape,
    seat: Option<(usize, u64)>,
    /// What was seen of `freed` last.
    freed: u64,
    /// At which position somebody is in the way, and since when: of a push, and of a pop.
    blocked: [Option<(u64, Instant)>; 2],
}

/// Knows who has died.
struct Others;

impl World for Others {
    fn is_dead(&self, _owner: u64) -> bool {
        false
    }
}

/// Where the parts of a ring are in memory now.
struct Parts<'a> {
    queue: Queue<'a>,
    cells: *mut u8,
}

impl Ring {
    /// The ring at a place of a region; zeros are a fresh one. The capacity is a power of two.
    pub fn new(mapping: &Mapping, offset: u64, capacity: u64) -> Result<Self> {
        if !capacity.is_power_of_two() || !(SHORTEST..=LONGEST).contains(&capacity) {
            return Err(Error::OutOfRange(format!("a ring has no capacity of {capacity} bytes")));
        }
        let shape = Shape::new(capacity as usize);
        let ring = Self { offset, shape, seat: None, freed: 0, blocked: [None; 2] };
        let parts = ring.parts(mapping)?;
        let begun = mapping.touch(|| ring.begin(&parts.queue))?;
        mapping.check()?;
        begun.map_err(|found| ring.refusal(found))?;
        Ok(ring)
    }

    /// Pushes a record.
    ///
    /// # Safety
    /// The record may be read for its whole length. It may lie in the ring itself.
    pub unsafe fn push(&mut self, mapping: &Mapping, record: *const [u8]) -> Result<Done<Pushed>> {
        let (length, first) = (record.len(), record.cast::<u8>());
        if length > self.shape.capacity() {
            return Err(Error::OutOfRange(format!("a record of {length} bytes is longer than the ring")));
        }
        self.run(mapping, length, |parts, seat, ring| {
            let put = |place: Place| {
                // SAFETY: the places lie in the cells, which `parts` found inside of the mapping, and the bytes in the record.
                // Who writes to the cells without keeping to the algorithm changes bytes, and no more.
                unsafe {
                    ptr::copy(first, parts.cells.add(place.start), place.first);
                    ptr::copy(first.wrapping_add(place.first), parts.cells, place.rest);
                }
            };
            let mut call = Call { seat, recover: false, world: &Others };
            let mut outcome = parts.queue.push(&call, length, &mut ring.freed, put)?;
            if outcome == Pushed::Full && is_stuck(&mut ring.blocked[0], ring.freed) {
                call.recover = true;
                outcome = parts.queue.push(&call, length, &mut ring.freed, put)?;
            }
            let wakes = outcome == Pushed::In && has_sleepers(&parts.queue.control.data.0);
            Ok(Done { outcome, wakes })
        })
    }

    /// Pops a record to the beginning of `target`.
    ///
    /// # Safety
    /// The target may be written for its whole length.
    pub unsafe fn pop(&mut self, mapping: &Mapping, target: *mut [u8]) -> Result<Done<Popped>> {
        let (room, first) = (target.len(), target.cast::<u8>());
        self.run(mapping, room, |parts, seat, ring| {
            let get = |place: Place| {
                // SAFETY: as in `push`; the queue pops nothing that is longer than `room`.
                unsafe {
                    ptr::copy(parts.cells.add(place.start), first, place.first);
                    ptr::copy(parts.cells, first.wrapping_add(place.first), place.rest);
                }
            };
            let control = parts.queue.control;
            let mut call = Call { seat, recover: false, world: &Others };
            let mut outcome = parts.queue.pop(&call, room, get)?;
            if outcome == Popped::Blocked && is_stuck(&mut ring.blocked[1], control.head.0.load(Ordering::Relaxed)) {
                call.recover = true;
                outcome = parts.queue.pop(&call, room, get)?;
            }
            let wakes = matches!(outcome, Popped::Out(_)) && has_sleepers(&control.space.0);
            Ok(Done { outcome, wakes })
        })
    }

    /// Nothing is pushed any more. Both sides are to be notified.
    pub fn end(&mut self, mapping: &Mapping) -> Result<()> {
        self.run(mapping, 0, |parts, _, _| {
            parts.queue.end();
            has_sleepers(&parts.queue.control.data.0);
            has_sleepers(&parts.queue.control.space.0);
            Ok(())
        })
    }

    /// Whether nothing is pushed any more, and how many records were dropped with those who pushed them.
    pub fn facts(&mut self, mapping: &Mapping) -> Result<(bool, u64)> {
        self.run(mapping, 0, |parts, _, _| {
            let control = parts.queue.control;
            Ok((control.ended.load(Ordering::Acquire) != 0, control.dropped.load(Ordering::Relaxed)))
        })
    }

    /// Marks that the caller is about to sleep on the word of consumers, or of producers: what it has to find there when
    /// it falls asleep. It must try once more before.
    pub fn about_to_sleep(&mut self, mapping: &Mapping, as_consumer: bool) -> Result<u32> {
        self.run(mapping, 0, |parts, _, _| {
            let control = parts.queue.control;
            Ok(about_to_sleep(if as_consumer { &control.data.0 } else { &control.space.0 }))
        })
    }

    /// Gives the seat back.
    pub fn leave(&mut self, mapping: &Mapping) {
        if let (Some((seat, owner)), Ok(parts)) = (self.seat.take(), self.parts(mapping)) {
            let _ = mapping.touch(|| parts.queue.leave(seat, owner));
        }
    }

    /// Works on the ring, with a seat in it. `longest` is how many bytes of records may be touched.
    fn run<T>(
        &mut self,
        mapping: &Mapping,
        longest: usize,
        work: impl FnOnce(&Parts, usize, &mut Self) -> std::result::Result<T, Broken>,
    ) -> Result<T> {
        let parts = self.parts(mapping)?;
        mapping.check()?;
        let done = mapping.touch(|| {
            let format = parts.queue.control.format.load(Ordering::Acquire);
            if format != self.format() {
                return Err(self.refusal(format));
            }
            let seat = self.sit(&parts.queue)?;
            work(&parts, seat, self).map_err(|Broken| self.refusal(format))
        });
        let done = match done {
            Ok(done) => done,
            Err(fault) => {
                // Work that was broken off in the middle. Whoever still has these words must not wait for it.
                let seat = self.seat.map_or(0, |(seat, _)| seat);
                let _ = mapping.touch(|| parts.queue.forget_claim(seat));
                return Err(fault);
            }
        };
        mapping.check_range(self.offset, longest.min(self.shape.capacity()) as u64)?;
        done
    }

    /// Where everything is: looked at for each call, since a region may have been mapped anew.
    fn parts<'a>(&self, mapping: &'a Mapping) -> Result<Parts<'a>> {
        if mapping.access() != Access::Write || mapping.protection() != Protection::Write {
            return Err(Error::ReadOnly);
        }
        let length = byte_length_for(self.shape.capacity() as u64);
        if self.offset.checked_add(length).is_none_or(|end| end > mapping.len() as u64) {
            return Err(Error::OutOfRange(format!(
                "a ring of {length} bytes at offset {} does not lie in a region of {} bytes",
                self.offset,
                mapping.len()
            )));
        }
        let base = mapping.address(self.offset as usize);
        if !base.cast::<Control>().is_aligned() {
            return Err(Error::OutOfRange(format!(
                "a ring has to lie at a multiple of {} bytes in memory",
                align_of::<Control>()
            )));
        }
        let cells = self.shape.cells();
        // SAFETY: all of it was just found to lie in the mapping, which lives as long as the parts, and is aligned, as all
        // that follows the control words is. They are atomics, which others may change at any time; a page that cannot be
        // supplied is the guard's business.
        let (control, seats, headers) = unsafe {
            (
                &*base.cast::<Control>(),
                slice::from_raw_parts(base.add(size_of::<Control>()).cast::<Seat>(), SEATS),
                slice::from_raw_parts(base.add(HEADERS_AT).cast::<AtomicU64>(), cells),
            )
        };
        let cells = base.wrapping_add(HEADERS_AT + cells * size_of::<AtomicU64>());
        Ok(Parts { queue: Queue { shape: self.shape, control, seats, headers }, cells })
    }

    fn format(&self) -> u64 {
        FORMAT | u64::from(self.shape.capacity().trailing_zeros()) << 56
    }

    /// Makes a fresh ring of zeros: one word says what it is, so nobody ever sees half of it. Else what it is instead.
    fn begin(&self, queue: &Queue<'_>) -> std::result::Result<(), u64> {
        let Control { format, ended, dropped, joined, tail, head, freed, .. } = queue.control;
        let words = [ended, dropped, joined, &tail.0, &head.0, &freed.0];
        if words.iter().any(|word| word.load(Ordering::Acquire) != 0) {
            // Garbage behind a zero. Or somebody has just begun, whose format is there by now.
            let found = format.load(Ordering::Acquire);
            return if found == self.format() { Ok(()) } else { Err(found) };
        }
        match format.compare_exchange(0, self.format(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(found) if found == self.format() => Ok(()),
            Err(found) => Err(found),
        }
    }

    /// Why the words are not believed.
    fn refusal(&self, format: u64) -> Error {
        let [name @ .., version, power] = format.to_le_bytes();
        let capacity = self.shape.capacity();
        Error::SharedStateInvalid(if format == self.format() {
            "The control words of the ring hold what cannot be: somebody else writes there".into()
        } else if name != FORMAT.to_le_bytes()[..6] {
            "There is no ring at this place, and no zeros that could become one".into()
        } else if version == 1 {
            format!("The ring at this place has a capacity of 2^{power} bytes, and not of {capacity}")
        } else {
            format!("The ring at this place is of version {version}, and this is version 1")
        })
    }

    fn sit(&mut self, queue: &Queue<'_>) -> Result<usize> {
        if let Some((seat, owner)) = self.seat {
            // Somebody may have zeroed the memory since.
            if queue.sits(seat, owner) {
                return Ok(seat);
            }
        }
        let owner = queue.control.joined.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        let seat = queue.sit(owner, &Others).ok_or_else(|| {
            Error::InvalidState(format!("{SEATS} others use the ring already, which are as many as there can be"))
        })?;
        (self.seat, self.freed) = (Some((seat, owner)), 0);
        Ok(seat)
    }
}

/// Whether the same one has been in the way for a while.
fn is_stuck(blocked: &mut Option<(u64, Instant)>, position: u64) -> bool {
    let now = Instant::now();
    match *blocked {
        Some((before, since)) if before == position => now.duration_since(since) >= PATIENCE,
        _ => {
            *blocked = Some((position, now));
            false
        }
    }
}
