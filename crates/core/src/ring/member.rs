//! Where a ring's words are in a region, who takes part, and what is believed of what stands there.

use std::mem::{align_of, offset_of, size_of};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::layout::{Control, Place, Seat, Shape, CELL};
use super::queue::{about_to_sleep, has_sleepers, Broken, Call, Popped, Pushed, Queue, World};
use crate::life::{self, Lives};
use crate::wait::Word;
use crate::{Access, Error, Mapping, Protection, Region, Result};

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

/// From this length on a record is worth a system call more.
const LONG: usize = 4096;
const HEADERS_AT: usize = size_of::<Control>() + SEATS * size_of::<Seat>();
const _: () = assert!(HEADERS_AT == 384 + 4096, "the layout is the same everywhere");
const _: () = assert!(offset_of!(Control, tail) == 64 && DATA == 256 && SPACE == 320);
/// "mmRing", the version of the layout, and above them the power of two that is the length.
const FORMAT: u64 = u64::from_le_bytes(*b"mmRing\x01\0");

/// So long somebody may be in the way before it is asked whether he has died, which takes system calls.
const PATIENCE: Duration = Duration::from_millis(10);

/// Bytes that a ring for so many bytes of records takes.
pub const fn byte_length_for(capacity: u64) -> u64 {
    HEADERS_AT as u64 + capacity / CELL as u64 * size_of::<AtomicU64>() as u64 + capacity
}

/// One participant's part of a ring.
#[derive(Debug)]
pub struct Ring {
    offset: u64,
    shape: Shape,
    /// Where it is in the object.
    position: u64,
    lives: Lives,
    seat: Option<Taken>,
    /// What was seen of `freed` last.
    freed: u64,
    /// At which position somebody is in the way, and since when: of a push, and of a pop.
    blocked: [Option<(u64, Instant)>; 2],
}

/// A seat, and who sits there.
#[derive(Debug, Clone, Copy)]
struct Taken {
    index: usize,
    id: u32,
}

/// Knows who has died.
struct Others<'a> {
    lives: &'a Lives,
    position: u64,
}

impl World for Others<'_> {
    fn is_dead(&self, owner: u64) -> bool {
        // Who cannot be asked about lives. No number is longer than 24 bits: what is, nobody has.
        u32::try_from(owner).is_ok_and(|id| !self.lives.is_alive(self.position, id).unwrap_or(true)) || owner >> 32 != 0
    }
}

/// Where the parts of a ring are in memory now.
struct Parts<'a> {
    queue: Queue<'a>,
    cells: *mut u8,
}

impl Ring {
    /// The ring at a place of a region; zeros are a fresh one. The capacity is a power of two.
    pub fn new(region: &Region, offset: u64, capacity: u64) -> Result<Self> {
        if !capacity.is_power_of_two() || !(SHORTEST..=LONGEST).contains(&capacity) {
            return Err(Error::out_of_range(format!("a ring has no capacity of {capacity} bytes")));
        }
        let mapping = region.mapping();
        let shape = Shape::new(capacity as usize);
        let parts = parts(mapping, offset, shape)?;
        life::check(region)?;
        let begun = mapping.touch(|| begin(&parts.queue))?;
        mapping.check()?;
        begun.map_err(|found| refusal(found, shape))?;
        let lives = Lives::new(region, &life::name_of(region, &parts.queue.control.mark)?)?;
        let position = mapping.position() + mapping.lead() as u64 + offset;
        Ok(Self { offset, shape, position, lives, seat: None, freed: 0, blocked: [None; 2] })
    }

    /// Looks at the place once more, as [`Ring::new`] does.
    pub fn look(&self, region: &Region) -> Result<()> {
        let mapping = region.mapping();
        let parts = parts(mapping, self.offset, self.shape)?;
        let begun = mapping.touch(|| begin(&parts.queue))?;
        mapping.check()?;
        begun.map_err(|found| refusal(found, self.shape))
    }

    /// Pushes a record, and wakes who waits for one.
    ///
    /// # Safety
    /// The record may be read for its whole length. It may lie in the ring itself.
    pub unsafe fn push(&mut self, region: &mut Region, record: *const [u8]) -> Result<Pushed> {
        let (length, first) = (record.len(), record.cast::<u8>());
        if length > self.shape.capacity() {
            return Err(Error::out_of_range(format!("a record of {length} bytes is longer than the ring")));
        }
        let (outcome, wakes) = self.run(region.mapping(), |ring, parts, seat| {
            let put = |place: Place| {
                // SAFETY: the places lie in the cells, which `parts` found inside of the mapping, and the bytes in the record.
                // Who writes to the cells without keeping to the algorithm changes bytes, and no more.
                unsafe {
                    ptr::copy(first, parts.cells.add(place.start), place.first);
                    ptr::copy(first.wrapping_add(place.first), parts.cells, place.rest);
                }
            };
            let world = Others { lives: &ring.lives, position: ring.position };
            let mut call = Call { seat, recover: false, world: &world };
            let mut outcome = parts.queue.push(&call, length, &mut ring.freed, put)?;
            if outcome == Pushed::Full && is_stuck(&mut ring.blocked[0], ring.freed) {
                call.recover = true;
                outcome = parts.queue.push(&call, length, &mut ring.freed, put)?;
            }
            Ok((outcome, outcome == Pushed::In && has_sleepers(&parts.queue.control.data.0)))
        })?;
        self.check_length(region.mapping(), length)?;
        if wakes {
            self.wake(region, DATA);
        }
        Ok(outcome)
    }

    /// Pops a record to the beginning of `target`, and wakes who waits for room.
    ///
    /// # Safety
    /// The target may be written for its whole length.
    pub unsafe fn pop(&mut self, region: &mut Region, target: *mut [u8]) -> Result<Popped> {
        let (room, first) = (target.len(), target.cast::<u8>());
        let (outcome, wakes) = self.run(region.mapping(), |ring, parts, seat| {
            let get = |place: Place| {
                // SAFETY: as in `push`; the queue pops nothing that is longer than `room`.
                unsafe {
                    ptr::copy(parts.cells.add(place.start), first, place.first);
                    ptr::copy(parts.cells, first.wrapping_add(place.first), place.rest);
                }
            };
            let control = parts.queue.control;
            let world = Others { lives: &ring.lives, position: ring.position };
            let mut call = Call { seat, recover: false, world: &world };
            let mut outcome = parts.queue.pop(&call, room, get)?;
            if outcome == Popped::Blocked && is_stuck(&mut ring.blocked[1], control.head.0.load(Ordering::Relaxed)) {
                call.recover = true;
                outcome = parts.queue.pop(&call, room, get)?;
            }
            Ok((outcome, matches!(outcome, Popped::Out(_)) && has_sleepers(&control.space.0)))
        })?;
        if let Popped::Out(length) = outcome {
            self.check_length(region.mapping(), length)?;
        }
        if wakes {
            self.wake(region, SPACE);
        }
        Ok(outcome)
    }

    /// Nothing is pushed any more: all who wait are told.
    pub fn end(&mut self, region: &mut Region) -> Result<()> {
        self.run(region.mapping(), |_, parts, _| {
            let control = parts.queue.control;
            parts.queue.end();
            Ok((has_sleepers(&control.data.0), has_sleepers(&control.space.0)))
        })?;
        self.wake(region, DATA);
        self.wake(region, SPACE);
        Ok(())
    }

    /// Whether nothing is pushed any more.
    pub fn ended(&mut self, region: &Region) -> Result<bool> {
        self.run(region.mapping(), |_, parts, _| Ok(parts.queue.control.ended.load(Ordering::Acquire) != 0))
    }

    /// How many records were dropped, since who pushed them had died.
    pub fn dropped(&mut self, region: &Region) -> Result<u64> {
        self.run(region.mapping(), |_, parts, _| Ok(parts.queue.control.dropped.load(Ordering::Relaxed)))
    }

    /// Marks that the caller is about to sleep, on the word of consumers or of producers: what it has to find there when
    /// it falls asleep. It must try once more before.
    pub fn about_to_sleep(&mut self, region: &Region, as_consumer: bool) -> Result<u32> {
        self.run(region.mapping(), |_, parts, _| {
            let control = parts.queue.control;
            Ok(about_to_sleep(if as_consumer { &control.data.0 } else { &control.space.0 }))
        })
    }

    /// Notifies a word. Those who sleep look again after a while in any case: what was pushed or popped is so.
    fn wake(&self, region: &mut Region, word: u64) {
        let _ = Word::of(region, self.offset + word).and_then(|word| word.notify(i32::MAX as u32));
    }

    /// Gives the seat back.
    pub fn leave(&mut self, region: &Region) {
        if let (Some(Taken { index, id }), Ok(parts)) =
            (self.seat.take(), parts(region.mapping(), self.offset, self.shape))
        {
            let _ = region.mapping().touch(|| parts.queue.leave(index, id.into()));
            self.lives.end(self.position, id);
        }
    }

    /// Works on the ring, from a seat in it.
    fn run<T>(
        &mut self,
        mapping: &Mapping,
        work: impl FnOnce(&mut Self, &Parts, usize) -> std::result::Result<T, Broken>,
    ) -> Result<T> {
        // Looked for each time, since a region may have been mapped anew.
        let parts = parts(mapping, self.offset, self.shape)?;
        mapping.check()?;
        let seat = self.sit(mapping, &parts.queue)?;
        let shape = self.shape;
        let done = mapping.touch(|| {
            let found = parts.queue.control.format.load(Ordering::Acquire);
            if found != format_of(shape) {
                return Err(refusal(found, shape));
            }
            work(self, &parts, seat).map_err(|Broken| refusal(found, shape))
        });
        let done = done.inspect_err(|_| {
            // Work that was broken off in the middle. Whoever still has these words must not wait for it.
            let _ = mapping.touch(|| parts.queue.forget_claim(seat));
        })?;
        mapping.check()?;
        done
    }

    /// A file may have become shorter inside of a page, which the system tells nobody: asked about after a long record.
    fn check_length(&self, mapping: &Mapping, length: usize) -> Result<()> {
        if length < LONG {
            return Ok(());
        }
        mapping.check_range(self.offset, byte_length_for(self.shape.capacity() as u64))
    }

    fn sit(&mut self, mapping: &Mapping, queue: &Queue<'_>) -> Result<usize> {
        if let Some(Taken { index, id }) = self.seat {
            if mapping.touch(|| queue.sits(index, id.into()))? {
                return Ok(index);
            }
            // Somebody has zeroed the memory since, or written there.
            self.seat = None;
            self.lives.end(self.position, id);
        }
        let next = || mapping.touch(|| queue.control.joined.fetch_add(1, Ordering::Relaxed)).unwrap_or(0);
        let named = |id: u32| {
            let sits = || queue.seats.iter().any(|seat| seat.owner.load(Ordering::Acquire) == u64::from(id));
            mapping.touch(sits).unwrap_or(false)
        };
        let id = self.lives.draw(self.position, next, named)?.ok_or_else(|| {
            Error::invalid_state("Another program has locked all of the file, and nobody can join the ring meanwhile")
        })?;
        let world = Others { lives: &self.lives, position: self.position };
        let Some(index) = mapping.touch(|| queue.sit(id.into(), &world))? else {
            self.lives.end(self.position, id);
            return Err(Error::invalid_state(format!(
                "The ring is used by {SEATS} isolates already, which are as many as there can be"
            )));
        };
        (self.seat, self.freed) = (Some(Taken { index, id }), 0);
        Ok(index)
    }
}

/// Finds the parts of a ring.
fn parts(mapping: &Mapping, offset: u64, shape: Shape) -> Result<Parts<'_>> {
    if mapping.access() == Access::Read || mapping.protection() != Protection::Write {
        return Err(Error::read_only());
    }
    let length = byte_length_for(shape.capacity() as u64);
    if offset.checked_add(length).is_none_or(|end| end > mapping.len() as u64) {
        return Err(Error::out_of_range(format!(
            "A ring of {length} bytes at offset {offset} does not lie in a region of {} bytes",
            mapping.len()
        )));
    }
    let base = mapping.address(offset as usize);
    if !base.cast::<Control>().is_aligned() {
        return Err(Error::out_of_range(format!(
            "The value of \"offset\" is out of range. It must be at a multiple of {} bytes in memory. Received {offset}",
            align_of::<Control>()
        )));
    }
    // SAFETY: all of it was just found to lie in the mapping, which lives as long as the parts, and is aligned, as all that
    // follows the control words is. They are atomics, which others may change at any time; a page that cannot be supplied
    // is the guard's business.
    let (control, seats, headers) = unsafe {
        (
            &*base.cast::<Control>(),
            slice::from_raw_parts(base.add(size_of::<Control>()).cast::<Seat>(), SEATS),
            slice::from_raw_parts(base.add(HEADERS_AT).cast::<AtomicU64>(), shape.cells()),
        )
    };
    let cells = base.wrapping_add(HEADERS_AT + size_of_val(headers));
    Ok(Parts { queue: Queue { shape, control, seats, headers }, cells })
}

fn format_of(shape: Shape) -> u64 {
    FORMAT | u64::from(shape.capacity().trailing_zeros()) << 56
}

/// Makes a fresh ring of zeros: one word says what it is, so nobody ever sees half of it. Else what it is instead.
fn begin(queue: &Queue<'_>) -> std::result::Result<(), u64> {
    let Control { format, ended, dropped, tail, head, freed, .. } = queue.control;
    let ours = format_of(queue.shape);
    if [ended, dropped, &tail.0, &head.0, &freed.0].iter().any(|word| word.load(Ordering::Acquire) != 0) {
        // Garbage behind a zero. Or somebody has just begun, whose format is there by now.
        let found = format.load(Ordering::Acquire);
        return if found == ours { Ok(()) } else { Err(found) };
    }
    match format.compare_exchange(0, ours, Ordering::AcqRel, Ordering::Acquire) {
        Err(found) if found != ours => Err(found),
        _ => Ok(()),
    }
}

/// Why the words are not believed.
fn refusal(format: u64, shape: Shape) -> Error {
    let [name @ .., version, power] = format.to_le_bytes();
    Error::shared_state_invalid(if format == format_of(shape) {
        "The control words of the ring hold what cannot be: somebody else writes there; zero the memory to begin anew"
            .into()
    } else if name != FORMAT.to_le_bytes()[..6] {
        "There is no ring at this place, and no zeros that could become one; zero the memory, or look for another offset".into()
    } else if version == 1 {
        format!(
            "The ring at this place has a capacity of 2^{power} bytes, and not of {}; all must say the same",
            shape.capacity()
        )
    } else {
        format!("The ring at this place is of version {version}, and this is version 1; use one version of the package everywhere")
    })
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
